package mapping

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// node is what one schema says of a value, and of what is below it. Schemas may contain
// themselves, so the nodes are a graph.
type node struct {
	ext   *extension // nil where the schema makes no handle
	types []string
	leads bool // there is a handle here or below

	properties map[string]nodes
	leading    map[string]nodes // those of properties that lead to handles
	names      []string         // of leading, in their order
	patterns   []patternNodes
	others     nodes // of properties that have no name above

	places   []nodes // of a list's elements, one by one
	rest     nodes   // of those behind
	elements nodes   // of all of them
}

type patternNodes struct {
	names jsonschema.Regexp
	of    nodes
}

// nodes are those that may apply to one value.
type nodes []*node

// with adds the nodes that lead to handles.
func (all nodes) with(more nodes) nodes {
	for _, n := range more {
		if n.leads && !slices.Contains(all, n) {
			all = append(all[:len(all):len(all)], n)
		}
	}
	return all
}

// union adds all nodes.
func (all nodes) union(more nodes) nodes {
	for _, n := range more {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// wild are the nodes of properties without a name in the schema.
func (n *node) wild() nodes {
	out := slices.Clone(n.others)
	for _, p := range n.patterns {
		out = append(out, p.of...)
	}
	return out
}

// inList are the nodes of a list's elements.
func (n *node) inList() nodes {
	return slices.Concat(append([]nodes{n.rest, n.elements}, n.places...)...)
}

func (n *node) children() nodes {
	out := append(n.wild(), n.inList()...)
	for _, of := range n.properties {
		out = append(out, of...)
	}
	return out
}

// reach are the nodes and all nodes below them.
func (all nodes) reach() nodes {
	seen := map[*node]bool{}
	var out nodes
	for pending := slices.Clone(all); len(pending) > 0; pending = pending[1:] {
		if n := pending[0]; !seen[n] {
			seen[n] = true
			out = append(out, n)
			pending = append(pending, n.children()...)
		}
	}
	return out
}

// graph makes the node of each schema once.
type graph map[*jsonschema.Schema]*node

// traitNodes returns the nodes of the traits in an identity schema.
func traitNodes(identity *jsonschema.Schema) nodes {
	g := graph{}
	root := g.nodes(identity)
	for again := true; again; {
		again = false
		for _, n := range g {
			if !n.leads && (n.ext != nil || slices.ContainsFunc(n.children(), func(c *node) bool { return c.leads })) {
				n.leads, again = true, true
			}
		}
	}
	for _, n := range g {
		n.leading = map[string]nodes{}
		for name, of := range n.properties {
			if lead := nodes(nil).with(of); len(lead) > 0 {
				n.leading[name] = lead
			}
		}
		n.names = slices.Sorted(maps.Keys(n.leading))
	}
	var traits nodes
	for _, n := range root {
		traits = traits.union(n.properties["traits"])
	}
	return traits
}

// nodes returns the nodes that may apply to a value of the schemas.
func (g graph) nodes(schemas ...*jsonschema.Schema) nodes {
	var out nodes
	for pending := slices.Clone(schemas); len(pending) > 0; pending = pending[1:] {
		s := pending[0]
		if s == nil {
			continue
		}
		if n := g.node(s); !slices.Contains(out, n) {
			out = append(out, n)
			pending = append(pending, alternatives(s)...)
		}
	}
	return out
}

func (g graph) node(s *jsonschema.Schema) *node {
	if n := g[s]; n != nil {
		return n
	}
	n := &node{properties: map[string]nodes{}}
	g[s] = n
	for _, ext := range s.Extensions {
		if e, ok := ext.(*extension); ok && e.protects() {
			n.ext = e
		}
	}
	if s.Types != nil {
		n.types = slices.DeleteFunc(s.Types.ToStrings(), func(name string) bool { return name == "null" })
	}
	for name, property := range s.Properties {
		n.properties[name] = g.nodes(property)
	}
	for names, property := range s.PatternProperties {
		n.patterns = append(n.patterns, patternNodes{names, g.nodes(property)})
	}
	slices.SortFunc(n.patterns, func(a, b patternNodes) int { return cmp.Compare(a.names.String(), b.names.String()) })
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	n.others = g.nodes(additional, s.UnevaluatedProperties)
	places := s.PrefixItems
	every, _ := s.Items.(*jsonschema.Schema)
	if tuple, ok := s.Items.([]*jsonschema.Schema); ok {
		places = tuple
	}
	for _, place := range places {
		n.places = append(n.places, g.nodes(place))
	}
	behind, _ := s.AdditionalItems.(*jsonschema.Schema)
	n.rest = g.nodes(behind, s.Items2020)
	n.elements = g.nodes(every, s.Contains, s.UnevaluatedItems)
	return n
}

// alternatives are the schemas that may hold of the same value.
func alternatives(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.If, s.Then, s.Else, s.Not}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	out = slices.Concat(out, s.AllOf, s.AnyOf, s.OneOf)
	for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
		out = append(out, s.DependentSchemas[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
		dependency, _ := s.Dependencies[name].(*jsonschema.Schema)
		out = append(out, dependency)
	}
	return out
}

// Bounds of the survey, far beyond any schema that people write.
const (
	maxDepth  = 32
	maxVisits = 20_000
)

var errTooLarge = errors.New("its traits are nested too deeply, or refer to one another too often")

// surveyor collects the leaves of the traits, and the traits that may have no value.
type surveyor struct {
	schema *Schema
	visits int
	above  nodes // on the way to the nodes that are visited
}

// visit surveys the nodes of a path. wild says that the path has names that the schema
// does not have, written as *.
func (s *surveyor) visit(all nodes, path []string, wild bool) error {
	if !slices.ContainsFunc(all, func(n *node) bool { return !slices.Contains(s.above, n) }) {
		return nil // none, or a schema that contains itself
	}
	if s.visits++; s.visits > maxVisits || len(path) > maxDepth {
		return errTooLarge
	}
	s.above = append(s.above, all...)
	defer func() { s.above = s.above[:len(s.above)-len(all)] }()
	named, unnamed := s.note(all, path, wild)
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if err := s.visit(named[name], append(slices.Clone(path), name), wild); err != nil {
			return err
		}
	}
	return s.visit(unnamed, append(slices.Clone(path), "*"), true)
}

// note records what the nodes themselves say of a trait, and returns those below.
func (s *surveyor) note(all nodes, path []string, wild bool) (named map[string]nodes, unnamed nodes) {
	trait := Trait{Path: path}
	var types, elements []string
	var lists nodes
	named = map[string]nodes{}
	for _, n := range all {
		types = append(types, n.types...)
		lists = append(lists, n.inList()...)
		unnamed = unnamed.union(n.wild())
		for name, of := range n.properties {
			named[name] = named[name].union(of)
		}
	}
	lists = lists.reach() // what is in a list has no path of its own
	for _, n := range lists {
		elements = append(elements, n.types...)
	}
	for _, n := range append(slices.Clone(all), lists...) {
		if n.ext == nil {
			continue
		}
		trait.Identifier = trait.Identifier || n.ext.identifier()
		trait.Verification = cmp.Or(trait.Verification, n.ext.Verification.Via)
		trait.Recovery = cmp.Or(trait.Recovery, n.ext.Recovery.Via)
		if n.ext.rules.never != "" {
			s.schema.refuse(path, n.ext.rules.never)
		}
	}
	if len(named) == 0 && len(path) > 0 && !wild {
		trait.Type, trait.Element = only(types), only(elements)
		s.schema.traits = append(s.schema.traits, trait)
	}
	return named, unnamed
}

// only is the one type there is, or "".
func only(types []string) string {
	slices.Sort(types)
	if types = slices.Compact(types); len(types) == 1 {
		return types[0]
	}
	return ""
}
