package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ferry/mapping"
	"ferry/provenance"
)

// maxInput is more than any user object, mapper or schema has, in bytes.
const maxInput = 16 << 20

// mapFlags are the files that `ferry map` reads.
type mapFlags struct{ mapper, schema, user string }

func mapCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var flags mapFlags
	cmd := &cobra.Command{
		Use:   "map --user FILE",
		Short: "Print the identity that an Auth0 user becomes; asks nobody and changes nothing.",
		Long: "Prints the identity that an Auth0 user becomes, as JSON. Whether its traits satisfy the identity\n" +
			"schema is said on standard error. Exit 0: mapped and valid, 1: not, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := flags.read(stdin)
			if err != nil {
				return err // a file that is not there is wrong usage
			}
			return work(func(context.Context) error { return mapUser(flags, files, stdout, stderr) })(cmd, args)
		},
	}
	cmd.Flags().StringVar(&flags.mapper, "mapper", "", "Jsonnet `FILE` in the convention of Kratos' OIDC mappers; without it, traits are filled by their names")
	cmd.Flags().StringVar(&flags.schema, "schema", "", "identity schema `FILE` to fill and to validate against; without it nothing is validated")
	cmd.Flags().StringVar(&flags.user, "user", "", "`FILE` with one Auth0 user object, or - for standard input")
	return cmd
}

// mapFiles are what the flags name; nil: not named.
type mapFiles struct{ mapper, schema, user []byte }

func (f mapFlags) read(stdin io.Reader) (files mapFiles, err error) {
	if f.user == "" {
		return files, errors.New("name the user's file: --user FILE, or --user - for standard input")
	}
	for _, input := range []struct {
		name string
		into *[]byte
	}{{f.mapper, &files.mapper}, {f.schema, &files.schema}, {f.user, &files.user}} {
		switch {
		case input.name == "":
		case input.name == "-" && input.into == &files.user:
			*input.into, err = readInput(stdin)
		default:
			*input.into, err = readFile(input.name)
		}
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := readInput(file)
	return text, errors.Join(err, file.Close())
}

func readInput(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("read input: more than %d bytes", maxInput)
	}
	return text, err
}

func mapUser(flags mapFlags, files mapFiles, stdout, stderr io.Writer) error {
	var schema *mapping.Schema
	if files.schema != nil {
		parsed, err := mapping.ParseSchema(files.schema)
		if err != nil {
			return err
		}
		schema = parsed
	}
	mapper := mapping.Default(schema)
	if files.mapper != nil {
		compiled, err := mapping.Jsonnet(flags.mapper, string(files.mapper))
		if err != nil {
			return err
		}
		mapper = compiled
	}
	profile, err := mapping.FromUser(files.user)
	if err != nil {
		return err
	}
	identity, err := mapper.Map(profile)
	var failed *mapping.MapperError
	if errors.As(err, &failed) {
		return errors.New("map with " + failed.Detail()) // who runs it has the user's data
	}
	if err != nil {
		return err
	}
	for _, note := range identity.Notes {
		_, _ = fmt.Fprintln(stderr, "note:", note)
	}
	if err := printIdentity(stdout, profile, identity); err != nil {
		return err
	}
	if schema == nil {
		_, _ = fmt.Fprintln(stderr, "not validated: no --schema was given")
		return nil
	}
	return report(stderr, flags.schema, schema, profile, identity)
}

// printIdentity prints the identity as an import makes it: with the binding, and with
// those verified addresses only that are believed.
func printIdentity(stdout io.Writer, profile mapping.Profile, identity mapping.Identity) error {
	identity.VerifiedAddresses = mapping.Rules{}.Trusted(profile, identity)
	identity.MetadataAdmin = mapping.Record(profile, identity, provenance.Content{})
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(identity)
}

// report says what the schema says, and what a login would not take over.
func report(stderr io.Writer, name string, schema *mapping.Schema, profile mapping.Profile, identity mapping.Identity) error {
	for _, trait := range (mapping.Rules{}).Unverified(schema, profile, identity) {
		_, _ = fmt.Fprintf(stderr, "traits.%s is an identifier or an address that is not verified: a login never fills it\n", trait)
	}
	err := schema.Validate(identity.Traits)
	var invalid *mapping.InvalidError
	if !errors.As(err, &invalid) {
		if err == nil {
			_, _ = fmt.Fprintln(stderr, "valid by", name)
		}
		return err
	}
	for _, violation := range invalid.Violations {
		_, _ = fmt.Fprintln(stderr, violation)
	}
	return fmt.Errorf("the identity is not valid by %s", name)
}
