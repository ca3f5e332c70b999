package mapping

import (
	"cmp"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// form is what one schema says of handles: whether a value is one, and what is below
// it. It leads to handles, or it is left out of everything that holds forms.
type form struct {
	handle, password bool
	via              string

	properties map[string]forms
	names      []string // of the properties that lead to handles, in their order
	patterns   []namedForms
	others     forms // of properties that have no name above

	places   []forms // of a list's elements, one by one
	rest     forms   // of those behind
	elements forms   // of all of them
}

type namedForms struct {
	names jsonschema.Regexp
	of    forms
}

// former makes the forms of a schema, each once: schemas may contain themselves.
type former struct {
	made  map[*jsonschema.Schema]*form
	leads map[*jsonschema.Schema]bool
}

// traitForms are those of the traits, in the schema of an identity.
func traitForms(identity *jsonschema.Schema) forms {
	m := former{made: map[*jsonschema.Schema]*form{}, leads: map[*jsonschema.Schema]bool{}}
	all := reachable(identity)
	for again := true; again; {
		again = false
		for _, s := range slices.Backward(all) { // children first, as far as there is an order
			if !m.leads[s] && (handles(s) || slices.ContainsFunc(children(s), func(c *jsonschema.Schema) bool { return m.leads[c] })) {
				m.leads[s], again = true, true
			}
		}
	}
	return m.forms(identity).ofProperty("traits")
}

// children are all schemas that a schema is made of.
func children(s *jsonschema.Schema) []*jsonschema.Schema {
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	out := slices.Concat(alternatives(s), elements(s), []*jsonschema.Schema{additional, s.UnevaluatedProperties},
		slices.Collect(maps.Values(s.Properties)), slices.Collect(maps.Values(s.PatternProperties)))
	return slices.DeleteFunc(out, func(c *jsonschema.Schema) bool { return c == nil })
}

func reachable(from *jsonschema.Schema) []*jsonschema.Schema {
	found := []*jsonschema.Schema{from}
	seen := map[*jsonschema.Schema]bool{from: true}
	for i := 0; i < len(found); i++ {
		for _, child := range children(found[i]) {
			if !seen[child] {
				seen[child] = true
				found = append(found, child)
			}
		}
	}
	return found
}

// handles reports whether the schema's own keyword makes handles.
func handles(s *jsonschema.Schema) bool {
	return slices.ContainsFunc(s.Extensions, func(ext jsonschema.SchemaExt) bool {
		e, ok := ext.(*extension)
		return ok && e.protects()
	})
}

// forms are those of everything that may hold of the value that the schemas are about.
func (m former) forms(schemas ...*jsonschema.Schema) forms {
	var out forms
	pending := slices.Clone(schemas)
	seen := map[*jsonschema.Schema]bool{}
	for len(pending) > 0 {
		s := pending[0]
		pending = pending[1:]
		if !m.leads[s] || seen[s] {
			continue
		}
		seen[s] = true
		out = append(out, m.form(s))
		pending = append(pending, alternatives(s)...)
	}
	return out
}

func (m former) form(s *jsonschema.Schema) *form {
	if f := m.made[s]; f != nil {
		return f
	}
	f := &form{properties: map[string]forms{}}
	m.made[s] = f
	for _, ext := range s.Extensions {
		if e, ok := ext.(*extension); ok && e.protects() {
			f.handle = true
			f.password = f.password || e.Credentials["password"].Identifier
			f.via = cmp.Or(f.via, e.Verification.Via, e.Recovery.Via)
		}
	}
	for name, property := range s.Properties {
		f.properties[name] = m.forms(property)
		if m.leads[property] {
			f.names = append(f.names, name)
		}
	}
	slices.Sort(f.names)
	for names, property := range s.PatternProperties {
		f.patterns = append(f.patterns, namedForms{names, m.forms(property)})
	}
	slices.SortFunc(f.patterns, func(a, b namedForms) int { return cmp.Compare(a.names.String(), b.names.String()) })
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	f.others = m.forms(additional, s.UnevaluatedProperties)
	m.list(f, s)
	return f
}

// list fills in what a schema says of the elements of a list.
func (m former) list(f *form, s *jsonschema.Schema) {
	places := s.PrefixItems
	every, _ := s.Items.(*jsonschema.Schema)
	if tuple, ok := s.Items.([]*jsonschema.Schema); ok {
		places = tuple
	}
	for _, place := range places {
		f.places = append(f.places, m.forms(place))
	}
	behind, _ := s.AdditionalItems.(*jsonschema.Schema)
	f.rest = m.forms(behind, s.Items2020)
	f.elements = m.forms(every, s.Contains, s.UnevaluatedItems)
}
