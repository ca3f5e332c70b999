package mapping

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Trait is one leaf of a schema's traits. A list is a leaf, whatever is in it.
type Trait struct {
	// Path leads to it from the traits.
	Path []string
	// Type is JSON Schema's word for its values; empty where the schema allows several
	// or does not say.
	Type string
	// Element is the same for what a list holds; empty where the trait is no list.
	Element string
	// Identifier is true where somebody logs in with it.
	Identifier bool
	// Recovery and Verification are email, sms or empty.
	Recovery, Verification string
}

// Name is the dotted path.
func (t Trait) Name() string { return strings.Join(t.Path, ".") }

// Guarded reports whether the trait is an identifier, or an address for recovery or
// verification: filled only from what was verified, and never overwritten.
func (t Trait) Guarded() bool { return t.Identifier || t.Recovery != "" || t.Verification != "" }

// extensionKeyword is Kratos' own keyword in identity schemas.
const extensionKeyword = "ory.sh/kratos"

// extension is the part of the keyword's value that is about identifiers and
// addresses. Every credential counts, those that Kratos will learn as well.
type extension struct {
	Credentials map[string]struct {
		Identifier bool   `json:"identifier"`
		Via        string `json:"via"`
	} `json:"credentials"`
	Verification struct {
		Via string `json:"via"`
	} `json:"verification"`
	Recovery struct {
		Via string `json:"via"`
	} `json:"recovery"`

	rules kratosRules
}

func compileExtension(_ *jsonschema.CompilerContext, obj map[string]any) (jsonschema.SchemaExt, error) {
	value, ok := obj[extensionKeyword]
	if !ok {
		return nil, nil // the compiler takes this for: no such keyword here
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	e := &extension{}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, errors.New(extensionKeyword + " is not as Kratos has it")
	}
	e.rules = e.rulesOf(obj["format"])
	return e, nil
}

func (e *extension) protects() bool {
	return e.identifier() || e.Verification.Via != "" || e.Recovery.Via != ""
}

func (e *extension) identifier() bool {
	for _, credential := range e.Credentials {
		if credential.Identifier {
			return true
		}
	}
	return false
}

// vias are the ways by which a value must have been verified.
func (e *extension) vias() []string {
	vias := []string{e.Verification.Via, e.Recovery.Via}
	for _, credential := range e.Credentials {
		if credential.Identifier {
			vias = append(vias, credential.Via)
		}
	}
	slices.Sort(vias)
	return slices.DeleteFunc(slices.Compact(vias), func(via string) bool { return via == "" })
}

// step is one name of a path, or any name at all.
type step struct {
	name string
	any  bool
}

// guard is a place where a value is protected: the path, and everything below it.
type guard struct {
	path []step
	vias []string
}

// touches reports whether the paths are the same, or one lies below the other.
func (g guard) touches(path []string) bool {
	for i := range min(len(g.path), len(path)) {
		if !g.path[i].any && g.path[i].name != path[i] {
			return false
		}
	}
	return true
}

// protected reports whether a trait is protected, and by which ways a value must have
// been verified to fill it.
func (s *Schema) protected(path []string) (isProtected bool, vias []string) {
	for _, g := range s.guards {
		if g.touches(path) {
			isProtected = true
			vias = append(vias, g.vias...)
		}
	}
	return isProtected, vias
}

// Bounds of the survey, far beyond any schema that people write.
const (
	maxDepth  = 32
	maxVisits = 20_000
)

var errTooLarge = errors.New("its traits are nested too deeply, or refer to one another too often")

// survey walks the schema, along everything that Kratos would follow for a value:
// whatever may hold of a trait is taken to hold.
func (s *Schema) survey() error {
	w := &walker{nodes: map[string]*node{}}
	if err := w.visit(s.compiled, place{}); err != nil {
		return err
	}
	s.guards, s.refused = w.guards, w.refused
	for _, key := range slices.Sorted(maps.Keys(w.nodes)) {
		n := w.nodes[key]
		if n.inner || n.wild || len(n.trait.Path) == 0 {
			continue
		}
		if len(n.types) == 1 {
			n.trait.Type = n.types[0]
		}
		if len(n.elements) == 1 {
			n.trait.Element = n.elements[0]
		}
		s.traits = append(s.traits, n.trait)
	}
	return nil
}

