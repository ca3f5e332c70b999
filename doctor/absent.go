package doctor

import (
	"context"
	"slices"
	"strings"

	"ferry/identifier"
	"ferry/mapping"
)

// absent is somebody whom Kratos does not know by this identifier.
func (q *userCheck) absent(ctx context.Context) {
	const detail = "no identity in Kratos has this identifier: Kratos does not call the hook for whom it does not know"
	if q.Management == nil || !strings.Contains(q.identifier, "@") {
		q.note("not_in_kratos", fail("import the person: `ferry import`; or they registered with another identifier, or mistyped it", detail))
		return
	}
	users, err := q.Management.LookUpEmail(ctx, q.identifier)
	switch {
	case err != nil:
		q.note("not_in_kratos", fail("import the person: `ferry import`; or they registered with another identifier, or mistyped it", detail))
		q.skip("auth0_user", unread(err, scopeUsers, "whether Auth0 knows them"))
		return
	case len(users) == 0:
		q.note("not_in_kratos", fail("ask the person which address they registered with; Auth0 has nobody with this one either", detail))
		return
	}
	if id, kind := q.otherwise(ctx, users); id != "" {
		q.note("another_identifier", fail("let the person log in with the "+kind+"; or put the address into a trait of the identity that is an identifier for passwords",
			"no identity in Kratos has this identifier, so the hook is not called. Auth0's user with this address is identity %s, which Kratos knows by the %s", id, kind))
		return
	}
	q.note("not_in_kratos", fail("import them: `ferry export`, then `ferry import`, which takes only who is missing", "%s. Auth0 has %s with this address", detail, count(len(users), "user")))
}

// otherwise looks for an identity that is bound to one of these users of Auth0 and has
// another of their identifiers: its id, and what kind of identifier that is.
func (q *userCheck) otherwise(ctx context.Context, users [][]byte) (id, kind string) {
	for _, text := range users {
		user, err := mapping.FromUser(text)
		if err != nil {
			continue
		}
		for _, other := range []struct{ claim, kind string }{{"preferred_username", "username"}, {"phone_number", "phone number"}} {
			name, _ := user.Claims[other.claim].(string)
			owners, err := q.Kratos.Owners(ctx, identifier.Normalize(name))
			if err != nil {
				continue // then nothing is known of them but that they are missing
			}
			for _, owner := range owners {
				if slices.ContainsFunc(user.UserIDs, owner.Binding.Has) {
					return owner.ID, other.kind
				}
			}
		}
	}
	return "", ""
}
