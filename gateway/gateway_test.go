package gateway_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ferry/gateway"
	"ferry/outcome"
	"ferry/provision"
	"ferry/test/proxytest"
)

// TestLogin: what becomes of a login with a password. Kratos receives it unchanged, unless
// neither it nor ferry can tell whether the password is right.
func TestLogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]loginCase{
		"created":        {result: "created", asked: 1, created: true, kept: true},
		"wrong password": {password: "wrong", result: "mismatch", asked: 1},
		"known":          {set: func(w *world) { w.known["kim@example.org"] = true }, result: "known"},
		"created by another login": {
			set: func(w *world) { w.result = provision.Result{Exists: true, Reason: provision.ReasonKnown} }, result: "known", asked: 1, created: true, kept: true,
		},
		"created before": {
			set: func(w *world) { w.result = provision.Result{Reason: provision.ReasonElsewhere} }, result: "created_before", asked: 1, created: true,
		},
		"not kept":           {set: func(w *world) { w.keepErr = errDown }, result: "created", asked: 1, created: true, kept: true},
		"Kratos' admin down": {set: func(w *world) { w.knowsErr = errDown }, result: "kratos_unavailable"},
		"not ready":          {set: func(w *world) { w.readyErr = errDown }, status: 503, result: "not_ready"},
		"not created":        {set: func(w *world) { w.resultErr = errDown }, status: 503, result: "not_created", asked: 1, created: true},
		"Auth0 down":         {set: func(w *world) { w.outcomes[""] = outcome.Unavailable }, status: 503, result: "unavailable", asked: 1},
		"Auth0 limited":      {set: func(w *world) { w.outcomes[""] = outcome.Limited }, status: 503, result: "limited", asked: 1},
		"too many in flight": {options: func(o *gateway.Options) {
			o.Enter = func(context.Context) (func(), string) { return nil, "queue_full" }
		}, status: 503, result: "unavailable"},
		"a second factor":   {set: func(w *world) { w.outcomes[""] = outcome.MFARequired }, result: "mfa_required", asked: 1},
		"a panic":           {set: func(w *world) { w.panics = true }, status: 503, result: "panic"},
		"a long password":   {password: strings.Repeat("x", 73), result: "password_length"},
		"a long identifier": {typed: strings.Repeat("x", 321), result: "identifier_length"},
		"two connections":   {options: func(o *gateway.Options) { o.Realms = []string{"a", "b"} }, password: "wrong", result: "mismatch", asked: 2},
		"the second connection": {
			options: func(o *gateway.Options) { o.Realms = []string{"a", "b", "c"} },
			set:     func(w *world) { w.outcomes["a"] = outcome.Mismatch }, result: "created", asked: 2, created: true, kept: true,
		},
		"the first connection is down": {
			options: func(o *gateway.Options) { o.Realms = []string{"a", "b"} },
			set:     func(w *world) { w.outcomes["a"] = outcome.Unavailable }, status: 503, result: "unavailable", asked: 1,
		},
		"the second connection is down": {
			options: func(o *gateway.Options) { o.Realms = []string{"a", "b"} },
			set:     func(w *world) { w.outcomes["a"], w.outcomes["b"] = outcome.Mismatch, outcome.Unavailable }, status: 503, result: "unavailable", asked: 2,
		},
		"closed": {options: func(o *gateway.Options) { o.Closed = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

type loginCase struct {
	set      func(*world)
	options  func(*gateway.Options)
	password string // default: right
	typed    string // default: kim@example.org
	status   int    // default: 200, of Kratos
	result   string
	asked    int
	created  bool // the provisioner was called
	kept     bool
}

func (c loginCase) test(t *testing.T) {
	t.Helper()
	r := newRig(t, nil, c.options)
	if c.set != nil {
		c.set(r.world)
	}
	status := cmp.Or(c.status, http.StatusOK)
	body := passwordOf(cmp.Or(c.typed, " Kim@Example.org"), cmp.Or(c.password, right))
	got := r.post(t, login, body)
	if got.Status != status || len(r.asked) != c.asked || (len(r.byLogin) == 1) != c.created || (len(r.kept) == 1) != c.kept {
		t.Errorf("%+v, asked %d, created %+v, kept %q", got, len(r.asked), r.byLogin, r.kept)
	}
	request := "passed"
	if status != http.StatusOK {
		request = "refused"
		checkJSON(t, got)
	} else if all := r.Requests(); len(all) != 1 || all[0].Body != body || all[0].URI != login {
		t.Errorf("Kratos received %+v", all)
	}
	if c.result != "" && r.counted(t, "login", c.result, request) != 1 {
		t.Errorf("not counted as %s", c.result)
	}
}

// checkJSON checks the form of an answer of ferry's own.
func checkJSON(t *testing.T, got proxytest.Answer) {
	t.Helper()
	var said struct {
		Error struct {
			Code                    int
			Status, Reason, Message string
		}
	}
	if err := json.Unmarshal([]byte(got.Body), &said); err != nil || said.Error.Code != got.Status || said.Error.Status != http.StatusText(got.Status) || said.Error.Reason == "" || said.Error.Message == "" {
		t.Errorf("%v: %+v", err, got)
	}
	if !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", got.Header)
	}
}

// TestUsername: Auth0 gets the identifier in Kratos' form, a phone number in E.164, and in a
// custom database as it was typed.
func TestUsername(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(o *gateway.Options) { o.Realms, o.CustomRealms = []string{"db", "custom"}, []string{"custom"} })
	r.outcomes["db"], r.outcomes["custom"] = outcome.Mismatch, outcome.Match
	for typed, want := range map[string][2]string{
		" Kim@Example.org ": {"kim@example.org", "Kim@Example.org"},
		"KimS":              {"kims", "KimS"},
		"+49 151 23456789":  {"+4915123456789", "+49 151 23456789"},
	} {
		r.asked, r.byLogin = nil, nil
		r.post(t, login, passwordOf(typed, right))
		if len(r.asked) != 2 || r.asked[0].Username != want[0] || r.asked[1].Username != want[1] || r.byLogin[0].Username != want[1] || r.byLogin[0].Realm != "custom" {
			t.Errorf("%q: asked %+v, created %+v", typed, r.asked, r.byLogin)
		}
	}
}

// TestLookUp: what becomes of a request without a password.
func TestLookUp(t *testing.T) {
	t.Parallel()
	const email = "kim@example.org"
	recovery, verification, registration := "/self-service/recovery?flow="+flow, "/self-service/verification?flow="+flow, "/self-service/registration?flow="+flow
	byEmail, byCode := `{"method":"code","email":"Kim@example.org"}`, `{"method":"code","identifier":"Kim@example.org"}`
	for name, c := range map[string]struct {
		path, body string
		set        func(*world)
		status     int // default: 200, of Kratos
		result     string
		looked     []string
	}{
		"recovery":           {path: recovery, body: byEmail, result: "created", looked: []string{"recovery " + email}},
		"verification":       {path: verification, body: byEmail, result: "created", looked: []string{"identifier " + email}},
		"login with a code":  {path: login, body: byCode, result: "created", looked: []string{"identifier " + email}},
		"two-step login":     {path: login, body: `{"method":"identifier_first","identifier":"Kim@example.org"}`, result: "created", looked: []string{"identifier " + email}},
		"username, two-step": {path: login, body: `{"method":"identifier_first","identifier":"kim"}`, result: "not_looked_up"},
		"registration":       {path: registration, body: `{"method":"password","password":"x","traits":{"username":"kim","email":"Kim@example.org"}}`, result: "created", looked: []string{"identifier " + email}},
		"registration, the username is taken": {
			path: registration, body: `{"method":"password","password":"x","traits":{"username":"kim","email":"Kim@example.org"}}`,
			set: func(w *world) { w.known["kim"] = true }, result: "known",
		},
		"known":                 {path: recovery, body: byEmail, set: func(w *world) { w.known[email] = true }, result: "known"},
		"remembered":            {path: recovery, body: byEmail, set: func(w *world) { w.noUser[email] = true }, result: "no_user"},
		"no Management API":     {path: recovery, body: byEmail, set: func(w *world) { w.noLookUp = true }, result: "not_looked_up"},
		"no flow":               {path: "/self-service/recovery", body: byEmail},
		"budget spent":          {path: recovery, body: byEmail, set: func(w *world) { w.budget = 0 }, result: "limited_lookups"},
		"budget spent at login": {path: login, body: byCode, set: func(w *world) { w.budget = 0 }, status: 503, result: "limited_lookups"},
		"admin down":            {path: recovery, body: byEmail, set: func(w *world) { w.knowsErr = errDown }, result: "kratos_unavailable"},
		"admin down at login":   {path: login, body: byCode, set: func(w *world) { w.knowsErr = errDown }, result: "kratos_unavailable"},
		"not ready":             {path: recovery, body: byEmail, set: func(w *world) { w.readyErr = errDown }, result: "not_ready"},
		"not ready at login":    {path: login, body: byCode, set: func(w *world) { w.readyErr = errDown }, status: 503, result: "not_ready"},
		"Auth0 down":            {path: recovery, body: byEmail, set: func(w *world) { w.resultErr = errDown }, result: "lookup_failed", looked: []string{"recovery " + email}},
		"Auth0 down at login":   {path: login, body: byCode, set: func(w *world) { w.resultErr = errDown }, status: 503, result: "lookup_failed", looked: []string{"identifier " + email}},
		"a long address":        {path: recovery, body: `{"method":"code","recovery_address":"` + strings.Repeat("x", 400) + `@example.org"}`, result: "identifier_length"},
		"an import would skip":  {path: recovery, body: byEmail, set: func(w *world) { w.result = provision.Result{Reason: "mfa"} }, result: "mfa", looked: []string{"recovery " + email}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, nil)
			if c.set != nil {
				c.set(r.world)
			}
			got := r.post(t, c.path, c.body)
			request := "passed"
			if c.status != 0 {
				request = "refused"
				checkJSON(t, got)
			}
			if got.Status != max(c.status, http.StatusOK) || len(r.asked) != 0 || !slices.Equal(r.looked, c.looked) {
				t.Errorf("%+v, looked up %q", got, r.looked)
			}
			route, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/self-service/"), "?")
			if c.result != "" && r.counted(t, route, c.result, request) != 1 {
				t.Errorf("not counted as %s", c.result)
			}
		})
	}
}

