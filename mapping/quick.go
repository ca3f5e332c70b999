package mapping

import (
	"encoding/json"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// quick is a schema whose rules are few and simple, as those of most traits are. It
// says yes a few times as fast as the validator does; where it does not, the validator
// has the word.
type quick struct {
	types      []string // none: any
	format     *jsonschema.Format
	min, max   *int // characters of a text
	required   []string
	properties map[string]*quick // nil: only the validator knows
	open       bool              // properties that are not named may have any value
}

// quickTraits is what the schema of an identity says of its traits; nil where only the
// validator knows.
func quickTraits(identity *jsonschema.Schema) *quick {
	q := quickOf(identity)
	others := func(name string) bool { return name != "traits" }
	if q == nil || q.format != nil || !q.is("object") || slices.ContainsFunc(q.required, others) {
		return nil
	}
	return q.properties["traits"]
}

// quickOf is nil where the schema has any rule that is not known here.
func quickOf(s *jsonschema.Schema) *quick {
	if s == nil || !onlyQuickRules(s) {
		return nil
	}
	q := &quick{format: s.Format, required: s.Required, min: s.MinLength, max: s.MaxLength, properties: map[string]*quick{}}
	if s.Types != nil {
		q.types = s.Types.ToStrings()
	}
	for name, property := range s.Properties {
		q.properties[name] = quickOf(property)
	}
	more, isBool := s.AdditionalProperties.(bool)
	q.open = s.AdditionalProperties == nil || isBool && more
	return q
}

// onlyQuickRules holds the whole of a schema against what quick knows, so that a rule
// which the library learns some day is not passed over.
func onlyQuickRules(s *jsonschema.Schema) bool {
	all := reflect.ValueOf(s).Elem()
	for i := range all.NumField() {
		field := all.Type().Field(i)
		switch field.Name {
		case "Types", "Format", "MinLength", "MaxLength", "Required", "Properties", "AdditionalProperties":
		case "DraftVersion", "Location", "ID", "Anchor", "DynamicAnchor", "RecursiveAnchor": // say where and what it is
		case "Title", "Description", "Default", "Comment", "ReadOnly", "WriteOnly", "Examples", "Deprecated": // refuse nothing
		case "Extensions":
			for _, ext := range s.Extensions {
				if e, own := ext.(*extension); !own || e.rules.any() {
					return false
				}
			}
		default:
			if field.IsExported() && !all.Field(i).IsZero() {
				return false
			}
		}
	}
	return true
}

func (q *quick) is(kind string) bool { return len(q.types) == 0 || slices.Contains(q.types, kind) }

// allows reports whether the value is valid for certain.
func (q *quick) allows(value any) bool {
	if q == nil || q.format != nil && q.format.Validate(value) != nil {
		return false
	}
	switch value := value.(type) {
	case nil:
		return q.is("null")
	case bool:
		return q.is("boolean")
	case json.Number:
		return q.is("number")
	case string:
		return q.is("string") && q.allowsLength(value)
	case map[string]any:
		return q.is("object") && q.allowsObject(value)
	default:
		return false
	}
}

func (q *quick) allowsLength(text string) bool {
	length := utf8.RuneCountInString(text)
	return (q.min == nil || length >= *q.min) && (q.max == nil || length <= *q.max)
}

func (q *quick) allowsObject(object map[string]any) bool {
	for _, name := range q.required {
		if _, ok := object[name]; !ok {
			return false
		}
	}
	for name, value := range object {
		property, known := q.properties[name]
		if known && !property.allows(value) || !known && !q.open {
			return false
		}
	}
	return true
}
