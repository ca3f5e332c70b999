package wiring

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Patch is one operation on the configuration of an Ory Network project, as a flag of
// `ory patch identity-config`.
type Patch struct {
	Op    string // add
	Path  string // a JSON pointer
	Value any
}

// NetworkSchema is an identity schema for an Ory Network project.
type NetworkSchema struct {
	ID   string
	Text []byte // empty: none is added
}

// NetworkPatches are the operations that make an Ory Network project call ferry. They
// hold the key. The after-login hook is put before the hooks that are there.
func NetworkPatches(o Options, schema NetworkSchema) ([]Patch, error) {
	if o.KratosVersion == "" {
		o.KratosVersion = "25.4" // Ory Network runs a later one: it takes the template
	}
	if err := errors.Join(o.Check(), checkPublic(o.URL)); err != nil {
		return nil, err
	}
	response := Ignore
	if o.Response == Parse {
		response = Parse
	}
	auth := map[string]any{"type": "api_key", "config": map[string]any{"name": "Authorization", "value": o.bearer(), "in": "header"}}
	patches := []Patch{
		{"add", pointer(migratePath()), map[string]any{
			"enabled": true,
			"config": map[string]any{
				"url": o.migrateURL(), "method": "POST", "body": Base64(MigrateJsonnet(o.ClientIPHeader)), "auth": auth,
			},
		}},
		{"add", pointer(afterPath("password", "hooks", "0")), map[string]any{
			"hook": webHook,
			"config": map[string]any{
				"url": o.afterLoginURL(), "method": "POST", "body": Base64(AfterLoginJsonnet(response)),
				"response": map[string]any{response: true}, "auth": auth,
			},
		}},
	}
	if len(schema.Text) == 0 {
		return patches, nil
	}
	if schema.ID == "" || !json.Valid(schema.Text) {
		return nil, errors.New("check the schema: it must be JSON, and have an id")
	}
	return append(patches, Patch{"add", "/identity/schemas/-", map[string]any{
		"id": schema.ID, "url": base64Prefix + base64.StdEncoding.EncodeToString(schema.Text),
	}}), nil
}

// NetworkCommand is a shell command that applies patches to a project. Empty: the
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
		command += " \\\n  --" + patch.Op + " " + shellQuote(patch.Path+"="+string(value))
	}
	return command + "\n", nil
}

// shellQuote makes one word of a text for every POSIX shell.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// pointer is a path as a JSON pointer (RFC 6901); none of ferry's has a / or ~ in it.
func pointer(path []string) string { return "/" + strings.Join(path, "/") }

// checkPublic refuses addresses that Ory Network cannot reach.
func checkPublic(text string) error {
	base, err := url.Parse(text)
	if err != nil {
		return nil //nolint:nilerr // Check says so
	}
	host := strings.TrimSuffix(strings.ToLower(base.Hostname()), ".")
	if base.Scheme != "https" {
		return errors.New("check the url: Ory Network needs https, because passwords travel on it")
	}
	address, err := netip.ParseAddr(host)
	private := err == nil && (address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || refused(address))
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
