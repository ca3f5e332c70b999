package mapping

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Handle is a value of a person's traits that Kratos lets only one identity have: an
// identifier of a credential, or an address for verification or recovery.
type Handle struct {
	// Value is as the traits have it; Kratos compares without case and blanks around.
	Value string
	// Password says that it is an identifier of the password credential.
	Password bool
	// Via is email, sms or empty, where it is an address for verification or recovery.
	Via string
}

// Handles lists them, without repeats, in the order of the traits' paths. A list counts
// element by element. What may be one by some branch of the schema is one; texts of
// blanks alone are none, for Kratos refuses them.
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
		handle.Via = cmp.Or(handle.Via, f.ext.Verification.Via, f.ext.Recovery.Via)
	}
	if !is || strings.TrimSpace(value) == "" {
		return
	}
	for i, was := range *into {
		if was.Value == value && (was.Via == handle.Via || was.Via == "" || handle.Via == "") {
			(*into)[i] = Handle{Value: value, Password: was.Password || handle.Password, Via: cmp.Or(was.Via, handle.Via)}
			return
		}
	}
	*into = append(*into, handle)
}

// names are those of the object, in their order. Where only some can lead to handles,
// it is those, and the object need not have them.
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

// ofElement is what holds of an element of a list. What the list itself is, its
// elements are.
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
