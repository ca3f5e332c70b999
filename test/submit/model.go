package submit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Release is a release of Kratos whose reading differs.
type Release int

// The releases.
const (
	V131 Release = iota
	V262
)

// Model reads requests in the same steps and with the same libraries as Kratos. It depends
// on the order in which Kratos happens to insert fields.
type Model struct {
	Release Release
	// Shuffle orders the names of the fields, in place. Kratos' order is random.
	Shuffle func(names []string)
}

// Reading is what Kratos reads in a request.
type Reading struct {
	Method   string
	Texts    map[string]string // by field, without empty ones
	Traits   json.RawMessage   // of a registration
	Password string
}

var errRefused = errors.New("kratos answers 400")

// kind is the type of a field in Kratos' schema.
type kind int

const (
	text kind = iota
	object
	list
)

func schema(route, strategy string) map[string]kind {
	fields := map[string]kind{"method": text, "csrf_token": text, "transient_payload": object}
	texts := map[string][]string{
		"login password":         {"password", "identifier", "password_identifier"},
		"login code":             {"code", "identifier", "address", "resend", "flow"},
		"login identifier_first": {"identifier"},
		"login oidc":             {"provider", "id_token", "id_token_nonce", "upstream_parameters.login_hint"},
		"recovery code":          {"code", "email", "recovery_address", "recovery_select_address", "recovery_confirm_address", "screen", "flow"},
		"recovery link":          {"token", "email", "flow"},
		"verification code":      {"code", "email", "flow"},
		"verification link":      {"token", "email", "flow"},
		"registration password":  {"password"},
		"registration code":      {"code", "resend"},
		"registration profile":   {"screen"},
	}
	for _, name := range texts[route+" "+strategy] {
		fields[name] = text
	}
	if route == "registration" || strategy == "oidc" {
		fields["traits"], fields["traits.email"], fields["traits.name"] = object, text, object
		fields["traits.name.nick"], fields["traits.emails"] = text, list
	}
	if strategy == "oidc" {
		fields["upstream_parameters"] = object
	}
	return fields
}

// Read returns what the strategy reads in a POST to /self-service/ROUTE. ok is false if it
// refuses the body, or if another method is meant.
func (m Model) Read(route, strategy, query, contentType string, body []byte) (Reading, bool) {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{RawQuery: query}, Header: http.Header{"Content-Type": {contentType}}, ContentLength: int64(len(body)),
	}
	both := route == "recovery" || route == "verification"
	if route == "login" && strategy != "password" { // the strategy oidc comes first
		if _, err := m.decode(r, body, schema(route, "oidc"), true); err != nil {
			return Reading{}, false
		}
	}
	if !both {
		got, err := m.decode(r, body, map[string]kind{"method": text}, false)
		if err != nil || got.Method != strategy {
			return Reading{}, false
		}
	}
	got, err := m.decode(r, body, schema(route, strategy), both)
	if err != nil || !gjson.ParseBytes(got.transient).IsObject() {
		return Reading{}, false
	}
	return got.Reading, true
}

type decoded struct {
	Reading
	transient json.RawMessage
}

func (m Model) decode(r *http.Request, body []byte, fields map[string]kind, queryToo bool) (decoded, error) {
	r.Body, r.Form, r.PostForm = bodyOf(body), nil, nil
	switch {
	case r.ContentLength == 0:
		return decoded{}, errRefused
	case m.hasType(r, "application/json"):
		return m.decodeJSON(r, body, fields, queryToo)
	case m.hasType(r, "application/x-www-form-urlencoded", "multipart/form-data"):
		return m.decodeForm(r, fields, queryToo)
	default:
		return decoded{}, errRefused
	}
}

func (m Model) hasType(r *http.Request, types ...string) bool {
	headers := []string{r.Header.Get("Content-Type")}
	if m.Release == V131 {
		headers = strings.Split(headers[0], ",")
	}
	for _, header := range headers {
		mediaType, _, err := mime.ParseMediaType(strings.TrimSpace(header))
		if err != nil {
			return false
		}
		if slices.Contains(types, mediaType) {
			return true
		}
	}
	return false
}

func (m Model) decodeJSON(r *http.Request, body []byte, fields map[string]kind, queryToo bool) (decoded, error) {
	var first json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&first); err != nil {
		return decoded{}, errRefused
	}
	parsed := gjson.ParseBytes(first)
	if !parsed.IsObject() {
		return decoded{}, errRefused
	}
	values := url.Values{}
	parsed.ForEach(func(name, value gjson.Result) bool {
		values.Set(name.String(), value.String())
		return true
	})
	if queryToo {
		_ = r.ParseForm() // Kratos ignores errors as well
		for name := range r.Form {
			values.Set(name, r.Form.Get(name))
		}
	}
	raw, err := m.insert(values, fields)
	if err != nil {
		return decoded{}, err
	}
	return assign(raw, json.Unmarshal)
}

