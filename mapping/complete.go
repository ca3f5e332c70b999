package mapping

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// keyTenant is the canonical domain of the tenant. `ferry export` notes it in the first user
// of a file.
const keyTenant = "auth0_tenant"

// Mark returns the first user object of an export with the deciding fields that it lacks, as
// null, and with the tenant, unless that is unknown. It says that the export has these fields
// of every user who has them. The errors are those of [FromUser].
func Mark(user []byte, tenant string) ([]byte, error) {
	return complete(user, nil, func(p Profile) Told { return ToldAll &^ p.Told }, tenant)
}

// Complete returns a user object with the deciding fields that it lacks, from another object
// of the same user, which find returns by the user id: as null where that lacks them too. A
// list of identities without the connection of the password counts as lacking. Errors of find
// are returned as they are, with others the object is not one of a user, see [FromUser].
func Complete(user []byte, find func(userID string) ([]byte, error)) ([]byte, error) {
	return complete(user, find, func(p Profile) Told {
		lacks := ToldAll &^ p.Told
		if p.HasPassword() && p.Connection == "" {
			lacks |= ToldAccounts
		}
		return lacks
	}, "")
}

// CompletedFrom are the fields that the other object needs.
func CompletedFrom() []string { return append([]string{keyUserID}, decidingKeys()...) }

// decidingKeys are the keys of the deciding fields in an export.
func decidingKeys() []string {
	return []string{keyBlocked, keyMultifactor, keyReset, keyIdentities}
}

// complete replaces or adds the fields that user lacks, and adds the tenant.
func complete(user []byte, find func(string) ([]byte, error), lacks func(Profile) Told, tenant string) ([]byte, error) {
	profile, err := FromUser(user)
	if err != nil {
		return nil, err
	}
	have, err := members(user)
	if err != nil {
		return nil, err
	}
	var known []member
	if find != nil {
		from, err := find(profile.UserID)
		if err != nil {
			return nil, err
		}
		if known, err = members(from); err != nil {
			return nil, err
		}
	}
	added := lacking(lacks(profile), known)
	if tenant != "" {
		value, err := jsontext.AppendQuote(nil, tenant)
		if err != nil {
			return nil, err
		}
		added = append(added, member{keyTenant, value})
	}
	if len(added) == 0 {
		return user, nil
	}
	have = slices.DeleteFunc(have, func(m member) bool {
		return slices.ContainsFunc(added, func(a member) bool { return strings.EqualFold(a.key, m.key) })
	})
	return join(append(have, added...))
}

// lacking returns the deciding fields of a set, with the values that are known.
func lacking(fields Told, known []member) (added []member) {
	for _, key := range decidingKeys() {
		if fields&ToldBy(key) == 0 {
			continue
		}
		value := jsontext.Value("null")
		if i := slices.IndexFunc(known, func(m member) bool { return m.key == key }); i >= 0 {
			value = known[i].value
		}
		added = append(added, member{key, value})
	}
	return added
}

// member is a key of an object, and its value.
type member struct {
	key   string
	value jsontext.Value
}

// errNotObject is the error of text that is not an object.
var errNotObject = errors.New("not an object")

// members returns the members of an object, in their order. The values are parts of the text.
func members(text []byte) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, errNotObject
	}
	var all []member
	for dec.PeekKind() == '"' {
		key, err := dec.ReadToken()
		if err != nil {
			return nil, errNotObject
		}
		name := key.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errNotObject
		}
		all = append(all, member{name, slices.Clone(value)})
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNotObject
	}
	return all, nil
}

// join returns an object with the members.
func join(all []member) (text []byte, err error) {
	text = append(text, '{')
	for i, m := range all {
		if i > 0 {
			text = append(text, ',')
		}
		if text, err = jsontext.AppendQuote(text, m.key); err != nil {
			return nil, err
		}
		text = append(append(text, ':'), m.value...)
	}
	return append(text, '}'), nil
}
