package wiring_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/goccy/go-yaml"

	admin "ferry/kratos"
	"ferry/secret"
	"ferry/test/process"
	"ferry/wire"
	"ferry/wiring"
)

const (
	networkURL    = "https://ferry.example.org"
	networkSchema = "preset://it's"
)

// networkCommand returns the command that ferry prints for Ory Network, with a custom
// schema.
func networkCommand(t *testing.T) string {
	t.Helper()
	schema, err := os.ReadFile("../../identity.schema.json.example")
	if err != nil {
		t.Fatal(err)
	}
	patches, err := wiring.NetworkPatches(wiring.Options{URL: networkURL, Key: secret.New(key)}, wiring.NetworkSchema{ID: networkSchema, Text: schema})
	if err != nil {
		t.Fatal(err)
	}
	command, err := wiring.NetworkCommand("it's $HOME", patches)
	if err != nil {
		t.Fatal(err)
	}
	return command
}

// pasted runs a command in a shell with an ory that prints its arguments, and returns
// them.
func pasted(t *testing.T, command string) []string {
	t.Helper()
	log := &process.Log{}
	shell := process.Command{Path: "/bin/sh", Args: []string{"-ec", `ory() { printf '%s\000' "$@"; }` + "\n" + command}, Output: log}
	if err := shell.Run(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	return strings.Split(strings.TrimSuffix(log.String(), "\x00"), "\x00")
}

// patched applies the flags of `ory patch identity-config` to a configuration as Ory's
// services do: missing parents of an added value are created.
func patched(t *testing.T, config []byte, args []string) []byte {
	t.Helper()
	type op struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	var ops []op
	for i := 0; i+1 < len(args); i += 2 {
		path, value, ok := strings.Cut(args[i+1], "=")
		if args[i] == "--remove" {
			value, ok = "null", !ok
		}
		if !ok || !json.Valid([]byte(value)) {
			t.Fatalf("%s is not an operation", args[i+1])
		}
		ops = append(ops, op{strings.TrimPrefix(args[i], "--"), path, json.RawMessage(value)})
	}
	text, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	before, err := yaml.YAMLToJSON(config)
	if err != nil {
		t.Fatal(err)
	}
	options := jsonpatch.NewApplyOptions()
	options.EnsurePathExistsOnAdd = true
	after, err := patch.ApplyWithOptions(before, options)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return after
}

// TestNetworkPatches: the command for Ory Network passes through a shell unchanged. A
// real Kratos with the same patches applied calls both of ferry's hooks and knows the
// schema.
func TestNetworkPatches(t *testing.T) {
	args := pasted(t, networkCommand(t))
	if len(args) != 3+3*2 || args[0] != "patch" || args[1] != "identity-config" || args[2] != "it's $HOME" {
		t.Fatalf("the shell reads %q", args)
	}
	h := startHooks(t)
	h.template.Store(true)
	config := patched(t, operators(t), args[3:])
	config = bytes.ReplaceAll(config, []byte(networkURL), []byte(h.URL))
	k, err := startKratos(t, config)
	if errors.Is(err, errTemplate) {
		h.template.Store(false) // Ory Network runs a later Kratos
		without := pasted(t, "ory --remove /selfservice/methods/password/config/migrate_hook/config/body")
		k, err = startKratos(t, patched(t, config, without))
	}
	if err != nil {
		t.Fatal(err)
	}
	id := k.pending("kim@example.org", true)
	if got := k.login("kim@example.org", "wrong"); got.status != http.StatusBadRequest || got.Token != "" {
		t.Errorf("a wrong password: %+v", got)
	}
	if got := k.login("kim@example.org", password); got.status != http.StatusOK || got.Token == "" {
		t.Errorf("the right password: %+v", got)
	}
	if told := h.told(t); told != id {
		t.Errorf("told of %s, not of %s", told, id)
	}
	identities, err := admin.New(admin.Options{AdminURL: k.admin, Timeout: callWait, Transport: k.client.Transport})
	if err != nil {
		t.Fatal(err)
	}
	schema, err := identities.Schema(t.Context(), networkSchema)
	if err != nil || !bytes.Contains(schema, []byte(`"traits"`)) {
		t.Errorf("%s: %v, %s", networkSchema, err, schema)
	}
	if ids, err := identities.Schemas(t.Context()); err != nil || !slices.Contains(ids, networkSchema) {
		t.Errorf("schemas: %v, %q", err, ids)
	}
}

// TestNetworkPage: the commands of docs/ory-network.md that rotate the key and remove
// ferry fit the command that ferry prints.
func TestNetworkPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/ory-network.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, match := range regexp.MustCompile("(?ms)^```sh\n(ory .*?)^```$").FindAllStringSubmatch(string(page), -1) {
		commands = append(commands, "ORY_PROJECT_ID=x\n"+match[1])
	}
	if len(commands) != 2 {
		t.Fatalf("%d commands", len(commands))
	}
	wired := patched(t, operators(t), pasted(t, networkCommand(t))[3:])
	rotated := patched(t, wired, pasted(t, commands[0])[3:])
	if want := bytes.ReplaceAll(wired, []byte("Bearer "+key), []byte("Bearer NEW")); !jsonpatch.Equal(rotated, want) || jsonpatch.Equal(rotated, wired) {
		t.Errorf("rotated: %s", rotated)
	}
	removed := patched(t, rotated, pasted(t, commands[1])[3:])
	for _, gone := range []string{wire.MigrationPath, wire.AfterLoginPath, "migrate_hook", "web_hook"} {
		if bytes.Contains(removed, []byte(gone)) {
			t.Errorf("%s is left: %s", gone, removed)
		}
	}
	if !bytes.Contains(removed, []byte("require_verified_address")) {
		t.Errorf("a hook of the operator's is gone: %s", removed)
	}
}
