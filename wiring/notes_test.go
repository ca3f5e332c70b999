package wiring_test

import (
	"strings"
	"testing"

	"ferry/wiring"
)

// TestNotes: what in the file keeps Kratos from calling ferry, or logs too much.
func TestNotes(t *testing.T) {
	const quiet = "log: {level: warning}\n"
	const private = quiet + "clients:\n  http:\n    disallow_private_ip_ranges: true\n"
	for name, c := range map[string]struct {
		file, url string
		want      []string
	}{
		"nothing":         {quiet, "http://127.0.0.1:4480", nil},
		"loud":            {"log: {level: debug, leak_sensitive_values: true}\n", "http://127.0.0.1:4480", []string{"leak_sensitive_values", "log.level"}},
		"no level":        {"dsn: memory\n", "http://127.0.0.1:4480", []string{"log.level"}},
		"no passwords":    {quiet + "selfservice:\n  methods:\n    password:\n      enabled: false\n", "http://127.0.0.1:4480", []string{"no one can log in"}},
		"shared range":    {quiet, "http://100.100.1.2:4480", []string{"Kratos never calls 100.100.1.2"}},
		"unspecified":     {quiet, "http://[::]:4480", []string{"Kratos never calls ::"}},
		"private":         {private, "http://10.0.0.1:4480", []string{"10.0.0.1:4480/hooks/password-migration,", "10.0.0.1:4480/hooks/after-login,"}},
		"IPv6":            {private, "http://[::1]:4480", []string{`as http://\[::1\]:4480/hooks/password-migration`, `as http://\[::1\]:4480/hooks/after-login`}},
		"loopback name":   {private, "http://localhost:4480", []string{"password-migration,", "after-login,"}},
		"a name":          {private, "https://ferry.internal", []string{"password-migration, if", "after-login, if"}},
		"public":          {private, "https://203.0.113.7", nil},
		"public, excepts": {private + "    private_ip_exception_urls: [\"http://10.0.0.1/hooks/after-login\"]\n", "http://10.0.0.1", []string{"password-migration,"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.URL = c.url
			merged, err := wiring.Merge([]byte(c.file), o)
			if err != nil {
				t.Fatal(err)
			}
			if len(merged.Notes) != len(c.want) {
				t.Fatalf("got %q", merged.Notes)
			}
			for i, want := range c.want {
				if !strings.Contains(merged.Notes[i], want) {
					t.Errorf("got %q, want %q", merged.Notes[i], want)
				}
			}
		})
	}
}
