package wiring_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"

	"ferry/secret"
	"ferry/wiring"
)

const testSecret = "canary-client-secret"

func testBridge() wiring.Bridge {
	return wiring.Bridge{ID: "old", Issuer: "https://tenant.eu.auth0.com/", ClientID: "client", ClientSecret: secret.New(testSecret)}
}

func bridged(change func(*wiring.Options)) wiring.Options {
	o := options()
	o.Bridge = testBridge()
	if change != nil {
		change(&o)
	}
	return o
}

const (
	providersHead = "selfservice:\n  methods:\n    oidc:\n      enabled: true\n      config:\n        providers:\n"
	google        = "          # ours\n          - id: google\n            provider: google\n            client_secret: canary-google\n"
	earlier       = "          - id: old\n            provider: auth0\n            issuer_url: https://other.example/\n            client_id: c\n            client_secret: s\n"
)

// The provider is added behind those that are there, an earlier one is brought up to date, and
// a removal restores the file.
func TestMergeBridge(t *testing.T) {
	for name, c := range map[string]mergedBridge{
		"nothing there":      {"dsn: memory\n", nil, []string{"oidc:\n      enabled: true # for the bridge to Auth0\n", "client_secret: \"" + testSecret + "\""}, "KRATOS' PUBLIC URL/self-service/methods/oidc/callback/old", false},
		"switched off":       {"selfservice:\n  methods:\n    oidc:\n      config: {}\n", nil, []string{"enabled: true # for the bridge to Auth0", "issuer_url: https://tenant.eu.auth0.com/"}, "", false},
		"others there":       {providersHead + google, nil, []string{google, "- id: \"old\""}, "", false},
		"the public URL":     {"serve:\n  public:\n    base_url: https://kratos.example/\n", nil, nil, "https://kratos.example/self-service/methods/oidc/callback/old", false},
		"no client":          {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.ClientID, o.Bridge.ClientSecret = "", secret.String{} }, []string{wiring.PlaceholderClientID, wiring.PlaceholderClientSecret}, "", true},
		"environment":        {providersHead + google, func(o *wiring.Options) { o.KeyFromEnvironment, o.Bridge.ClientSecret = true, secret.String{} }, []string{"\"${SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_1_CLIENT_SECRET}\""}, "", false},
		"no session":         {"dsn: memory\n", nil, nil, "has no hook session", false},
		"an earlier one":     {providersHead + earlier, nil, []string{"issuer_url: https://tenant.eu.auth0.com/", "client_id: client\n", "client_secret: " + testSecret, "scope: "}, "", false},
		"an earlier client":  {providersHead + earlier, func(o *wiring.Options) { o.Bridge.ClientID, o.Bridge.ClientSecret = "", secret.String{} }, []string{"client_id: c\n", "client_secret: s\n"}, "", false},
		"a mapper of theirs": {providersHead + earlier + "            mapper_url: file:///etc/mapper.jsonnet\n", nil, []string{"mapper_url: file:///etc/mapper.jsonnet\n"}, "is not ferry's", false},
		"an empty scope":     {providersHead + earlier + "            scope: []\n", nil, []string{"scope: [openid, email, profile]"}, "", false},
		"no label":           {providersHead + earlier, nil, []string{"label: your previous login\n"}, "", false},
		"an empty label":     {providersHead + earlier + "            label: # none\n", nil, []string{"label: \"your previous login\" # none\n"}, "", false},
		"a label of theirs":  {providersHead + earlier + "            label: 'Acme: the old one'\n", nil, []string{"label: 'Acme: the old one'\n"}, "", false},
		"another label":      {providersHead + earlier + "            label: Acme\n", func(o *wiring.Options) { o.Bridge.Label = "Ümläut: #1" }, []string{"label: \"Ümläut: #1\"\n"}, "", false},
		"a label of ours":    {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.Label = "Acme" }, []string{"label: \"Acme\" # the button"}, "", false},
		"the default label":  {"dsn: memory\n", nil, []string{"label: \"your previous login\" # the button"}, "", false},
		"a scope of theirs":  {providersHead + earlier + "            scope: [profile]\n", nil, []string{"scope: [profile]\n"}, "another scope", false},
	} {
		t.Run(name, c.check)
	}
}

// mergedBridge is a file, and what a merge with the bridge makes of it.
type mergedBridge struct {
	file   string
	change func(*wiring.Options)
	has    []string // in the file after the merge
	notes  string
	asks   bool // for the client
}

