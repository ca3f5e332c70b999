package doctor_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"ferry/doctor"
	"ferry/secret"
	"ferry/wiring"
)

const signUpKey = "0123456789abcdef0123456789abcdef"

// signUpConfig is the shipped kratos.yml with the hook, as `ferry kratos-config --sign-up`
// writes it, with logins by code and at Google.
func signUpConfig(t *testing.T, google string) string {
	t.Helper()
	example, err := os.ReadFile("../kratos.yml.example")
	if err != nil {
		t.Fatal(err)
	}
	merged, err := wiring.Merge(example, wiring.Options{URL: "http://127.0.0.1:1", Key: secret.New(signUpKey), SignUp: true})
	if err != nil {
		t.Fatal(err)
	}
	text := edited(t, string(merged.Text), "    code:\n", "    code:\n      passwordless_enabled: true\n")
	return edited(t, text, "\n  methods:\n", `
  methods:
    oidc: {enabled: true, config: {providers: [{id: google, provider: google, client_id: c, client_secret: s, mapper_url: "`+google+`"}]}}
`)
}

// edited is a text in which one part, which it must have, is another.
func edited(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("the file has no %q", from)
	}
	return strings.Replace(text, from, to, 1)
}

// change is an edit of kratos.yml.
type change struct{ from, to string }

// TestSignUp: where ferry looks up users who sign up, Kratos asks it before it stores the
// identity, by each method that is on.
func TestSignUp(t *testing.T) {
	t.Parallel()
	body := wiring.Base64(wiring.AfterRegistrationJsonnet())
	const (
		parse   = "parse: true # the sign-up waits for ferry, and fails without it"
		address = "url: http://127.0.0.1:1/hooks/after-registration"
		// item is what the first line of the list is replaced from, to add a hook.
		item = "# Before Kratos stores"
	)
	template := func(source string) []change { return []change{{body, wiring.Base64(source)}} }
	passes := wiring.AfterRegistrationJsonnet()
	for name, c := range map[string]struct {
		edits  []change
		off    bool
		status doctor.Status
		says   string
	}{
		"good":             {nil, false, doctor.OK, "by password, code, oidc"},
		"not set in ferry": {nil, true, doctor.Warn, "FERRY_SIGN_UP is not set: ferry looks up no one"},
		"neither":          {[]change{{"hooks/after-registration", "x"}, {"hooks/after-registration", "x"}, {"hooks/after-registration", "x"}}, true, doctor.OK, "does not call ferry"},
		"no hook":          {[]change{{"hooks/after-registration", "x"}}, false, doctor.Fail, "registration.after.password.hooks does not have ferry's hook"},
		"no hook for a method that is off": {
			[]change{{"hooks/after-registration", "x"}, {"\n    password:\n      enabled: true\n", "\n    password:\n      enabled: false\n"}}, false, doctor.OK, "by code, oidc",
		},
		"no sign-ups":           {[]change{{"registration:\n", "registration:\n      enabled: false\n"}}, false, doctor.OK, "lets no one sign up"},
		"twice":                 {[]change{{item, "- {hook: web_hook, config: {url: http://127.0.0.1:1/hooks/after-registration}}\n            # "}}, false, doctor.Warn, "calls ferry 2 times at a sign-up by password"},
		"after the identity":    {[]change{{parse, "ignore: true"}}, false, doctor.Fail, "lacks response.parse: true"},
		"interrupts only":       {[]change{{"response:\n                  " + parse, "can_interrupt: true"}}, false, doctor.Fail, "lacks response.parse: true"},
		"ignores and parses":    {[]change{{parse, "parse: true\n                  ignore: true"}}, false, doctor.Fail, "both response.parse and response.ignore"},
		"another method":        {[]change{{address + "\n                method: POST", address + "\n                method: GET"}}, false, doctor.Fail, "is not POST"},
		"another path":          {[]change{{address, "url: http://127.0.0.1:1/x/hooks/after-registration"}}, false, doctor.Fail, "not a path of ferry"},
		"another server":        {[]change{{address, "url: http://127.0.0.1:2/hooks/after-registration"}}, false, doctor.Warn, "and the migration hook http://127.0.0.1:1/"},
		"a variable":            {[]change{{address, `url: "http://${FERRY}/hooks/after-registration"`}}, false, doctor.Warn, "contains a variable"},
		"no body":               {[]change{{"body: " + body, ""}}, false, doctor.Fail, "has no body"},
		"a template not here":   {[]change{{body, "https://templates.example/a"}}, false, doctor.Skip, "was not checked"},
		"a template that fails": {template("function(ctx) ctx.nope"), false, doctor.Fail, "the template of the hook after a registration is not valid"},
		"too much":              {template("function(ctx) ctx"), false, doctor.Fail, "passes on cookies"},
		"too little":            {template("function(ctx) { flow: { id: ctx.flow.id } }"), false, doctor.Fail, "does not pass on schema, traits and addresses"},
		"no metadata":           {template(strings.Replace(passes, "metadata_public: get(identity, 'metadata_public'),", "", 1)), false, doctor.Warn, "metadata_public or the provider"},
		"no provider":           {template(strings.Replace(passes, "callback[1]", "null", 1)), false, doctor.Warn, "metadata_public or the provider"},
		"another hook before": {
			[]change{{item, "- {hook: web_hook, config: {url: 'https://crm.example/new?key=canary', response: {parse: true}}}\n            # "}}, false, doctor.Warn, "the web_hook to https://crm.example/new runs before ferry's hook",
		},
		"another hook that Kratos calls later": {[]change{{item, "- {hook: web_hook, config: {url: 'https://crm.example/new', response: {ignore: true}}}\n            # "}}, false, doctor.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := signUpConfig(t, "")
			for _, edit := range c.edits {
				text = edited(t, text, edit.from, edit.to)
			}
			checkSays(t, signUpCheck(t, text, "kratos_config.sign_up", !c.off, nil), c.status, c.says)
		})
	}
}

