package mapping

import (
	"cmp"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// handleNode is the part of the handle index for one schema: whether a value is a handle,
// and which handles are below it. Schemas without handles have no node.
type handleNode struct {
	handle, password bool
	via              string

	properties map[string]handleNodes
	names      []string // of the properties that lead to handles, in their order
	patterns   []patternNodes
	others     handleNodes // of properties that have no name above

	places   []handleNodes // of a list's elements, one by one
	rest     handleNodes   // of those behind
	elements handleNodes   // of all of them
}

type patternNodes struct {
	names jsonschema.Regexp
	of    handleNodes
}

// handleIndexer makes the nodes of a schema, each once: schemas may contain themselves.
type handleIndexer struct {
	made  map[*jsonschema.Schema]*handleNode
	leads map[*jsonschema.Schema]bool
}

// traitHandles returns the nodes of the traits in an identity schema.
func traitHandles(identity *jsonschema.Schema) handleNodes {
	m := handleIndexer{made: map[*jsonschema.Schema]*handleNode{}, leads: map[*jsonschema.Schema]bool{}}
	all := reachable(identity)
	for again := true; again; {
		again = false
		for _, s := range slices.Backward(all) { // children first, as far as there is an order
			if !m.leads[s] && (handles(s) || slices.ContainsFunc(children(s), func(c *jsonschema.Schema) bool { return m.leads[c] })) {
				m.leads[s], again = true, true
			}
		}
	}
	return m.nodes(identity).ofProperty("traits")
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

// nodes returns the nodes that may apply to a value of the schemas.
func (m handleIndexer) nodes(schemas ...*jsonschema.Schema) handleNodes {
	var out handleNodes
	pending := slices.Clone(schemas)
	seen := map[*jsonschema.Schema]bool{}
	for len(pending) > 0 {
		s := pending[0]
		pending = pending[1:]
		if !m.leads[s] || seen[s] {
			continue
		}
		seen[s] = true
		out = append(out, m.node(s))
		pending = append(pending, alternatives(s)...)
	}
	return out
}

func (m handleIndexer) node(s *jsonschema.Schema) *handleNode {
	if f := m.made[s]; f != nil {
		return f
	}
	f := &handleNode{properties: map[string]handleNodes{}}
	m.made[s] = f
	for _, ext := range s.Extensions {
		if e, ok := ext.(*extension); ok && e.protects() {
			f.handle = true
			f.password = f.password || e.Credentials["password"].Identifier
			f.via = cmp.Or(f.via, e.Verification.Via, e.Recovery.Via)
		}
	}
	for name, property := range s.Properties {
		f.properties[name] = m.nodes(property)
		if m.leads[property] {
			f.names = append(f.names, name)
		}
	}
	slices.Sort(f.names)
	for names, property := range s.PatternProperties {
		f.patterns = append(f.patterns, patternNodes{names, m.nodes(property)})
	}
	slices.SortFunc(f.patterns, func(a, b patternNodes) int { return cmp.Compare(a.names.String(), b.names.String()) })
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	f.others = m.nodes(additional, s.UnevaluatedProperties)
	m.listNodes(f, s)
	return f
}

// listNodes fills in the nodes of a list's elements.
func (m handleIndexer) listNodes(f *handleNode, s *jsonschema.Schema) {
	places := s.PrefixItems
	every, _ := s.Items.(*jsonschema.Schema)
	if tuple, ok := s.Items.([]*jsonschema.Schema); ok {
		places = tuple
	}
	for _, place := range places {
		f.places = append(f.places, m.nodes(place))
	}
	behind, _ := s.AdditionalItems.(*jsonschema.Schema)
	f.rest = m.nodes(behind, s.Items2020)
	f.elements = m.nodes(every, s.Contains, s.UnevaluatedItems)
}
