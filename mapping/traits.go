package mapping

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Trait is a leaf of a schema's traits. A list is a leaf, whatever it contains.
type Trait struct {
	// Path is its path below traits.
	Path []string
	// Type is the JSON Schema type of its values; empty if the schema allows several, or
	// any.
	Type string
	// Element is the type of a list's elements; empty if the trait is not a list.
	Element string
	// Identifier reports whether users log in with it.
	Identifier bool
	// Recovery and Verification are email, sms or empty.
	Recovery, Verification string
}

// Name is the dotted path.
func (t Trait) Name() string { return strings.Join(t.Path, ".") }

// Protected reports whether the trait is an identifier, or an address for recovery or
// verification: filled only from what was verified, and never overwritten.
func (t Trait) Protected() bool { return t.Identifier || t.Recovery != "" || t.Verification != "" }

// extensionKeyword is Kratos' own keyword in identity schemas.
const extensionKeyword = "ory.sh/kratos"

// extension is the part of the keyword's value about identifiers and addresses. All
// credentials count, also those that Kratos does not support yet.
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
		return nil, nil // the compiler reads this as: no such keyword here
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	e := &extension{}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, errors.New(extensionKeyword + " does not have the form that Kratos expects")
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

// vias returns the ways by which a value must have been verified.
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

// protected reports whether a trait is protected: it is a handle, lies below one, or has
// one below it. vias are the ways by which a value must have been verified to fill it.
func (s *Schema) protected(path []string) (isProtected bool, vias []string) {
	all := s.leading
	var found nodes
	for _, name := range path {
		for _, n := range all {
			if n.ext != nil {
				found = append(found, n)
			}
		}
		all = all.ofProperty(name)
	}
	for _, n := range append(found, all.reach()...) {
		if n.ext != nil {
			isProtected = true
			vias = append(vias, n.ext.vias()...)
		}
	}
	return isProtected, vias
}

// HasPasswordIdentifier reports whether a trait is an identifier for passwords.
func (s *Schema) HasPasswordIdentifier() bool {
	return slices.ContainsFunc(s.nodes.reach(), func(n *node) bool { return n.ext != nil && n.ext.Credentials["password"].Identifier })
}
