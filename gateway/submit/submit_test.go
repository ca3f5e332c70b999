package submit_test

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ferry/gateway/submit"
	model "ferry/test/submit"
)

func TestRouteOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]submit.Route{
		"/self-service/login":                 submit.Login,
		"/self-service/recovery":              submit.Recovery,
		"/self-service/registration":          submit.Registration,
		"/self-service/verification":          submit.Verification,
		"/self-service/%6cogin":               submit.Login,
		"//self-service/./login":              submit.Login,
		"/x/../self-service%2flogin":          submit.Login,
		"/self-service/login/":                0,
		"/self-service/login/.":               0,
		"/self-service/login/x/..":            0,
		"/self-service/login%2f":              0,
		"/self-service%252flogin":             0,
		"/self-service/login%00":              0,
		"/self-service/settings":              0,
		"/self-service/login/api":             0,
		"/self-service/login/flows":           0,
		"/kratos/self-service/login":          0,
		"/self-service/":                      0,
		"/self-service/none":                  0,
		"/self-service/methods/oidc/callback": 0,
	} {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := submit.RouteOf(http.MethodPost, u); got != want || ok != (want != 0) {
			t.Errorf("%s is %s, %v", path, got, ok)
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, "post", ""} {
			if got, ok := submit.RouteOf(method, u); ok {
				t.Errorf("%s %s is %s", method, path, got)
			}
		}
	}
}

func TestFlow(t *testing.T) {
	t.Parallel()
	const other = "11111111-1111-4111-8111-111111111111"
	for query, want := range map[string]string{
		"flow=" + model.FlowID:                           model.FlowID,
		"organization=x&flow=" + model.FlowID:            model.FlowID,
		"flow=" + other + "&flow=" + model.FlowID:        other,
		"flow=&flow=" + model.FlowID:                     "",
		"flow=x":                                         "",
		"flow=00000000-0000-0000-0000-000000000000":      "",
		"flow=" + strings.ReplaceAll(other, "-", ""):     "",
		"flow=" + other + ";a":                           "",
		"flow=" + other + "&a=%zz":                       "",
		"Flow=" + other:                                  "",
		"":                                               "",
		"flow=" + strings.Replace(other, "1111", "g", 1): "",
	} {
		if got, ok := submit.Flow(query); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", query, got, ok)
		}
	}
}

