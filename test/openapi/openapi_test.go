package openapi_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"ferry/test/openapi"
)

// TestCheckAnswer: the comparison can fail.
func TestCheckAnswer(t *testing.T) {
	t.Parallel()
	doc, err := openapi.Read("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const hook = "/hooks/password-migration"
	for name, c := range map[string]struct {
		method, path string
		status       int
		media, body  string
		valid        bool
	}{
		"a match":              {"POST", hook, 200, "application/json", `{"status":"password_match"}`, true},
		"with a parameter":     {"POST", hook, 200, "application/json; charset=UTF-8", `{"status":"password_match"}`, true},
		"another status":       {"POST", hook, 500, "application/json", `{"status":"password_match"}`, false},
		"another word":         {"POST", hook, 200, "application/json", `{"status":"no_match"}`, false},
		"one field more":       {"POST", hook, 403, "application/json", `{"status":"no_match","user":"x"}`, false},
		"no JSON":              {"POST", hook, 403, "application/json", `no_match`, false},
		"two values":           {"POST", hook, 403, "application/json", `{"status":"no_match"}{}`, false},
		"another media type":   {"POST", hook, 403, "text/plain", `{"status":"no_match"}`, false},
		"another path":         {"POST", "/hooks", 200, "application/json", `{}`, false},
		"another method":       {"GET", hook, 200, "application/json", `{"status":"password_match"}`, false},
		"a body where none is": {"POST", "/hooks/after-login", 204, "application/json", `{}`, false},
		"no body":              {"POST", "/hooks/after-login", 204, "", "", true},
		"an invalid time":      {"GET", "/mode", 200, "application/json", `{"mode":"on","cohort":"all","since":"today","by":"start","at_restart":{"mode":"on","cohort":"all"}}`, false},
		"a reference":          {"GET", "/mode", 200, "application/json", `{"mode":"ON","cohort":"all","since":"2026-11-29T02:07:44Z","by":"start","at_restart":{"mode":"on","cohort":"all"}}`, false},
	} {
		if err := doc.CheckAnswer(c.method, c.path, c.status, c.media, c.body); (err == nil) != c.valid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if doc.CheckRequest("POST", hook, `{"identifier":"a"}`) == nil || doc.CheckRequest("GET", "/version", `{}`) == nil {
		t.Error("a request without a password, or to a path without requests, is valid")
	}
	if got := doc.Operations("hooks"); len(got) != 4 || !slices.Contains(got, "POST "+hook) {
		t.Errorf("the hooks are %q", got)
	}
}

// TestDocument: docs/openapi.yaml is an OpenAPI 3.1 document, by the OpenAPI Initiative's
// schema (testdata/oas-3.1.json, https://spec.openapis.org/oas/3.1/schema/2022-10-07).
func TestDocument(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile("testdata/oas-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("oas.json", tree); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("oas.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		asJSON, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(value)
	}
	if err := check(string(text)); err != nil {
		t.Error(err)
	}
	for before, after := range map[string]string{
		"openapi: 3.1.0":           "openapi: 3.1.0\nroutes: {}",
		"      tags: [hooks]":      "      tag: hooks",
		"          in: header":     "          in: head",
		`          description: Y`: `          descriptio: Y`,
	} {
		broken := strings.Replace(string(text), before, after, 1)
		if broken == string(text) || check(broken) == nil {
			t.Errorf("%q is accepted, or has nothing to replace", after)
		}
	}
}
