package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestRebindUsage: what cannot be meant is wrong usage, and an id is the same in every
// form that a UUID has.
func TestRebindUsage(t *testing.T) {
	const id = "00000000-0000-4000-8000-00000000000A"
	listing(t, strings.Replace(oneIdentity(10, pendingConfig, `{"user_id":"auth0|1"}`), "000010", "00000a", 1))
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no id":           {[]string{"kim@x.test", "--to", "auth0|1", "--reason", "r"}, exitUsage, "by its id in Kratos"},
		"nobody":          {[]string{id, "--reason", "r"}, exitUsage, "name the Auth0 user"},
		"no subject":      {[]string{id, "--to", "kim@x.test", "--reason", "r"}, exitUsage, "such as auth0|"},
		"no reason":       {[]string{id, "--to", "auth0|1"}, exitUsage, "say why"},
		"a blank reason":  {[]string{id, "--to", "auth0|1", "--reason", " "}, exitUsage, "say why"},
		"upper case":      {[]string{id, "--to", "auth0|1", "--reason", "r"}, exitOK, "bound to that user already"},
		"without hyphens": {[]string{strings.ReplaceAll(id, "-", ""), "--to", "auth0|1", "--reason", "r"}, exitOK, "bound to that user already"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append([]string{"rebind"}, c.args...), &stdout, &stderr)
			if status != c.status || !strings.Contains(stderr.String(), c.says) || (stdout.Len() > 0) != (c.status == exitOK) {
				t.Errorf("status %d: %s", status, stderr.String())
			}
		})
	}
}