// TestRead has one row for each rule; the matrix of recordings and the generated requests
// have the rest.
func TestRead(t *testing.T) {
	t.Parallel()

	registration := func(traits string) string { return `{"method":"code",` + traits + `}` }
	for _, row := range []struct {
		name  string
		route submit.Route
		body  string // JSON if it begins with {
		want  string // method, field and identifiers; empty: not seen
	}{
		{"password", submit.Login, jsonLogin, "password identifier [kim@example.org]"},
		{"no password", submit.Login, `{"method":"password","identifier":"kim"}`, ""},
		{"legacy field", submit.Login, `{"method":"password","password_identifier":"Kim ","password":"p"}`, "password password_identifier [kim]"},
		{"both fields", submit.Login, `{"method":"password","password_identifier":"lee","identifier":"kim","password":"p"}`, "password identifier [kim]"},
		{"empty field", submit.Login, `{"method":"password","password_identifier":"lee","identifier":null,"password":"p"}`, "password password_identifier [lee]"},
		{"blank field", submit.Login, `{"method":"password","password_identifier":"lee","identifier":" ","password":"p"}`, ""},
		{"boolean", submit.Login, `{"method":"password","identifier":true,"password":"p"}`, "password identifier [true]"},
		{"list", submit.Login, `{"method":"password","identifier":["kim"],"password":"p"}`, ""},
		{"no method", submit.Login, `{"identifier":"kim","password":"p"}`, ""},
		{"other method", submit.Login, `{"method":"totp","identifier":"kim","password":"p"}`, ""},
		{"first step", submit.Login, `{"method":"identifier_first","identifier":"kim"}`, "identifier_first identifier [kim]"},
		{"first step with a passkey", submit.Login, `{"method":"identifier_first","identifier":"kim","passkey_login":"x"}`, ""},
		{"code", submit.Login, `method=code&identifier=kim&code=123456`, "code identifier [kim]"},
		{"code, address", submit.Login, `method=code&address=kim`, "code address [kim]"},
		{"code again", submit.Login, `method=code&identifier=kim&resend=code`, "code identifier [kim]"},
		{"code, wrong", submit.Login, `method=code&identifier=kim&resend=x`, ""},
		{"traits at a login", submit.Login, `{"traits":{},` + jsonLogin[1:], ""},
		{"payload", submit.Login, `{"transient_payload":{"identifier":"lee"},` + jsonLogin[1:], "password identifier [kim@example.org]"},
		{"payload as text", submit.Login, `{"transient_payload":"{\"a\":1} ",` + jsonLogin[1:], "password identifier [kim@example.org]"},
		{"payload that adds a field", submit.Login, `{"transient_payload":"{},\"identifier\":\"lee\"",` + jsonLogin[1:], ""},
		{"payload with a name twice", submit.Login, `{"transient_payload":{"a":1,"a":2},` + jsonLogin[1:], ""},
		{"payload with half a character", submit.Login, `{"transient_payload":{"a":"\ud800"},` + jsonLogin[1:], ""},
		{"payload with a large number", submit.Login, `{"transient_payload":{"a":1e999},` + jsonLogin[1:], ""},
		{"payload, deep", submit.Login, `{"transient_payload":{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `},` + jsonLogin[1:], ""},
		{"payload of another type", submit.Login, `{"transient_payload":[],` + jsonLogin[1:], ""},
		{"flow of the query", submit.Login, `{"flow":"` + model.FlowID + `",` + jsonLogin[1:], "password identifier [kim@example.org]"},
		{"another flow", submit.Login, `{"flow":"11111111-1111-4111-8111-111111111111",` + jsonLogin[1:], ""},
		{"deep elsewhere", submit.Login, `{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `,` + jsonLogin[1:], "password identifier [kim@example.org]"},
		{"too deep", submit.Login, `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `,` + jsonLogin[1:], ""},
		{"empty", submit.Login, "", ""},

		{"recovery", submit.Recovery, `method=code&email=KIM%40example.org`, "code email [kim@example.org]"},
		{"recovery by link", submit.Recovery, `{"method":"link","email":"kim@example.org"}`, "link email [kim@example.org]"},
		{"recovery, blank in front", submit.Recovery, `{"method":"code","email":" kim@example.org"}`, "code email [kim@example.org]"},
		{"recovery, blank behind", submit.Recovery, `{"method":"code","email":"kim@example.org "}`, ""},
		{"recovery of a username", submit.Recovery, `{"method":"code","email":"kim"}`, ""},
		{"recovery without a method", submit.Recovery, `{"email":"kim@example.org"}`, ""},
		{"recovery, code entered", submit.Recovery, `{"method":"code","code":"123456"}`, ""},
		{"recovery, token", submit.Recovery, `{"method":"link","token":"x","email":"kim@example.org"}`, ""},
		{"choice", submit.Recovery, `{"method":"code","recovery_address":"Kim"}`, "code recovery_address [kim]"},
		{"choice, confirmed", submit.Recovery, `{"recovery_address":"kim","recovery_confirm_address":"kim@example.org"}`, "code recovery_address [kim kim@example.org]"},
		{"choice, back", submit.Recovery, `{"recovery_address":"kim","screen":"previous"}`, ""},
		{"choice, code", submit.Recovery, `{"method":"code","code":"123456","recovery_address":"kim"}`, ""},
		{"both recoveries", submit.Recovery, `{"method":"code","recovery_address":"kim","email":"kim@example.org"}`, ""},

		{"verification", submit.Verification, `{"method":"code","email":"kim@example.org"}`, "code email [kim@example.org]"},
		{"verification, code entered", submit.Verification, `{"method":"code","email":"kim@example.org","code":"1"}`, ""},
		{"verification without a method", submit.Verification, `{"email":"kim@example.org"}`, ""},

		{"traits, flat", submit.Registration, registration(`"traits.email":"Kim@example.org"`), "code email [kim@example.org]"},
		{"traits, nested", submit.Registration, registration(`"traits":{"email":"kim@example.org","name":{"nick":"kim"}}`), "code email [kim@example.org kim]"},
		{"traits, text", submit.Registration, registration(`"traits":"{\"email\":\"kim@example.org\"}"`), "code email [kim@example.org]"},
		{"traits, form", submit.Registration, `method=code&traits.email=kim%40example.org&traits.name.nick=kim`, "code email [kim@example.org kim]"},
		{"traits, JSON in a form", submit.Registration, `method=code&traits={"name":{"nick":"kim"}}`, "code name.nick [kim]"},
		{"traits, part in JSON", submit.Registration, registration(`"traits.name":{"nick":"kim"},"traits.email":"kim@example.org"`), "code email [kim@example.org kim]"},
		{"traits, number", submit.Registration, registration(`"traits.email":12345678`), "code email [12345678]"},
		{"traits, nested number", submit.Registration, registration(`"traits":{"email":12345678}`), ""},
		{"traits, list", submit.Registration, registration(`"traits":{"email":["kim"]}`), ""},
		{"traits, twice", submit.Registration, registration(`"traits":{"email":"kim","email":"lee"}`), ""},
		{"traits, two ways", submit.Registration, registration(`"traits":{"email":"kim"},"traits.email":"lee"`), ""},
		{"traits that add one", submit.Registration, registration(`"traits.name":"{},\"email\":\"lee\"","traits.email":"kim"`), ""},
		{"profile", submit.Registration, `{"method":"profile","traits.email":"kim"}`, "profile email [kim]"},
		{"profile, back", submit.Registration, `{"method":"profile","traits.email":"kim","screen":"previous"}`, ""},
		{"with a password", submit.Registration, `{"method":"password","password":"p","traits.email":"kim"}`, "password email [kim]"},
		{"with an empty password", submit.Registration, `{"method":"password","password":"","traits.email":"kim"}`, ""},
		{"social", submit.Registration, `{"method":"oidc","provider":"google","traits.email":"kim"}`, ""},
		{"no trait", submit.Registration, `{"method":"code","traits":{}}`, ""},
		{"no route", 0, jsonLogin, ""},
	} {
		contentType := formType
		if strings.HasPrefix(row.body, "{") {
			contentType = jsonType
		}
		got, ok := submit.Read(submit.Request{Route: row.route, Query: "flow=" + model.FlowID, ContentType: contentType, Body: []byte(row.body), Traits: []string{"email", "name.nick"}})
		text := fmt.Sprint(got.Method, " ", got.Field, " ", got.Identifiers)
		if ok != (row.want != "") || ok && text != row.want {
			t.Errorf("%s: %v %s, not %q", row.name, ok, text, row.want)
		}
		if ok && (got.Route != row.route || got.Flow != model.FlowID) {
			t.Errorf("%s: %s %s", row.name, got.Route, got.Flow)
		}
		if withPassword := ok && row.route == submit.Login && got.Method == "password"; got.Password.Empty() == withPassword {
			t.Errorf("%s: a password: %v", row.name, !got.Password.Empty())
		}
	}
}

// TestFieldsInTheQuery: Kratos reads some of them, at some routes, before or after the body.
func TestFieldsInTheQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{"": true, "&organization=1&return_to=x": true, "&email=lee%40example.org": false, "&method=link": false, "&token=x": false, "&flow=x": true} {
		_, ok := submit.Read(submit.Request{Route: submit.Recovery, Query: "flow=" + model.FlowID + query, ContentType: jsonType, Body: []byte(`{"method":"code","email":"kim@example.org"}`)})
		if ok != want {
			t.Errorf("%s: seen %v", query, ok)
		}
	}
}

// TestPassword: the password is what Kratos sends to the migration hook.
func TestPassword(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"password":"p\u00e4\u00df","method":"password","identifier":"kim"}`:           "päß",
		`{"password":" \"\\\/\b\f\n\r\t","method":"password","identifier":"kim"}`:       " \"\\/\b\f\n\r\t",
		`{"password":"\ud83d\udd11","method":"password","identifier":"kim"}`:            "🔑",
		`{"password":"\ud800\u0041","method":"password","identifier":"kim"}`:            "\ufffd",
		`{"password":"\ud800A","method":"password","identifier":"kim"}`:                 "\ufffdA",
		"{\"password\":\"a\xff\xfeb\",\"method\":\"password\",\"identifier\":\"kim\"}":  "a\ufffd\ufffdb",
		`{"password":12345678,"method":"password","identifier":"kim"}`:                  "12345678",
		`{"password":1e3,"method":"password","identifier":"kim"}`:                       "1000",
		`{"password":"first","password":"last","method":"password","identifier":"kim"}`: "last",
		`password=a%ff%fe+b&method=password&identifier=kim`:                             "a\ufffd\ufffd b",
		`password=first&password=last&method=password&identifier=kim`:                   "first",
		`password=%00&method=password&identifier=kim`:                                   "\x00",
	} {
		contentType := formType
		if strings.HasPrefix(body, "{") {
			contentType = jsonType
		}
		got, ok := submit.Read(submit.Request{Route: submit.Login, Query: "flow=" + model.FlowID, ContentType: contentType, Body: []byte(body)})
		if !ok || got.Password.Reveal() != want {
			t.Errorf("%s: %v %q", body, ok, got.Password.Reveal())
		}
		if text := fmt.Sprintf("%v %+v %#v", got, got, got); slices.Contains(strings.Fields(text), want) {
			t.Errorf("%s: printed", body)
		}
	}
}

// TestMemory: a body of 64 KiB takes memory in proportion, whatever is in it. It is not
// parallel: others must not allocate meanwhile.
func TestMemory(t *testing.T) {
	const size = 64 << 10
	fill := func(begin, part, end string) string {
		return begin + strings.Repeat(part, (size-len(begin)-len(end))/len(part)) + end
	}
	for name, body := range map[string]string{
		"nested":   strings.Repeat("[", size/2) + strings.Repeat("]", size/2),
		"members":  fill(`{`, `"a":1,`, `"method":"code"}`),
		"traits":   fill(`{"method":"code","traits":{`, `"email":{},`, `"a":1}}`),
		"fields":   fill("method=code&", "a&", "b"),
		"escapes":  fill(`{"method":"code","traits.email":"`, `\u0041`, `"}`),
		"not UTF8": fill(`{"method":"code","traits.email":"`, "\xff", `"}`),
		"flat":     fill(`{"method":"code",`, `"traits.a":"{}",`, `"traits.email":"kim"}`),
	} {
		contentType := formType
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
			contentType = jsonType
		}
		request := submit.Request{Route: submit.Registration, Query: "flow=" + model.FlowID, ContentType: contentType, Body: []byte(body), Traits: []string{"email"}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		submit.Read(request)
		runtime.ReadMemStats(&after)
		if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 40*size {
			t.Errorf("%s: %d bytes", name, bytes)
		}
	}
}
