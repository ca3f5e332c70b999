package wiring_test

import (
	"slices"
	"strings"
	"testing"

	"ferry/secret"
	"ferry/wiring"
)

// TestMergeSaysWhichKeyIsSent: whoever rotates the key and names the keys in the wrong
// order is told before the key that Kratos sends is taken out.
func TestMergeSaysWhichKeyIsSent(t *testing.T) {
	older, newer, other := secret.New(strings.Repeat("o", 32)), secret.New(strings.Repeat("n", 32)), secret.New(strings.Repeat("x", 32))
	o := options()
	o.Key, o.Accepted = older, []secret.String{older}
	first, err := wiring.Merge([]byte("dsn: memory\nlog: {level: warning}\n"), o)
	if err != nil || len(first.Notes) != 0 {
		t.Fatalf("one key: %v, %q", err, first.Notes)
	}
	if strings.Count(first.Diff, "value: [hidden, key "+wiring.Fingerprint(older)+"]") != 2 {
		t.Errorf("no fingerprints:\n%s", first.Diff)
	}
	for name, c := range map[string]struct {
		key      secret.String
		accepted []secret.String
		want     []string
	}{
		"the new key first": {newer, []secret.String{newer, older}, []string{"sends the key NEW now instead of OLD: leave OLD in FERRY_HOOK_KEYS"}},
		"the old key first": {older, []secret.String{older, newer}, []string{"still sends the key OLD, the first of FERRY_HOOK_KEYS, and not NEW: to remove OLD, first put NEW at the front"}},
		"a key that ferry does not take": {other, []secret.String{newer, older}, []string{
			"sends the key OTHER, which is not in FERRY_HOOK_KEYS", "sends the key OTHER now instead of OLD",
		}},
		"the same key alone": {older, []secret.String{older}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Key, o.Accepted = c.key, c.accepted
			merged, err := wiring.Merge(first.Text, o)
			if err != nil || len(merged.Notes) != len(c.want) {
				t.Fatalf("%v, %q", err, merged.Notes)
			}
			names := strings.NewReplacer("NEW", wiring.Fingerprint(newer), "OLD", wiring.Fingerprint(older), "OTHER", wiring.Fingerprint(other))
			for i, want := range c.want {
				if !strings.Contains(merged.Notes[i], names.Replace(want)) {
					t.Errorf("got %q, want %q", merged.Notes[i], names.Replace(want))
				}
			}
			if merged.Diff != "" && !strings.Contains(strings.ReplaceAll(merged.Diff, " ", ""), "\n-value:[hidden,key"+wiring.Fingerprint(older)+"]\n") {
				t.Errorf("no fingerprint of the old key:\n%s", merged.Diff)
			}
		})
	}
}

// TestFingerprint is what the command in docs/kratos-wiring.md prints.
func TestFingerprint(t *testing.T) {
	// printf %s 0123456789abcdef0123456789abcdef | sha256sum | cut -c1-8
	if got := wiring.Fingerprint(secret.New(testKey)); got != "3eb1bd43" {
		t.Errorf("got %s", got)
	}
}

// TestMergeLeavesTheKeyToTheEnvironment: the file has no key, and a later merge with a
// key at hand does not put one in.
func TestMergeLeavesTheKeyToTheEnvironment(t *testing.T) {
	const (
		migrate = "SELFSERVICE_METHODS_PASSWORD_CONFIG_MIGRATE_HOOK_CONFIG_AUTH_CONFIG_VALUE"
		after   = "SELFSERVICE_FLOWS_LOGIN_AFTER_PASSWORD_HOOKS_0_CONFIG_AUTH_CONFIG_VALUE"
	)
	for name, file := range map[string]string{
		"new": "dsn: memory\n", "merged, with the key": string(read(t, "earlier.merged.yml")),
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.KeyFromEnvironment = true
			merged, err := wiring.Merge([]byte(file), o)
			if err != nil || strings.Contains(string(merged.Text), testKey) || strings.Contains(merged.Diff, testKey) {
				t.Fatalf("%v\n%s", err, merged.Text)
			}
			if !slices.Equal(merged.Variables, []string{migrate, after}) || merged.Placeholder {
				t.Errorf("variables: %q, %v", merged.Variables, merged.Placeholder)
			}
			once := func(value string) bool {
				return strings.Count(string(merged.Text), value) == 1 && strings.Count(merged.Diff, value) == 1
			}
			if !once(`value: "${`+migrate+`}"`) || !once(`value: "${`+after+`}"`) {
				t.Errorf("the variables are not in the file:\n%s", merged.Diff)
			}
			if again, err := wiring.Merge(merged.Text, options()); err != nil || again.Diff != "" || len(again.Variables) != 2 {
				t.Errorf("with a key, later: %v\n%s", err, again.Diff)
			}
		})
	}
	o := options()
	o.Key, o.KeyFromEnvironment = secret.String{}, true
	if merged, err := wiring.Merge([]byte("dsn: memory\n"), o); err != nil || merged.Placeholder {
		t.Errorf("with no key known: %v, %v", err, merged.Placeholder)
	}
}
