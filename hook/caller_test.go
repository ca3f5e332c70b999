package hook_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"

	"ferry/wiring"
)

// TestCallers: a call without a valid key is rejected, and neither Kratos nor Auth0 is
// asked.
func TestCallers(t *testing.T) {
	set := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		ok     bool
	}{
		"bearer":            {set("Bearer " + key), true},
		"the other key":     {set("Bearer " + oldKey), true},
		"lower case":        {set("bearer " + key), true},
		"basic":             {func(r *http.Request) { r.SetBasicAuth("kratos", key) }, true},
		"basic, no user":    {func(r *http.Request) { r.SetBasicAuth("", oldKey) }, true},
		"none":              {set(), false},
		"empty":             {set(""), false},
		"bearer, no key":    {set("Bearer "), false},
		"wrong key":         {set("Bearer " + strings.ToUpper(key)), false},
		"part of the key":   {set("Bearer " + key[:32]), false},
		"more than a key":   {set("Bearer " + key + "x"), false},
		"both keys":         {set("Bearer " + key + "," + oldKey), false},
		"key as user":       {func(r *http.Request) { r.SetBasicAuth(key, "") }, false},
		"two headers":       {set("Bearer "+key, "Bearer "+key), false},
		"no scheme":         {set(key), false},
		"other scheme":      {set("Token " + key), false},
		"in another header": {func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("X-Api-Key", key) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := alice()
			h := start(t, f)
			got := h.post(t, login(), c.change)
			switch {
			case c.ok && got.body != matched:
				t.Fatalf("%+v", got)
			case !c.ok && (got.status != http.StatusUnauthorized || got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("WWW-Authenticate") == ""):
				t.Fatalf("%+v", got)
			case !c.ok && len(f.identifier)+len(f.sentCredentials) > 0:
				t.Error("Kratos or Auth0 was asked")
			}
			h.checkSilence(t, got)
		})
	}
}