type node struct {
	trait Trait
	types []string
	// elements are the types of what a list holds, and of what lists in it hold
	elements []string
	inner    bool // there are traits below
	wild     bool // the name is not known
}

type walker struct {
	nodes   map[string]*node
	guards  []guard
	refused []Violation
	stack   []*jsonschema.Schema
	visits  int
}

// place is where a schema holds: the path from the identity, whose first name is
// traits, and whether it is about what a list there contains.
type place struct {
	path []step
	list bool
}

func (p place) outside() bool { return len(p.path) > 0 && p.path[0] != step{name: "traits"} }

// below is the place of a property. What is in a list has no path of its own.
func (p place) below(next step) place {
	if p.list {
		return p
	}
	return place{path: append(slices.Clone(p.path), next)}
}

// visit collects what a schema says of the values at a place.
func (w *walker) visit(s *jsonschema.Schema, at place) error {
	if s == nil || at.outside() {
		return nil
	}
	w.visits++
	if w.visits > maxVisits || len(w.stack) > maxDepth {
		return errTooLarge
	}
	if slices.Contains(w.stack, s) {
		// The schema contains itself: from here on anything may be an address.
		if len(at.path) > 0 {
			w.guards = append(w.guards, guard{path: at.path[1:]})
		}
		return nil
	}
	w.stack = append(w.stack, s)
	defer func() { w.stack = w.stack[:len(w.stack)-1] }()
	if len(at.path) > 0 {
		w.note(s, at)
	}
	for _, same := range alternatives(s) {
		if err := w.visit(same, at); err != nil {
			return err
		}
	}
	for _, element := range elements(s) {
		if err := w.visit(element, place{path: at.path, list: true}); err != nil {
			return err
		}
	}
	return w.descend(s, at)
}

func (w *walker) descend(s *jsonschema.Schema, at place) error {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if err := w.visit(s.Properties[name], at.below(step{name: name})); err != nil {
			return err
		}
	}
	unnamed := slices.Collect(maps.Values(s.PatternProperties))
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	for _, child := range append(unnamed, additional, s.UnevaluatedProperties) {
		if err := w.visit(child, at.below(step{any: true})); err != nil {
			return err
		}
	}
	return nil
}

// note records what the schema itself says of a trait.
func (w *walker) note(s *jsonschema.Schema, at place) {
	n := w.node(at.path[1:])
	if s.Types != nil {
		into := &n.types
		if at.list {
			into = &n.elements
		}
		for _, name := range s.Types.ToStrings() {
			if name != "null" && !slices.Contains(*into, name) {
				*into = append(*into, name)
			}
		}
	}
	for _, ext := range s.Extensions {
		e, ok := ext.(*extension)
		if !ok || !e.protects() {
			continue
		}
		if e.rules.never != "" {
			w.refuse(at.path[1:], e.rules.never)
		}
		n.trait.Identifier = n.trait.Identifier || e.identifier()
		n.trait.Verification = cmp.Or(n.trait.Verification, e.Verification.Via)
		n.trait.Recovery = cmp.Or(n.trait.Recovery, e.Recovery.Via)
		w.guards = append(w.guards, guard{path: at.path[1:], vias: e.vias()})
	}
}

// node finds or makes the node of a path, and tells those above that they are none
// of the leaves.
func (w *walker) node(path []step) *node {
	names := make([]string, len(path))
	wild := false
	for i, next := range path {
		names[i] = next.name
		wild = wild || next.any
		if above := w.nodes[key(names[:i], wild)]; above != nil {
			above.inner = true
		}
	}
	n := w.nodes[key(names, wild)]
	if n == nil {
		n = &node{trait: Trait{Path: names}, wild: wild}
		w.nodes[key(names, wild)] = n
	}
	return n
}

func key(names []string, wild bool) string {
	if wild {
		return "\x01" + strings.Join(names, "\x00")
	}
	return strings.Join(names, "\x00")
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

// elements are the schemas that may hold of what a list contains.
func elements(s *jsonschema.Schema) []*jsonschema.Schema {
	out := append([]*jsonschema.Schema{s.Contains, s.Items2020, s.UnevaluatedItems}, s.PrefixItems...)
	for _, items := range []any{s.Items, s.AdditionalItems} {
		switch items := items.(type) {
		case *jsonschema.Schema:
			out = append(out, items)
		case []*jsonschema.Schema:
			out = append(out, items...)
		}
	}
	return out
}
