package wiring

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml"
)

// Patch adds a value to the configuration of an Ory Network project.
type Patch struct {
	Path  string // JSON pointer
	Value any
}

// NetworkSchema is an identity schema for an Ory Network project.
type NetworkSchema struct {
	ID   string
	Text []byte // empty: no schema is added
}

// NetworkPatches returns the patches that make an Ory Network project call ferry. They
// contain the key. They insert the after-login hook before the existing hooks.
func NetworkPatches(o Options, schema NetworkSchema) ([]Patch, error) {
	if o.KratosVersion == "" {
		o.KratosVersion = "25.4" // Ory Network runs a later one, which takes the template
	}
	if err := errors.Join(o.Check(), checkPublic(o.URL)); err != nil {
		return nil, err
	}
	var config any
	if err := yaml.Unmarshal([]byte(Fragment(o)), &config); err != nil {
		return nil, fmt.Errorf("read the fragment: %w", err)
	}
	var patches []Patch
	for _, path := range [][]string{MigrateHookKeys(), AfterLoginKeys("password", "hooks", "0")} {
		value, _ := Lookup(config, path...)
		patches = append(patches, Patch{pointer(path), value})
	}
	if len(schema.Text) == 0 {
		return patches, nil
	}
	if schema.ID == "" || !json.Valid(schema.Text) {
		return nil, errors.New("check the schema: it must be JSON, and have an id")
	}
	return append(patches, Patch{"/identity/schemas/-", map[string]any{"id": schema.ID, "url": Base64(string(schema.Text))}}), nil
}

// NetworkCommand returns a shell command that applies patches to a project. An empty
// project is the one in the environment variable ORY_PROJECT_ID.
func NetworkCommand(project string, patches []Patch) (string, error) {
	id := `"$ORY_PROJECT_ID"`
	if project != "" {
		id = shellQuote(project)
	}
	command := "ory patch identity-config " + id
	for _, patch := range patches {
		value, err := json.Marshal(patch.Value)
		if err != nil {
			return "", fmt.Errorf("print the patches: %w", err)
		}
		command += " \\\n  --add " + shellQuote(patch.Path+"="+string(value))
	}
	return command + "\n", nil
}

// shellQuote quotes a text as one word for a POSIX shell.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// pointer returns a path without / and ~ as a JSON pointer (RFC 6901).
func pointer(path []string) string { return "/" + strings.Join(path, "/") }

// checkPublic rejects addresses that Ory Network cannot reach.
func checkPublic(text string) error {
	base, err := url.Parse(text)
	if err != nil {
		return nil //nolint:nilerr // Check reports it
	}
	host := strings.TrimSuffix(strings.ToLower(base.Hostname()), ".")
	if base.Scheme != "https" {
		return errors.New("check the url: Ory Network needs https, because it sends passwords")
	}
	address, err := netip.ParseAddr(host)
	private := err == nil && (address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || NeverCalled(address))
	if err != nil {
		private = !strings.Contains(host, ".")
		for _, suffix := range []string{".local", ".internal", ".localhost", ".lan", ".test"} {
			private = private || strings.HasSuffix(host, suffix)
		}
	}
	if private {
		return fmt.Errorf("check the url: Ory Network calls from the internet and cannot reach %s", host)
	}
	return nil
}