// TestBadRequests: each error of the caller has its status, and neither Kratos nor
// Auth0 is asked.
func TestBadRequests(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
	}{
		"empty":                   {"", nil, 400},
		"not JSON":                {"identifier=a&password=" + canary, nil, 400},
		"not an object":           {`["a"]`, nil, 400},
		"null":                    {`null`, nil, 400},
		"two values":              {login() + login(), nil, 400},
		"trailing text":           {login() + "x", nil, 400},
		"truncated":               {login()[:30], nil, 400},
		"no password":             {`{"identifier":"a"}`, nil, 400},
		"empty password":          {`{"identifier":"a","password":""}`, nil, 400},
		"null password":           {`{"identifier":"a","password":null}`, nil, 400},
		"password as number":      {`{"identifier":"a","password":1}`, nil, 400},
		"password as list":        {`{"identifier":"a","password":["` + canary + `"]}`, nil, 400},
		"no identifier":           {`{"password":"` + canary + `"}`, nil, 400},
		"blank identifier":        {`{"identifier":" \t","password":"x"}`, nil, 400},
		"password twice":          {`{"identifier":"a","password":"x","password":"x"}`, nil, 400},
		"password twice but case": {`{"identifier":"a","password":"x","Password":"y"}`, nil, 400},
		"password in other case":  {`{"identifier":"a","Password":"x"}`, nil, 400},
		"identity as text":        {`{"identifier":"a","password":"x","identity":"b"}`, nil, 400},
		"bad UTF-8":               {"{\"identifier\":\"a\",\"password\":\"\xff\"}", nil, 400},
		"form":                    {login(), func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"no media type":           {login(), func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"other charset":           {login(), func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=latin1") }, 415},
		"compressed":              {login(), func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		"other method":            {login(), func(r *http.Request) { r.Method = http.MethodPut }, 405},
		"other path":              {login(), func(r *http.Request) { r.URL.Path = "/hooks/other" }, 404},
	} {
		t.Run(name, func(t *testing.T) {
			f := alice()
			h := start(t, f)
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			got := h.post(t, c.body, change)
			var problem struct {
				Status int
				Title  string
			}
			if got.status != c.status || got.header.Get("Content-Type") != "application/problem+json" ||
				json.Unmarshal([]byte(got.body), &problem) != nil || problem.Status != c.status || problem.Title == "" {
				t.Fatalf("%+v", got)
			}
			if len(f.identifier)+len(f.sentCredentials) > 0 {
				t.Error("Kratos or Auth0 was asked")
			}
			h.checkSilence(t, got)
		})
	}
}

func TestCharsetParameterIsAccepted(t *testing.T) {
	h := start(t, alice())
	got := h.post(t, login(), func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=UTF-8") })
	if got.body != matched {
		t.Fatalf("%+v", got)
	}
}

// payloads are requests that the real Kratos made.
type payload struct {
	URL    string
	Header http.Header
	Body   json.RawMessage
}

// payloads returns requests that a real Kratos made.
func payloads(t *testing.T, name string) []payload {
	t.Helper()
	text, err := os.ReadFile("../test/testdata/payloads/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var many []payload
	var one payload
	if json.Unmarshal(text, &many) == nil {
		return many
	}
	if err := json.Unmarshal(text, &one); err != nil {
		t.Fatal(err)
	}
	return []payload{one}
}

// TestRecordedRequests replays recorded requests of the fixed shape, with their
// headers.
func TestRecordedRequests(t *testing.T) {
	for _, name := range []string{"v131-migrate-request", "v262-migrate-request", "v131-minimal-config-requests"} {
		r := payloads(t, name)[0]
		body := string(r.Body)
		var quoted string
		if json.Unmarshal(r.Body, &quoted) == nil {
			body = quoted
		}
		f := alice()
		h := start(t, f)
		got := h.post(t, body, func(req *http.Request) {
			req.Header = r.Header.Clone()
			req.Header.Del("X-Api-Key")
			req.Header.Set("Authorization", "Bearer "+key)
		})
		if got.body != matched || f.sentCredentials[0].Password.Reveal() != "Secr3t-Passw0rd!" || !strings.HasSuffix(f.identifier[0], "@example.org") {
			t.Errorf("%s: %+v, asked %+v", name, got, f.sentCredentials)
		}
		if !strings.Contains(h.log.String(), strings.ToLower(r.Header.Get("Ory-Webhook-Request-Id"))) || !strings.Contains(h.log.String(), `"shape":"fixed"`) {
			t.Errorf("%s: %s", name, h.log)
		}
	}
}

// TestTemplate evaluates ferry's Jsonnet with the contexts that Kratos passed to a
// template.
func TestTemplate(t *testing.T) {
	for _, name := range []string{"v262-migrate-template-ctx-api", "v262-migrate-template-ctx-browser"} {
		ctx := string(payloads(t, name)[0].Body)
		body := evaluate(t, ctx)
		for _, leak := range []string{"Bearer zzz", "X-Custom-Secret", "csrf_token", "203.0.113"} {
			if strings.Contains(body, leak) {
				t.Errorf("%s: %q is passed on", name, leak)
			}
		}
		var sent struct {
			Identity struct{ ID string }
			Flow     struct{ ID string }
			Client   struct {
				UserAgent *string `json:"user_agent"`
			}
		}
		if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.Flow.ID == "" || sent.Client.UserAgent == nil || *sent.Client.UserAgent != "lab-ua/1" {
			t.Fatalf("%s: %s, %v", name, body, err)
		}
		f := alice()
		f.identity.ID = sent.Identity.ID
		h := start(t, f)
		if got := h.post(t, body); got.body != matched || f.sentCredentials[0].Password.Reveal() != "Secr3t-Passw0rd!" {
			t.Errorf("%s: %+v", name, got)
		}
		if !strings.Contains(h.log.String(), sent.Flow.ID) || !strings.Contains(h.log.String(), `"shape":"template"`) {
			t.Errorf("%s: %s", name, h.log)
		}
	}
}

// TestTemplateHasNoErrors: Kratos would show an error of the template to the user.
func TestTemplateHasNoErrors(t *testing.T) {
	for _, ctx := range []string{
		`{"identifier":"a","password":"x"}`,
		`{"identifier":"a","password":"x","identity":null,"flow":null,"request_headers":null}`,
		`{"identifier":"a","password":"x","identity":{},"flow":{},"request_headers":{}}`,
		`{"identifier":"a","password":"x","identity":[],"flow":"f","request_headers":{"User-Agent":"one"}}`,
		`{"identifier":"a","password":"x","request_headers":{"user-agent":[],"User-Agent":["a","b"],"X":7}}`,
	} {
		if got := start(t, alice()).post(t, evaluate(t, ctx)); got.body != matched {
			t.Errorf("%s: %+v", ctx, got)
		}
	}
}

func evaluate(t *testing.T, ctx string) string {
	t.Helper()
	vm := jsonnet.MakeVM()
	vm.TLACode("ctx", ctx)
	body, err := vm.EvaluateAnonymousSnippet("migrate.jsonnet", wiring.MigrateJsonnet(""))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// FuzzBody: no body causes a panic, and only that of the correct login matches.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		login(), "", "null", `{"identifier":"a","password":"x"}`, `{"identifier":"a","password":"x","identity":{"id":1}}`,
		`{"identifier":"a","password":"x","flow":{"id":"f"},"client":{"ip":"1.2.3.4"}}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fk := alice()
		got := start(t, fk).post(t, string(body))
		if got.status == http.StatusOK && (len(fk.sentCredentials) != 1 || fk.sentCredentials[0].Password.Empty() || !json.Valid(body)) {
			t.Fatalf("matched on %q", body)
		}
		switch got.status {
		case 200, 400, 403, 424:
		default:
			t.Fatalf("status %d", got.status)
		}
	})
}