// signUpCheck is what doctor says of a kratos.yml.
func signUpCheck(t *testing.T, text, name string, signUp bool, providers map[string]string) doctor.Check {
	t.Helper()
	return examined(t, text, func(o *doctor.Options) {
		o.Settings.HookKeys, o.Settings.SignUp, o.Settings.Providers = []secret.String{secret.New(signUpKey)}, signUp, providers
	})[name]
}

func checkSays(t *testing.T, check doctor.Check, status doctor.Status, says string) {
	t.Helper()
	if text := check.Detail + check.Fix; check.Status != status || !strings.Contains(check.Detail, says) || strings.Contains(text, signUpKey) || strings.Contains(text, "canary") {
		t.Errorf("%+v, want %s: %s", check, status, says)
	}
}

// TestSignUpKeys: the key has the form that ferry reads. A fault in one list is not hidden by a
// doubt in another, and the global list is no place for the hook.
func TestSignUpKeys(t *testing.T) {
	t.Parallel()
	before, lists, _ := strings.Cut(signUpConfig(t, ""), "    registration:\n")
	for name, c := range map[string]struct {
		edits  []change
		status doctor.Status
		says   string
	}{
		"another key":      {[]change{{signUpKey, "another-key-of-the-same-length-32"}}, doctor.Fail, "not in FERRY_HOOK_KEYS: ferry refuses it, Kratos refuses every sign-up"},
		"no Bearer":        {[]change{{"Bearer ", ""}}, doctor.Fail, "without the word Bearer"},
		"another header":   {[]change{{"name: Authorization", "name: X-Key"}}, doctor.Fail, "where ferry does not read it"},
		"a variable":       {[]change{{"Bearer " + signUpKey, "${KEY}"}}, doctor.Warn, "is a variable"},
		"doubt, and fault": {[]change{{"Bearer " + signUpKey, "${KEY}"}, {"Bearer ", ""}}, doctor.Fail, "without the word Bearer"},
		"in the global list": {
			[]change{{"after:\n        password:\n", "after:\n        hooks: [{hook: web_hook, config: {url: 'http://127.0.0.1:1/hooks/after-registration'}}]\n        x:\n"}},
			doctor.Fail, "Kratos reads the answers of hooks only in the list of a method",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := lists
			for _, edit := range c.edits {
				text = edited(t, text, edit.from, edit.to)
			}
			checkSays(t, signUpCheck(t, before+"    registration:\n"+text, "kratos_config.sign_up", true, nil), c.status, c.says)
		})
	}
}

// socialMapper is the mapper of docs/sign-up.md with what it passes on.
func socialMapper(userID string) string {
	return "local claims = std.extVar('claims');\n{ identity: { traits: { email: claims.email }, metadata_public: { auth0: { user_id: " + userID + " } } } }"
}