func (c mergedBridge) check(t *testing.T) {
	o := bridged(c.change)
	merged, err := wiring.Merge([]byte(c.file), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range c.has {
		if !strings.Contains(string(merged.Text), text) {
			t.Errorf("it lacks %q:\n%s", text, merged.Text)
		}
	}
	if !strings.Contains(strings.Join(merged.Notes, "\n"), c.notes) || merged.UnknownClient != c.asks {
		t.Errorf("unknown client: %v, notes: %q", merged.UnknownClient, merged.Notes)
	}
	if strings.Contains(merged.Diff, "canary") {
		t.Errorf("the diff shows a secret:\n%s", merged.Diff)
	}
	if again, err := wiring.Merge(merged.Text, o); err != nil || again.Diff != "" {
		t.Errorf("merged twice: %v\n%s", err, again.Diff)
	}
	left, err := wiring.Remove(merged.Text, "")
	if strings.Contains(c.file, "id: old") {
		return
	}
	if err != nil || string(left.Text) != c.file || !strings.Contains(strings.Join(left.Notes, "\n"), "the provider old was removed") {
		t.Errorf("removed: %v, notes %q, %s", err, left.Notes, left.Diff)
	}
}

// An id that is another provider's, and what cannot be a bridge, are refused.
func TestMergeNoBridge(t *testing.T) {
	for says, c := range map[string]struct {
		file   string
		change func(*wiring.Options)
	}{
		"has the id of the bridge":     {providersHead + strings.Replace(google, "id: google", "id: old", 1), nil},
		"written in flow style":        {"selfservice: {methods: {oidc: {config: {providers: [{id: a}]}}}}\ndsn: memory\n", nil},
		"id must be letters":           {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.ID = "a:b" }},
		"must be https://DOMAIN/":      {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.Issuer = "http://tenant.eu.auth0.com/" }},
		"must not contain quotes":      {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.ClientID = "a\nb" }},
		"label must be one line":       {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.Label = "a\nb" }},
		"without blanks around it":     {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.Label = " a" }},
		"id must be letters, digits, ": {"dsn: memory\n", func(o *wiring.Options) { o.Bridge.ID = "" }},
	} {
		if _, err := wiring.Merge([]byte(c.file), bridged(c.change)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// A provider that is not ferry's stays at a removal, and so does the method of others.
func TestRemoveKeepsProviders(t *testing.T) {
	for _, file := range []string{providersHead + google, providersHead + earlier} {
		if left, err := wiring.Remove([]byte(file), ""); err != nil || left.Diff != "" {
			t.Errorf("%v\n%s", err, left.Diff)
		}
	}
}

// The fragment is what a merge adds.
func TestFragmentHasTheBridge(t *testing.T) {
	o := bridged(nil)
	merged, err := wiring.Merge([]byte(wiring.Fragment(o)), o)
	if err != nil || merged.Diff != "" {
		t.Errorf("%v\n%s", err, merged.Diff)
	}
}

// The mapper binds by the subject, and takes an address only where Auth0 itself verified it.
func TestBridgeMapper(t *testing.T) {
	text, err := os.ReadFile("bridge.jsonnet")
	if err != nil || string(text) != wiring.BridgeJsonnet() {
		t.Fatal("the file is not what the package has", err)
	}
	const trusted = `{"identity":{"metadata_admin":{"auth0":{"user_id":"%","user_ids":["%"]}},"traits":{"email":"a@x.test"},"verified_addresses":[{"value":"a@x.test","via":"email"}]}}`
	const bound = `{"identity":{"metadata_admin":{"auth0":{"user_id":"%","user_ids":["%"]}},"traits":{}}}`
	for claims, want := range map[string]string{
		`{"sub":"auth0|1","email":"a@x.test","email_verified":true}`:           strings.ReplaceAll(trusted, "%", "auth0|1"),
		`{"sub":"email|1","email":"a@x.test","email_verified":true}`:           strings.ReplaceAll(trusted, "%", "email|1"),
		`{"sub":"auth0|1","email":"a@x.test","email_verified":false}`:          strings.ReplaceAll(bound, "%", "auth0|1"),
		`{"sub":"auth0|1","email":"a@x.test"}`:                                 strings.ReplaceAll(bound, "%", "auth0|1"),
		`{"sub":"auth0|1","email":"a@x.test","email_verified":"true"}`:         strings.ReplaceAll(bound, "%", "auth0|1"),
		`{"sub":"auth0|1","email_verified":true}`:                              strings.ReplaceAll(bound, "%", "auth0|1"),
		`{"sub":"waad|auth0|1","email":"a@x.test","email_verified":true}`:      strings.ReplaceAll(bound, "%", "waad|auth0|1"),
		`{"sub":"google-oauth2|1","email":"a@x.test","email_verified":true}`:   strings.ReplaceAll(bound, "%", "google-oauth2|1"),
		`{"sub":"sms|1","phone_number":"+49151","phone_number_verified":true}`: strings.ReplaceAll(bound, "%", "sms|1"),
	} {
		vm := jsonnet.MakeVM()
		vm.ExtCode("claims", claims)
		got, err := vm.EvaluateAnonymousSnippet("bridge.jsonnet", string(text))
		if compact := strings.NewReplacer("\n", "", " ", "").Replace(got); err != nil || compact != want {
			t.Errorf("%s: %v\n%s\n%s", claims, err, compact, want)
		}
	}
}