// TestNoUserIsRemembered: an address that Auth0 does not know is looked up once.
func TestNoUserIsRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	r.result = provision.Result{Reason: provision.ReasonNoUser}
	for range 3 {
		r.post(t, "/self-service/recovery?flow="+flow, `{"method":"code","email":"kim@example.org"}`)
	}
	if len(r.looked) != 1 || len(r.Requests()) != 3 {
		t.Errorf("looked up %d times, %d requests", len(r.looked), len(r.Requests()))
	}
}

// TestLimitPerAddress: one network may send so many requests about unknown users; known ones
// are not limited.
func TestLimitPerAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(o *gateway.Options) { o.PerMinute, o.TrustedProxies = 2, 1 })
	r.known["lee@example.org"] = true
	for i, c := range []struct {
		ip, identifier string
		status         int
	}{
		{"198.51.100.1", "kim@example.org", 200},
		{"198.51.100.1", "kim@example.org", 200},
		{"198.51.100.1", "kim@example.org", 429},
		{"198.51.100.1", "lee@example.org", 200},
		{"198.51.100.2", "kim@example.org", 200},
		{"2001:db8::1", "kim@example.org", 200},
		{"2001:db8::2", "kim@example.org", 200},
		{"2001:db8::3", "kim@example.org", 429},
	} {
		got := r.post(t, login, passwordOf(c.identifier, right), "X-Forwarded-For", "192.0.2.9, "+c.ip)
		if got.Status != c.status {
			t.Errorf("%d: %+v", i, got)
		}
		if c.status != http.StatusOK {
			checkJSON(t, got)
		}
	}
	code := r.post(t, login, `{"method":"code","identifier":"kim@example.org"}`, "X-Forwarded-For", "198.51.100.1")
	recovery := r.post(t, "/self-service/recovery?flow="+flow, `{"method":"code","email":"kim@example.org"}`, "X-Forwarded-For", "198.51.100.1")
	if code.Status != http.StatusTooManyRequests || recovery.Status != http.StatusOK || len(r.looked) != 0 {
		t.Errorf("%+v, %+v, looked up %q", code, recovery, r.looked)
	}
}