// TestProviders: Kratos has the providers of FERRY_PROVIDERS, and their mappers, wherever they
// are, tell ferry which Auth0 user logged in.
func TestProviders(t *testing.T) {
	t.Parallel()
	good := socialMapper("'google-oauth2|' + claims.sub")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/google.jsonnet" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(good))
	}))
	t.Cleanup(server.Close)
	inFile := t.TempDir() + "/google.jsonnet"
	if err := os.WriteFile(inFile, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	google := map[string]string{"google-oauth2": "google"}
	silent := "local claims = std.extVar('claims'); {identity: {traits: {email: claims.email}}}"
	for name, c := range map[string]struct {
		mapper    string
		providers map[string]string
		noSignUp  bool
		status    doctor.Status
		says      string
	}{
		"good":                         {wiring.Base64(good), google, false, doctor.OK, "Kratos has the providers of FERRY_PROVIDERS"},
		"in a file":                    {"file://" + inFile, google, false, doctor.OK, ""},
		"on a server":                  {server.URL + "/google.jsonnet", google, false, doctor.OK, ""},
		"a file that is not here":      {"file:///etc/ferry-doctor-is-not-here.jsonnet", google, false, doctor.Skip, "the mapper of the provider google was not checked: it cannot be read here"},
		"not on the server":            {server.URL + "/other.jsonnet", google, false, doctor.Skip, "it cannot be read here"},
		"a variable":                   {"${MAPPER}", google, false, doctor.Skip, "it cannot be read here"},
		"no base64":                    {"base64://%", google, false, doctor.Fail, "it is not base64"},
		"not Jsonnet":                  {wiring.Base64("{"), google, false, doctor.Fail, "it is not Jsonnet"},
		"needs another claim":          {wiring.Base64("local claims = std.extVar('claims'); {identity: {traits: {email: claims.raw_claims.canary}}}"), google, false, doctor.Skip, "it fails for made-up claims"},
		"no user id":                   {wiring.Base64(silent), google, false, doctor.Warn, "does not pass on the Auth0 user id"},
		"no user id, and no hook":      {wiring.Base64(silent), google, true, doctor.OK, "Kratos has the providers"},
		"in the admin metadata":        {wiring.Base64(strings.Replace(good, "metadata_public", "metadata_admin", 1)), google, false, doctor.Warn, "does not pass on the Auth0 user id"},
		"Kratos' name, not Auth0's":    {wiring.Base64(socialMapper("'google|' + claims.sub")), google, false, doctor.Fail, "passes on google|doctor for the subject doctor: Auth0 has no such user, its id would be google-oauth2|doctor"},
		"the address":                  {wiring.Base64(socialMapper("'google-oauth2|' + claims.email")), google, false, doctor.Fail, "Auth0 has no such user"},
		"one of two names":             {wiring.Base64(good), map[string]string{"google-oauth2": "google", "corp-google": "google"}, false, doctor.OK, ""},
		"a provider that is not there": {wiring.Base64(good), map[string]string{"github": "hub"}, true, doctor.Fail, "FERRY_PROVIDERS names hub, which is not a social provider in the file"},
		"a SAML provider":              {wiring.Base64(good), map[string]string{"corp": "saml:corp"}, false, doctor.OK, "names no provider"},
		"not named":                    {wiring.Base64(silent), nil, false, doctor.OK, "the mapper of google does not pass on an Auth0 user id"},
		"not named, and it passes":     {wiring.Base64(good), nil, false, doctor.OK, "FERRY_PROVIDERS names no provider of Kratos"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := signUpConfig(t, c.mapper)
			check := examined(t, text, func(o *doctor.Options) {
				o.Settings.SignUp, o.Settings.Providers, o.ReadTemplate = !c.noSignUp, c.providers, os.ReadFile
			})["kratos_config.providers"]
			checkSays(t, check, c.status, c.says)
		})
	}
	off := edited(t, signUpConfig(t, wiring.Base64(good)), "oidc: {enabled: true", "oidc: {enabled: false")
	checkSays(t, signUpCheck(t, off, "kratos_config.providers", true, google), doctor.Warn, "does not switch on the logins at providers")
	none := edited(t, signUpConfig(t, ""), "providers: [", "x: [")
	checkSays(t, signUpCheck(t, none, "kratos_config.providers", false, google), doctor.Warn, "the file has no OIDC providers")
}