func (m Model) decodeForm(r *http.Request, fields map[string]kind, queryToo bool) (decoded, error) {
	if err := r.ParseForm(); err != nil {
		return decoded{}, errRefused
	}
	values := r.PostForm
	if queryToo {
		values = r.Form
	}
	raw, err := m.insert(values, fields)
	if err != nil {
		return decoded{}, err
	}
	return assign(raw, func(raw []byte, to any) error { return json.NewDecoder(bytes.NewReader(raw)).Decode(to) })
}

// insert makes one JSON text of the fields.
func (m Model) insert(values url.Values, fields map[string]kind) ([]byte, error) {
	names := []string{}
	for name := range values {
		if _, ok := fields[name]; ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	m.Shuffle(names)
	raw := []byte(`{}`)
	for _, name := range names {
		var err error
		switch first := values.Get(name); {
		case fields[name] == list:
			raw, err = sjson.SetBytes(raw, name, values[name])
		case first == "":
		case fields[name] == text, name == "traits.name" && !strings.ContainsAny(first, `"{}[]`): // another schema may call it text
			raw, err = sjson.SetBytes(raw, name, first)
		default:
			raw, err = sjson.SetRawBytes(raw, name, []byte(first))
		}
		if err != nil {
			return nil, errRefused
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] == object && !gjson.GetBytes(raw, name).Exists() {
			var err error
			if raw, err = sjson.SetRawBytes(raw, name, []byte(`{}`)); err != nil {
				return nil, errRefused
			}
		}
	}
	return raw, nil
}

// assign decodes the JSON text into the fields of Kratos' structs.
func assign(raw []byte, unmarshal func([]byte, any) error) (decoded, error) {
	var s struct {
		Method             string          `json:"method"`
		Password           string          `json:"password"`
		Identifier         string          `json:"identifier"`
		PasswordIdentifier string          `json:"password_identifier"`
		Address            string          `json:"address"`
		Code               string          `json:"code"`
		Resend             string          `json:"resend"`
		Token              string          `json:"token"`
		Email              string          `json:"email"`
		RecoveryAddress    string          `json:"recovery_address"`
		RecoveryConfirm    string          `json:"recovery_confirm_address"`
		Screen             string          `json:"screen"`
		Flow               string          `json:"flow"`
		Provider           string          `json:"provider"`
		Transient          json.RawMessage `json:"transient_payload"`
		Traits             json.RawMessage `json:"traits"`
	}
	if err := unmarshal(raw, &s); err != nil {
		return decoded{}, errRefused
	}
	texts := map[string]string{
		"identifier": s.Identifier, "password_identifier": s.PasswordIdentifier, "address": s.Address, "code": s.Code, "resend": s.Resend, "token": s.Token,
		"email": s.Email, "recovery_address": s.RecoveryAddress, "recovery_confirm_address": s.RecoveryConfirm, "screen": s.Screen, "flow": s.Flow, "provider": s.Provider,
	}
	for name, value := range texts {
		if value == "" {
			delete(texts, name)
		}
	}
	return decoded{Reading: Reading{Method: s.Method, Password: s.Password, Texts: texts, Traits: s.Traits}, transient: s.Transient}, nil
}

func bodyOf(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }

// Identifiers are the identifiers and addresses that Kratos looks up after this reading, as
// typed. At a registration, these are the traits email, name.nick and emails.
func (r Reading) Identifiers(route string) []string {
	first := func(names ...string) []string {
		for _, name := range names {
			if r.Texts[name] != "" {
				return []string{r.Texts[name]}
			}
		}
		return nil
	}
	switch {
	case route == "login" && r.Method == "password":
		return first("identifier", "password_identifier")
	case route == "login":
		return first("identifier", "address")
	case route == "registration":
		return r.traits()
	case r.Texts["email"] != "":
		return first("email")
	default:
		return append(first("recovery_address"), first("recovery_confirm_address")...)
	}
}

func (r Reading) traits() []string {
	var traits map[string]any
	if json.Unmarshal(r.Traits, &traits) != nil {
		return nil
	}
	name, _ := traits["name"].(map[string]any)
	found := []any{traits["email"], name["nick"]}
	emails, _ := traits["emails"].([]any)
	var texts []string
	for _, value := range append(found, emails...) {
		if text, ok := value.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