// TestUnsure: without Kratos' admin API, an answer that says "wrong credentials" becomes an
// outage, and every other answer passes unchanged.
func TestUnsure(t *testing.T) {
	t.Parallel()
	back, elsewhere := "https://example.org/login?flow="+flow, "https://example.org/home"
	for name, c := range map[string]struct {
		status         int
		location, body string
		want           int
	}{
		"wrong credentials": {400, "", `{"ui":{"messages":[{"id":4000006}]}}`, 503},
		"no such account":   {400, "", `{"ui":{"messages":[{"id":4000037}]}}`, 503},
		"no code":           {400, "", `{"ui":{"messages":[{"id":4000035}]}}`, 503},
		"another error":     {400, "", `{"ui":{"messages":[{"id":4000002}]}}`, 400},
		"too long to read":  {400, "", strings.Repeat(" ", 1<<20+1), 503},
		"a session":         {200, "", `{"session":{}}`, 200},
		"back to the form":  {303, back, "", 503},
		"logged in":         {303, elsewhere, "", 303},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.location != "" {
					w.Header().Set("Location", c.location)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}, nil)
			r.knowsErr = errDown
			got := r.post(t, login, passwordOf("kim@example.org", right), "Accept-Encoding", "gzip")
			if got.Status != c.want || len(r.asked) != 0 {
				t.Fatalf("%+v", got)
			}
			if c.want == c.status && (got.Body != c.body || got.Header.Get("Location") != c.location) {
				t.Errorf("changed: %+v", got)
			}
			if all := r.Requests(); all[0].Header.Get("Accept-Encoding") != "" {
				t.Errorf("Kratos may compress: %v", all[0].Header)
			}
		})
	}
}

