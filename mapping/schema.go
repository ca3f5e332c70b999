package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema is a Kratos identity schema. It is safe for concurrent use.
type Schema struct {
	compiled *jsonschema.Schema
	nodes    nodes // of the traits
	leading  nodes // those that lead to identifiers and addresses
	traits   []Trait
	refused  []Violation
}

// location names the schema where it has no $id; references are relative to it.
const location = "identity:///identity.schema.json"

// ParseSchema reads an identity schema: draft-07 (the default), 2019-09 or 2020-12, with
// Kratos' keyword ory.sh/kratos. It asserts formats, as Kratos does. It fetches nothing:
// a $ref to another document is an error.
func ParseSchema(text []byte) (*Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read identity schema: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	compiler.UseLoader(noLoader{})
	compiler.AssertFormat()
	compiler.AssertVocabs()
	compiler.RegisterVocabulary(&jsonschema.Vocabulary{URL: extensionKeyword, Compile: compileExtension})
	for _, format := range formats() {
		compiler.RegisterFormat(format)
	}
	if err := compiler.AddResource(location, doc); err != nil {
		return nil, fmt.Errorf("read identity schema: %w", err)
	}
	compiled, err := compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("read identity schema: %w", err)
	}
	s := &Schema{compiled: compiled, nodes: traitNodes(compiled)}
	s.leading = s.leading.with(s.nodes)
	surveyor := surveyor{schema: s}
	if err := surveyor.visit(s.nodes, nil, false); err != nil {
		return nil, fmt.Errorf("read identity schema: %w", err)
	}
	slices.SortFunc(s.traits, func(a, b Trait) int { return slices.Compare(a.Path, b.Path) })
	return s, nil
}

type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("it is outside the schema, and ferry fetches nothing")
}

// Traits are the leaves of the schema's traits, in the order of their paths.
func (s *Schema) Traits() []Trait { return slices.Clone(s.traits) }

// Validate checks traits as Kratos does. Its error is an [InvalidError].
func (s *Schema) Validate(traits map[string]any) error {
	if traits == nil {
		traits = map[string]any{}
	}
	err := s.compiled.Validate(map[string]any{"traits": traits})
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return errors.New("validate traits: the schema cannot be applied")
	}
	var found []Violation
	collect(invalid, &found)
	slices.SortFunc(found, func(a, b Violation) int {
		return strings.Compare(a.String(), b.String())
	})
	return &InvalidError{Violations: slices.CompactFunc(found, func(a, b Violation) bool { return a.String() == b.String() })}
}

// InvalidError lists every violation of a schema by traits.
type InvalidError struct{ Violations []Violation }

// Error contains paths and rules, but no values.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		lines[i] = v.String()
	}
	return "not valid by the identity schema: " + strings.Join(lines, "; ")
}

// Violation is a rule of the schema that the traits break at one path.
type Violation struct {
	// Path is the path of the value, or of the missing one; it begins with traits.
	Path []string
	// Rule describes the violation, without the value.
	Rule string
}

// String is the dotted path and the rule.
func (v Violation) String() string {
	if len(v.Path) == 0 {
		return v.Rule
	}
	return strings.Join(v.Path, ".") + " " + v.Rule
}

// collect appends the errors that have no further cause.
func collect(e *jsonschema.ValidationError, found *[]Violation) {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			collect(cause, found)
		}
		return
	}
	at := slices.Clone(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			*found = append(*found, Violation{append(slices.Clone(at), name), "is missing"})
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			*found = append(*found, Violation{append(slices.Clone(at), name), "is not known to the schema"})
		}
	case *kind.FalseSchema:
		*found = append(*found, Violation{at, "is not known to the schema"})
	case kratosKind:
		*found = append(*found, Violation{at, k.rule})
	case *kind.Type:
		*found = append(*found, Violation{at, fmt.Sprintf("is %s, not %s", k.Got, strings.Join(k.Want, " or "))})
	case *kind.Format:
		*found = append(*found, Violation{at, "is not of the format " + k.Want})
	case *kind.MinLength:
		*found = append(*found, Violation{at, fmt.Sprintf("has %d characters, fewer than %d", k.Got, k.Want)})
	case *kind.MaxLength:
		*found = append(*found, Violation{at, fmt.Sprintf("has %d characters, more than %d", k.Got, k.Want)})
	default:
		*found = append(*found, Violation{at, "does not satisfy " + keyword(e.ErrorKind)})
	}
}

func keyword(k jsonschema.ErrorKind) string {
	if path := k.KeywordPath(); len(path) > 0 {
		return path[0]
	}
	return "the schema"
}
