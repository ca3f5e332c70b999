package mapping

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Handle is a value of a user's traits that is unique in Kratos: an identifier of a
// credential, or an address for verification or recovery.
type Handle struct {
	// Value is as in the traits; Kratos compares it normalized.
	Value string
	// Password is true for an identifier of the password credential.
	Password bool
	// Code is email or sms for an identifier of the code credential, which Kratos sends codes
	// to at a login; otherwise empty.
	Code string
	// Via is email or sms for an address for verification or recovery; otherwise empty.
	Via string
}

// Handles returns the handles among the traits, without duplicates, in the order of their
// paths, and each element of a list. A value counts if it is a handle in any branch of the
// schema. Blank texts do not count: Kratos refuses them.
func (s *Schema) Handles(traits map[string]any) []Handle {
	var found []Handle
	s.leading.collect(traits, &found)
	return found
}

func (all nodes) collect(value any, into *[]Handle) {
	if len(all) == 0 {
		return
	}
	switch value := value.(type) {
	case string:
		all.add(value, into)
	case json.Number, float64, int, int64:
		if text, err := json.Marshal(value); err == nil {
			all.add(string(text), into)
		}
	case []any:
		for i, element := range value {
			all.ofElement(i).collect(element, into)
		}
	case map[string]any:
		for _, name := range all.names(value) {
			if below, ok := value[name]; ok {
				all.ofProperty(name).collect(below, into)
			}
		}
	}
}

// add appends the value if a node says that it is a handle.
func (all nodes) add(value string, into *[]Handle) {
	handle, is := Handle{Value: value}, false
	for _, f := range all {
		if f.ext == nil {
			continue
		}
		is = true
		handle.Password = handle.Password || f.ext.Credentials["password"].Identifier
		if code := f.ext.Credentials["code"]; code.Identifier {
			handle.Code = cmp.Or(handle.Code, code.Via)
		}
		handle.Via = cmp.Or(handle.Via, f.ext.Verification.Via, f.ext.Recovery.Via)
	}
	if !is || strings.TrimSpace(value) == "" {
		return
	}
	for i, was := range *into {
		if was.Value == value && (was.Via == handle.Via || was.Via == "" || handle.Via == "") {
			(*into)[i] = Handle{Value: value, Password: was.Password || handle.Password, Code: cmp.Or(was.Code, handle.Code), Via: cmp.Or(was.Via, handle.Via)}
			return
		}
	}
	*into = append(*into, handle)
}

// names returns the names of the object in order, or, if it is known which of them can lead
// to handles, those, even if the object does not have them.
func (all nodes) names(object map[string]any) []string {
	if len(all) == 1 && len(all[0].patterns) == 0 && len(all[0].others) == 0 {
		return all[0].names
	}
	return slices.Sorted(maps.Keys(object))
}

func (all nodes) ofProperty(name string) nodes {
	if len(all) == 1 && len(all[0].patterns) == 0 && len(all[0].others) == 0 {
		return all[0].leading[name]
	}
	var out nodes
	for _, f := range all {
		of, named := f.properties[name]
		out = out.with(of)
		for _, p := range f.patterns {
			if p.names.MatchString(name) {
				named = true
				out = out.with(p.of)
			}
		}
		if !named {
			out = out.with(f.others)
		}
	}
	return out
}

// ofElement returns the nodes of an element of a list. If the list is a handle, so are its
// elements.
func (all nodes) ofElement(i int) nodes {
	var out nodes
	for _, f := range all {
		if f.ext != nil {
			out = out.with(nodes{{ext: f.ext, leads: true}})
		}
		out = out.with(f.elements)
		if i < len(f.places) {
			out = out.with(f.places[i])
		} else {
			out = out.with(f.rest)
		}
	}
	return out
}