// TestRefusals: programs get JSON, browsers that submit a form a page or a redirect.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	form, js := "application/x-www-form-urlencoded", "application/json"
	fields := map[string]string{form: "method=password&identifier=kim%40example.org&password=right", js: passwordOf("kim@example.org", right)}
	for name, c := range map[string]struct {
		kind, accept, errorURL string
		html                   bool
	}{
		"native":                  {js, "application/json", "", false},
		"SPA":                     {js, "application/json, text/plain, */*", "", false},
		"without Accept":          {js, "", "", false},
		"JSON that accepts HTML":  {js, browser, "", false},
		"a form":                  {form, browser, "", true},
		"a form with a page":      {form, browser, "https://example.org/error", true},
		"a form that wants JSON":  {form, "application/json", "https://example.org/error", false},
		"a form of a program":     {form, "*/*", "", false},
		"a form, garbled Accept":  {form, ";;;, text/html", "", true},
		"a form, capital letters": {form, "TEXT/HTML", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, func(o *gateway.Options) { o.ErrorURL = c.errorURL })
			r.outcomes[""] = outcome.Unavailable
			header := []string{"Content-Type", c.kind}
			if c.accept != "" {
				header = append(header, "Accept", c.accept)
			}
			got := r.send(t, http.MethodPost, login, fields[c.kind], header...)
			checkRefusal(t, got, c.html, c.errorURL)
		})
	}
}

func checkRefusal(t *testing.T, got proxytest.Answer, html bool, errorURL string) {
	t.Helper()
	switch {
	case html && errorURL != "":
		if got.Status != http.StatusSeeOther || got.Header.Get("Location") != errorURL {
			t.Errorf("%+v", got)
		}
	case html:
		if got.Status != http.StatusServiceUnavailable || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") || !strings.Contains(got.Body, "<h1>Service Unavailable</h1>") {
			t.Errorf("%+v", got)
		}
	default:
		checkJSON(t, got)
	}
	if got.Header.Get("Retry-After") == "" {
		t.Errorf("%v", got.Header)
	}
}

// TestLog: a line has the result, and nothing that the user typed.
func TestLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	r.post(t, login, passwordOf("kim@example.org", right))
	lines := r.logs.FilterMessage("gateway").All()
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	fields := lines[0].ContextMap()
	if fields["route"] != "login" || fields["result"] != "created" || fields["identifier_hash"] != "hash" || fields["flow_id"] != flow {
		t.Errorf("%v", fields)
	}
	for name, value := range fields {
		if text, _ := value.(string); strings.Contains(text, "kim") || text == right {
			t.Errorf("%s: %v", name, value)
		}
	}
}

// TestPanicIsLoggedWithoutItsValue: the value of a panic may quote what the user typed.
func TestPanicIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	r.panics = true
	r.post(t, login, passwordOf("kim@example.org", right))
	lines := r.logs.FilterMessage("gateway: panic").All()
	if len(lines) != 1 || lines[0].ContextMap()["type"] != "string" || strings.Contains(fmt.Sprint(lines[0].ContextMap()), "canary") {
		t.Errorf("%v", lines)
	}
}

// TestNew: what is missing is an error.
func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := gateway.New(gateway.Options{}); err == nil {
		t.Error("made from nothing")
	}
}
