package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ferry/mapping"
	"ferry/provenance"
)

// mapFlags are the files that `ferry map` reads.
type mapFlags struct{ mapper, schema, user string }

func mapCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var flags mapFlags
	cmd := &cobra.Command{
		Use:   "map --user FILE",
		Short: "Print the identity that an Auth0 user becomes.",
		Long: "Prints the identity that an Auth0 user becomes, as JSON, and on standard error whether its traits satisfy the\n" +
			"identity schema. It contacts neither Auth0 nor Kratos.\n\n" +
			"Exit status: 0: mapped and valid. 1: not mapped, or not valid. 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			files, err := flags.read(stdin)
			if err != nil {
				return err // a missing file is wrong usage
			}
			return asFailed(mapUser(flags, files, stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.mapper, "mapper", "", "Jsonnet `FILE` in the format of Kratos' OIDC mappers (default: fill traits by name)")
	cmd.Flags().StringVar(&flags.schema, "schema", "", "identity schema `FILE` to fill and validate; without it nothing is validated")
	cmd.Flags().StringVar(&flags.user, "user", "", "`FILE` with one Auth0 user object, or - for standard input")
	return cmd
}

// mapFiles are the contents of the files; nil if no file is given.
type mapFiles struct{ mapper, schema, user []byte }

func (f mapFlags) read(stdin io.Reader) (files mapFiles, err error) {
	switch f.user {
	case "":
		return files, errors.New("give the user's file with --user FILE, or --user - for standard input")
	case "-":
		files.user, err = readInput(stdin)
	default:
		files.user, err = readFile(f.user)
	}
	if err == nil && f.mapper != "" {
		files.mapper, err = readFile(f.mapper)
	}
	if err == nil && f.schema != "" {
		files.schema, err = readFile(f.schema)
	}
	return files, err
}

func mapUser(flags mapFlags, files mapFiles, stdout, stderr io.Writer) error {
	var schema *mapping.Schema
	var err error
	if files.schema != nil {
		if schema, err = mapping.ParseSchema(files.schema); err != nil {
			return err
		}
	}
	mapper := mapping.Default(schema)
	if files.mapper != nil {
		if mapper, err = mapping.Jsonnet(flags.mapper, string(files.mapper)); err != nil {
			return err
		}
	}
	profile, err := mapping.FromUser(files.user)
	if err != nil {
		return err
	}
	identity, err := mapper.Map(profile)
	var failed *mapping.MapperError
	if errors.As(err, &failed) {
		return errors.New("map with " + failed.Detail()) // the operator has the user's data
	}
	if err != nil {
		return err
	}
	for _, note := range identity.Notes {
		_, _ = fmt.Fprintln(stderr, "note:", note)
	}
	// Print the identity as an import creates it: bound, and with trusted verified addresses only.
	identity.VerifiedAddresses = mapping.Rules{}.Trusted(profile, identity)
	identity.MetadataAdmin = mapping.Record(profile, identity, provenance.Content{})
	if err := printPlainJSON(stdout, identity); err != nil {
		return err
	}
	if schema == nil {
		_, _ = fmt.Fprintln(stderr, "not validated: no --schema was given")
		return nil
	}
	return report(stderr, flags.schema, schema, profile, identity)
}

// report prints what a login would not write, and whether the identity is valid.
func report(stderr io.Writer, name string, schema *mapping.Schema, profile mapping.Profile, identity mapping.Identity) error {
	for _, trait := range (mapping.Rules{}).Unverified(schema, profile, identity) {
		_, _ = fmt.Fprintf(stderr, "traits.%s is an unverified identifier or address: a login never fills it\n", trait)
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
