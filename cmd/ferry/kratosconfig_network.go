package main

import (
	"errors"
	"fmt"
	"io"

	"ferry/wiring"
)

const oryNetwork = "ory-network"

// checkTarget rejects flags that --for excludes or requires.
func (f kratosConfigFlags) checkTarget(changed func(string) bool) error {
	switch f.target {
	case "":
		for _, name := range []string{"project", "schema", "schema-id"} {
			if changed(name) {
				return errors.New("--" + name + " needs --for " + oryNetwork)
			}
		}
		return nil
	case oryNetwork:
	default:
		return errors.New("--for: it must be " + oryNetwork)
	}
	for _, name := range []string{"merge", "remove", "hook-key-env", "sign-up", "bridge"} {
		if changed(name) {
			return errors.New("--" + name + " cannot be used with --for " + oryNetwork)
		}
	}
	if (f.schema == "") != (f.schemaID == "") {
		return errors.New("--schema and --schema-id must be given together")
	}
	return nil
}

// network prints the command that makes an Ory Network project call ferry.
func (f kratosConfigFlags) network(opts wiring.Options, stdout, stderr io.Writer) error {
	schema := wiring.NetworkSchema{ID: f.schemaID}
	if f.schema != "" {
		var err error
		if schema.Text, err = readFile(f.schema); err != nil {
			return err
		}
	}
	patches, err := wiring.NetworkPatches(opts, schema)
	if err != nil {
		return err
	}
	command, err := wiring.NetworkCommand(f.project, patches)
	if err != nil {
		return err
	}
	if opts.Key.Empty() {
		fmt.Fprintln(stderr, placeholderHint)
	}
	fmt.Fprintln(stderr, "note: run it only once: running it again adds a second after-login hook. docs/ory-network.md has the other steps")
	_, err = io.WriteString(stdout, command)
	return err
}
