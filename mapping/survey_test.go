package mapping_test

import (
	"testing"

	"ferry/mapping"
)

// TestSurveyOfSharedAndRecursiveSchemas: a definition may be used twice on one path, and a
// schema that contains itself in several branches ends.
func TestSurveyOfSharedAndRecursiveSchemas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ traits, want string }{
		"shared":    {`"properties":{"a":{"$ref":"#/definitions/i","properties":{"b":{"allOf":[{"$ref":"#/definitions/i"}]}}}}`, "a.b true"},
		"recursive": {`"$ref":"#/definitions/p"`, "i true"},
	} {
		schema, err := mapping.ParseSchema([]byte(`{"$schema":"https://json-schema.org/draft/2019-09/schema","definitions":{"i":{` + anIdentifier + `},` +
			`"p":{"allOf":[{"properties":{"x":{"$ref":"#/definitions/p"},"y":{"$ref":"#/definitions/p"}}},{"properties":{"x":{"$ref":"#/definitions/p"},"i":{"$ref":"#/definitions/i"}}}]}},` +
			`"properties":{"traits":{` + c.traits + `}}}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := false
		for _, trait := range schema.Traits() {
			got = got || trait.Name()+" "+map[bool]string{true: "true"}[trait.Identifier] == c.want
		}
		if !got {
			t.Errorf("%s: %v", name, schema.Traits())
		}
	}
}
