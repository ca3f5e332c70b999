package wiring_test

import (
	"strings"
	"testing"

	"ferry/secret"
	"ferry/wire"
	"ferry/wiring"
)

func TestFragment(t *testing.T) {
	for name, c := range map[string]struct {
		options       wiring.Options
		body          any // of the migration hook
		response, key string
	}{
		"for all":  {options(), nil, "ignore", testKey},
		"1.3.1":    {wiring.Options{URL: "http://[::1]:4480/", KratosVersion: "1.3.1", Key: secret.New(`a"b\c#d`)}, nil, "ignore", `a"b\c#d`},
		"26.2":     {wiring.Options{URL: "https://ferry.example.org", KratosVersion: "26.2", ClientIPHeader: "X-Real-Ip", Response: wiring.Parse}, wiring.Base64(wiring.MigrateJsonnet("X-Real-Ip")), "parse", wiring.Placeholder},
		"25.4, no": {wiring.Options{URL: "http://ferry", KratosVersion: "v25.4.0"}, wiring.Base64(wiring.MigrateJsonnet("")), "ignore", wiring.Placeholder},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.options.Check(); err != nil {
				t.Fatal(err)
			}
			text := wiring.Fragment(c.options)
			checkFragment(t, text, c.options.URL, c.response, c.key, c.body)
			if commented := strings.Contains(text, "# body: base64://"); commented != (c.options.KratosVersion == "") {
				t.Errorf("the template in a comment: %v", commented)
			}
			merged, err := wiring.Merge([]byte(text), c.options)
			if err != nil || merged.Diff != "" {
				t.Errorf("merged into itself: %v\n%s", err, merged.Diff)
			}
		})
	}
}

// checkFragment reads a fragment and compares what is in it.
func checkFragment(t *testing.T, text, url, response, key string, body any) {
	t.Helper()
	got := at(values(t, []byte(text)), "selfservice")
	hook := at(got, "methods", "password", "config", "migrate_hook")
	base := strings.TrimSuffix(url, "/")
	if at(hook, "enabled") != true || at(hook, "config", "url") != base+wire.MigrationPath || at(hook, "config", "body") != body {
		t.Errorf("migration hook: %v", hook)
	}
	hooks, ok := at(got, "flows", "login", "after", "password", "hooks").([]any)
	if !ok || len(hooks) != 1 {
		t.Fatalf("hooks: %v", hooks)
	}
	after := at(hooks[0], "config")
	if at(hooks[0], "hook") != "web_hook" || at(after, "url") != base+wire.AfterLoginPath ||
		at(after, "body") != wiring.Base64(wiring.AfterLoginJsonnet(response)) || at(after, "response", response) != true {
		t.Errorf("after-login hook: %v", after)
	}
	for _, config := range []any{at(hook, "config"), after} {
		auth := at(config, "auth", "config")
		if at(auth, "name") != "Authorization" || at(auth, "in") != "header" || at(auth, "value") != "Bearer "+key {
			t.Errorf("auth: %v", auth)
		}
	}
}
