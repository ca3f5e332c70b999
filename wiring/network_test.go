package wiring_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ferry/secret"
	"ferry/wiring"
)

func networkOptions() wiring.Options {
	o := options()
	o.URL = "https://ferry.example.org"
	return o
}

// TestNetworkCommand: one command with both hooks, the templates and the schema.
func TestNetworkCommand(t *testing.T) {
	o := networkOptions()
	o.ClientIPHeader = "True-Client-Ip"
	schema := wiring.NetworkSchema{ID: "person", Text: []byte(`{"title":"it's a person"}`)}
	patches, err := wiring.NetworkPatches(o, schema)
	if err != nil || len(patches) != 3 {
		t.Fatalf("%v, %v", err, patches)
	}
	command, err := wiring.NetworkCommand("", patches)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ory patch identity-config \"$ORY_PROJECT_ID\" \\\n  --add '/selfservice/methods/password/config/migrate_hook={",
		"' \\\n  --add '/selfservice/flows/login/after/password/hooks/0={",
		"' \\\n  --add '/identity/schemas/-={",
		`"url":"https://ferry.example.org/hooks/password-migration"`, `"url":"https://ferry.example.org/hooks/after-login"`,
		wiring.Base64(wiring.MigrateJsonnet("True-Client-Ip")), wiring.Base64(wiring.AfterLoginJsonnet("")),
		wiring.Base64(string(schema.Text)), `"response":{"ignore":true}`,
	} {
		if !strings.Contains(command, want) {
			t.Errorf("no %s in\n%s", want, command)
		}
	}
	if strings.Count(command, "Bearer "+testKey) != 2 {
		t.Errorf("the key is not there twice:\n%s", command)
	}
}

// TestNetworkCommandIsQuoted: what an operator names cannot end a word.
func TestNetworkCommandIsQuoted(t *testing.T) {
	command, err := wiring.NetworkCommand(`it's; rm -rf "$HOME"`, []wiring.Patch{{Path: "/a", Value: "'`$(x)\\"}})
	want := `ory patch identity-config 'it'\''s; rm -rf "$HOME"'` + " \\\n" + `  --add '/a="'\''` + "`" + `$(x)\\"'` + "\n"
	if err != nil || command != want {
		t.Errorf("%v, got %s", err, command)
	}
}

// TestNetworkRefuses what Ory Network cannot reach or would not take.
func TestNetworkRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(*wiring.Options)
		schema wiring.NetworkSchema
		want   string
	}{
		"http":            {func(o *wiring.Options) { o.URL = "http://ferry.example.org" }, wiring.NetworkSchema{}, "needs https"},
		"a private one":   {func(o *wiring.Options) { o.URL = "https://10.1.2.3" }, wiring.NetworkSchema{}, "cannot reach 10.1.2.3"},
		"loopback":        {func(o *wiring.Options) { o.URL = "https://[::1]:4480" }, wiring.NetworkSchema{}, "cannot reach ::1"},
		"a cluster's":     {func(o *wiring.Options) { o.URL = "https://ferry" }, wiring.NetworkSchema{}, "cannot reach ferry"},
		"a local name":    {func(o *wiring.Options) { o.URL = "https://ferry.svc.cluster.local" }, wiring.NetworkSchema{}, "cannot reach ferry.svc.cluster.local"},
		"a path":          {func(o *wiring.Options) { o.URL += "/hooks" }, wiring.NetworkSchema{}, "must not have a path"},
		"an old Kratos":   {func(o *wiring.Options) { o.KratosVersion, o.ClientIPHeader = "1.3.1", "X-Real-Ip" }, wiring.NetworkSchema{}, "1.3.1"},
		"no schema":       {func(*wiring.Options) {}, wiring.NetworkSchema{ID: "x", Text: []byte("nope")}, "must be JSON"},
		"a nameless one":  {func(*wiring.Options) {}, wiring.NetworkSchema{Text: []byte("{}")}, "have an id"},
		"nothing to call": {func(o *wiring.Options) { o.URL = "" }, wiring.NetworkSchema{}, "url"},
	} {
		t.Run(name, func(t *testing.T) {
			o := networkOptions()
			c.edit(&o)
			if _, err := wiring.NetworkPatches(o, c.schema); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNetworkResponse: parse is passed on, and without a key the placeholder shows.
func TestNetworkResponse(t *testing.T) {
	o := networkOptions()
	o.Response, o.Key = wiring.Parse, secret.String{}
	patches, err := wiring.NetworkPatches(o, wiring.NetworkSchema{})
	if err != nil || len(patches) != 2 {
		t.Fatalf("%v, %v", err, patches)
	}
	text, err := json.Marshal(patches[1].Value)
	if err != nil || !strings.Contains(string(text), `"response":{"parse":true}`) || !strings.Contains(string(text), wiring.Placeholder) {
		t.Errorf("%v, %s", err, text)
	}
}
