// Package openapi compares answers and routes with docs/openapi.yaml. The tests of hook and
// admin use it: every answer that they get from ferry's handlers must be one that the
// document has. It reads no other document, and follows references within it only.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is docs/openapi.yaml with its schemas compiled.
type Document struct {
	operations map[string]operation // by method and path: POST /hooks/ensure
}

type operation struct {
	tags      []string
	request   *jsonschema.Schema // nil: there is no body
	responses map[int]response
}

// response is one answer. Without a schema it has no body.
type response struct {
	media  string
	schema *jsonschema.Schema
}

const base = "openapi.json"

// file is what is read of the document.
type file struct {
	Paths map[string]map[string]json.RawMessage `json:"paths"`
}

type operationObject struct {
	Tags        []string                  `json:"tags"`
	RequestBody *bodyObject               `json:"requestBody"`
	Responses   map[string]responseObject `json:"responses"`
}

type bodyObject struct {
	Content map[string]json.RawMessage `json:"content"`
}

type responseObject struct {
	Description string                     `json:"description"`
	Content     map[string]json.RawMessage `json:"content"`
}

// Read reads the document at path.
func Read(path string) (*Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if text, err = yaml.YAMLToJSON(text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var doc file
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(base, tree); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d := &Document{operations: map[string]operation{}}
	for at, item := range doc.Paths {
		for method, raw := range item {
			if method == "servers" {
				continue
			}
			name := strings.ToUpper(method) + " " + at
			if d.operations[name], err = compile(compiler, raw, pointer("paths", at, method)); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, name, err)
			}
		}
	}
	return d, nil
}

func compile(compiler *jsonschema.Compiler, raw json.RawMessage, at string) (operation, error) {
	var object operationObject
	if err := json.Unmarshal(raw, &object); err != nil {
		return operation{}, err
	}
	op := operation{tags: object.Tags, responses: map[int]response{}}
	var err error
	if object.RequestBody != nil {
		if _, op.request, err = content(compiler, object.RequestBody.Content, at+pointer("requestBody")[1:]); err != nil {
			return operation{}, err
		}
	}
	for code, answer := range object.Responses {
		status, err := strconv.Atoi(code)
		if err != nil {
			return operation{}, fmt.Errorf("status %s: %w", code, err)
		}
		media, schema, err := content(compiler, answer.Content, at+pointer("responses", code)[1:])
		if err != nil {
			return operation{}, err
		}
		op.responses[status] = response{media, schema}
	}
	return op, nil
}

// content compiles the schema of the only media type, if there is one.
func content(compiler *jsonschema.Compiler, types map[string]json.RawMessage, at string) (media string, schema *jsonschema.Schema, err error) {
	if len(types) > 1 {
		return "", nil, fmt.Errorf("%s has several media types", at)
	}
	for media := range types {
		schema, err := compiler.Compile(base + at + pointer("content", media, "schema")[1:])
		return media, schema, err
	}
	return "", nil, nil
}

// pointer is a fragment with a JSON pointer.
func pointer(parts ...string) string {
	escaped := "#"
	for _, part := range parts {
		escaped += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
	}
	return escaped
}

// Operations are the methods and paths of a tag, sorted: "POST /hooks/ensure".
func (d *Document) Operations(tag string) []string {
	var names []string
	for name, op := range d.operations {
		if slices.Contains(op.tags, tag) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// CheckAnswer returns what is wrong with an answer: a status, a media type or a body that the
// document does not have.
func (d *Document) CheckAnswer(method, path string, status int, mediaType, body string) error {
	op, ok := d.operations[method+" "+path]
	if !ok {
		return fmt.Errorf("%s %s is not in the document", method, path)
	}
	want, ok := op.responses[status]
	switch {
	case !ok:
		return fmt.Errorf("%s %s does not have the status %d", method, path, status)
	case want.schema == nil && body != "":
		return fmt.Errorf("%s %s, %d: a body, %q", method, path, status, body)
	case want.schema == nil:
		return nil
	}
	media, _, err := mime.ParseMediaType(mediaType)
	if err != nil || media != want.media {
		return fmt.Errorf("%s %s, %d: media type %q, not %s", method, path, status, mediaType, want.media)
	}
	if !strings.HasSuffix(media, "json") {
		return want.schema.Validate(body)
	}
	return validate(want.schema, body)
}

// CheckRequest returns what is wrong with the body of a request.
func (d *Document) CheckRequest(method, path, body string) error {
	op, ok := d.operations[method+" "+path]
	if !ok || op.request == nil {
		return fmt.Errorf("%s %s has no request in the document", method, path)
	}
	return validate(op.request, body)
}

func validate(schema *jsonschema.Schema, body string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%q: %w", body, err)
	}
	return schema.Validate(value)
}
