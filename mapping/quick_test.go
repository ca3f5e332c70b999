package mapping_test

import (
	"encoding/json"
	netmail "net/mail"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ferry/mapping"
)

func schemaRules() []string {
	return []string{
		``, `"type":"string"`, `"type":["string","null"]`, `"type":"number"`, `"type":"integer"`, `"type":"boolean"`, `"type":"null"`,
		`"type":"object"`, `"type":"array"`, `"format":"email"`, `"format":"tel"`, `"format":"uri"`, `"format":"date"`, `"minLength":2`, `"maxLength":3`,
		`"minLength":1,"maxLength":2`, `"pattern":"^a"`, `"enum":["a",1,null]`, `"const":"a"`, `"minimum":2`, `"items":{"type":"string"}`,
		`"required":["a"]`, `"additionalProperties":false`, `"additionalProperties":{"type":"string"}`, `"properties":{"a":{"type":"string"},"b":true,"c":false}`,
		`"properties":{"a":{"minLength":2}},"additionalProperties":false,"required":["a"]`, `"patternProperties":{"^a":{"type":"number"}}`,
		`"not":{"type":"string"}`, `"anyOf":[{"type":"string"},{"type":"object"}]`, `"$ref":"#/definitions/d"`, `"if":{"type":"string"},"then":{"minLength":3}`,
		`"maxProperties":1`, `"propertyNames":{"maxLength":1}`, `"dependencies":{"a":["b"]}`, `"unevaluatedProperties":false`, `"dependentRequired":{"a":["b"]}`,
		`"title":"t","description":"d","default":1,"readOnly":true`, anIdentifier,
	}
}

func schemaDrafts() []string {
	return []string{
		``, `"$schema":"http://json-schema.org/draft-07/schema#",`, `"$schema":"https://json-schema.org/draft/2019-09/schema",`,
		`"$schema":"https://json-schema.org/draft/2020-12/schema",`,
	}
}

func traitValues() []any {
	return []any{
		"", "a", "ab", "abcd", "ü", "kim@example.org", "+4915199990001", "2024-02-01", "https://x.org/", nil, true, json.Number("1"), json.Number("2.5"), 1.0, 3,
		[]any{},
		[]any{"a"},
		[]any{1.0},
		map[string]any{},
		map[string]any{"a": "a"},
		map[string]any{"a": "ab"},
		map[string]any{"a": json.Number("1"), "b": nil},
		map[string]any{"c": "c"},
		map[string]any{"ab": "x"},
		struct{}{},
	}
}

// sameVerdict holds the quick answer against the library's.
func sameVerdict(t rapid.TB, text string, schema *mapping.Schema, traits map[string]any) (valid, quick bool) {
	t.Helper()
	got, want := schema.Validate(traits), schema.ValidateWhole(traits)
	if (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
		t.Fatalf("schema %s\ntraits %v\nvalidated as %v, by the library as %v", text, traits, got, want)
	}
	return want == nil, schema.IsQuick(traits)
}

// TestQuickRules: every rule by itself, with every value.
func TestQuickRules(t *testing.T) {
	for _, rule := range schemaRules() {
		for _, draft := range schemaDrafts() {
			for _, text := range []string{
				`{` + draft + `"definitions":{"d":{"maxLength":1}},"properties":{"traits":{"properties":{"a":{` + rule + `}}}}}`,
				`{` + draft + `"definitions":{"d":{"maxProperties":1}},"properties":{"traits":{` + rule + `}}}`,
				`{` + draft + `"definitions":{"d":{"required":["x"]}},` + rule + comma(rule) + `"title":"x"}`,
			} {
				schema, err := mapping.ParseSchema([]byte(text))
				if err != nil {
					t.Fatal(text, err)
				}
				for _, value := range traitValues() {
					sameVerdict(t, text, schema, map[string]any{"a": value})
					if traits, ok := value.(map[string]any); ok {
						sameVerdict(t, text, schema, traits)
					}
				}
				sameVerdict(t, text, schema, nil)
			}
		}
	}
}

func comma(rule string) string {
	if rule == "" {
		return ""
	}
	return ","
}

// TestQuickValidate: rules together.
func TestQuickValidate(t *testing.T) {
	rules, drafts, scalars := rapid.SampledFrom(schemaRules()), rapid.SampledFrom(schemaDrafts()), rapid.SampledFrom(traitValues())
	heads := rapid.SampledFrom([]string{``, `"type":"object",`, `"required":["traits"],`, `"required":["traits","more"],`, `"type":"string",`, `"minProperties":2,`, `"additionalProperties":false,`})
	tails := rapid.SampledFrom([]string{``, `"type":"object",`, `"additionalProperties":false,`, `"required":["b"],`})
	keys := rapid.SampledFrom([]string{"a", "b", "c", "ab"})
	objects := rapid.Map(rapid.MapOf(keys, scalars), func(m map[string]any) any { return m })
	valid, quick := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) string { return `{` + rules.Draw(t, label) + `}` }
		text := `{` + drafts.Draw(t, "draft") + heads.Draw(t, "head") + `"definitions":{"d":` + some("d") + `},"properties":{"traits":{"properties":{"a":` +
			some("a") + `,"b":` + some("b") + `},` + tails.Draw(t, "tail") + `"title":"x"}}}`
		schema, err := mapping.ParseSchema([]byte(text))
		if err != nil {
			return // a definition that refers to itself, say
		}
		isValid, isQuick := sameVerdict(t, text, schema, rapid.MapOf(keys, rapid.OneOf(scalars, objects)).Draw(t, "traits"))
		if isValid {
			valid++
		}
		if isQuick {
			quick++
		}
	})
	if valid == 0 || quick == 0 || quick == valid {
		t.Errorf("of %d valid traits %d were answered quickly: nothing is shown", valid, quick)
	}
}

// TestQuickPerson: the traits of the usual schema take the quick way.
func TestQuickPerson(t *testing.T) {
	identity, err := mapping.Default(person(t)).Map(kim(t))
	if err != nil || !person(t).IsQuick(identity.Traits) {
		t.Errorf("not quick: %v, %v", identity.Traits, err)
	}
}

// TestIsEmail: whatever passes, the parser of addresses takes as one.
func TestIsEmail(t *testing.T) {
	parts := rapid.StringOfN(rapid.SampledFrom([]rune("aZ09._+-@@..\"<>() ,;:\\[]ü\u212a%!")), 0, 70, -1)
	check := func(t rapid.TB, text string) {
		t.Helper()
		if a, err := netmail.ParseAddress(text); mapping.IsEmail(text) && err != nil {
			t.Fatalf("%q passes; it is %v, %v", text, a, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, parts.Draw(t, "text"))
		check(t, parts.Draw(t, "local")+"@"+rapid.StringMatching(`[a-z0-9.-]{1,8}`).Draw(t, "domain"))
		check(t, rapid.StringMatching(`[a-zA-Z0-9._+-]{0,8}`).Draw(t, "plain local")+"@example.org"+rapid.SampledFrom([]string{"", "."}).Draw(t, "end"))
	})
	for text, want := range map[string]bool{
		"kim@example.org": true, "kim.s+x_y-z@example.org": true, "1@x": true, strings.Repeat("a", 64) + "@x.org": true, "jörg@x.org": true, `"k m"@x.org`: true,
		"": false, "@x.org": false, ".kim@x.org": false, "kim.@x.org": false, "k..m@x.org": false, "k m@x.org": false, "kim@x.org.": false, "kim@-x.org": false,
		strings.Repeat("a", 65) + "@x.org": false, "a@b@x.org": false,
	} {
		if mapping.IsEmail(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
