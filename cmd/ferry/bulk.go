package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"ferry/config"
	"ferry/kratos"
	"ferry/mapping"
)

// schemaFlags say where the identity schema and the mapper come from.
type schemaFlags struct{ file, id, mapper string }

// mappingOf says how users become identities.
type mappingOf struct {
	schema *mapping.Schema
	id     string // of the schema at Kratos
	mapper mapping.Mapper
	// inputs are the settings and the digests of files that decide the mapping.
	inputs map[string]string
}

// read reads the identity schema and the mapper. It asks Kratos only if no file is named;
// identities may be nil.
func (f schemaFlags) read(ctx context.Context, cfg *config.Config, identities *kratos.Client) (m mappingOf, err error) {
	text, id, err := f.text(ctx, identities)
	if err != nil {
		return m, err
	}
	if m.schema, err = mapping.ParseSchema(text); err != nil {
		return m, err
	}
	if f.mapper != "" {
		cfg.Mapper = f.mapper
	}
	m.id, m.inputs = id, map[string]string{
		"identity schema": digest(text), "mapper": "",
		"FERRY_TRAIT_POLICY": strings.Join(cfg.TraitPolicy, ","), "FERRY_VERIFIED_CONNECTIONS": strings.Join(cfg.VerifiedConnections, ","),
	}
	if cfg.Mapper != "" {
		program, err := readFile(cfg.Mapper)
		if err != nil {
			return m, fmt.Errorf("mapper: %w", err)
		}
		m.inputs["mapper"] = digest(program)
	}
	newFor, err := newMapper(cfg)
	if err != nil {
		return m, err
	}
	m.mapper = newFor(m.schema)
	return m, nil
}

// warnRefused warns of traits with which Kratos accepts no identity.
func (m mappingOf) warnRefused(stderr io.Writer) {
	for _, v := range m.schema.Refused() {
		warner(stderr)("the identity schema: " + v.String() + "; Kratos starts with it, but refuses every identity that has the trait")
	}
}

// digest identifies an input.
func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func (f schemaFlags) text(ctx context.Context, identities *kratos.Client) (text []byte, id string, err error) {
	if f.file != "" {
		text, err = readFile(f.file)
		return text, f.id, err
	}
	if identities == nil {
		return nil, "", errors.New("name the identity schema with --schema, or Kratos with FERRY_KRATOS_ADMIN_URL")
	}
	if f, err = f.identified(ctx, identities); err != nil {
		return nil, "", err
	}
	if text, err = identities.Schema(ctx, f.id); err != nil {
		return nil, "", notReached(err)
	}
	return text, f.id, nil
}

// identified returns f with the schema's id at Kratos. Writing to existing identities needs
// the id, also with a file: it distinguishes them from identities of other schemas.
func (f schemaFlags) identified(ctx context.Context, identities *kratos.Client) (schemaFlags, error) {
	if f.id != "" {
		return f, nil
	}
	ids, err := identities.Schemas(ctx)
	switch {
	case err != nil:
		return f, notReached(err)
	case len(ids) != 1:
		return f, fmt.Errorf("kratos has the identity schemas %s: name one with --schema-id", strings.Join(ids, ", "))
	}
	f.id = ids[0]
	return f, nil
}

func notReached(err error) error {
	var public *kratos.PublicError
	if errors.As(err, &public) {
		return fmt.Errorf("read the identity schema: %w\n"+
			"hint: set FERRY_KRATOS_PUBLIC_URL to Kratos' public API as this machine reaches it (port 4433 by default); or name the schema with --schema FILE and --schema-id ID", err)
	}
	return fmt.Errorf("read the identity schema from Kratos; is FERRY_KRATOS_ADMIN_URL its admin API, and does it run? %w", err)
}

// walked adds what to check if the identities could not be read.
func walked(ctx context.Context, err error) error {
	var fault *kratos.Error
	switch {
	case ctx.Err() != nil || !errors.As(err, &fault):
	case fault.Status == http.StatusUnauthorized, fault.Status == http.StatusForbidden:
		return fmt.Errorf("%w; is FERRY_KRATOS_ADMIN_TOKEN the right one?", err)
	case fault.Status == 0, fault.Status == http.StatusNotFound:
		return fmt.Errorf("%w; is FERRY_KRATOS_ADMIN_URL its admin API, and does it run?", err)
	}
	return err
}

// systemDir is the system's directory for temporary files, which containers often lack.
const systemDir = ""

// beside returns the directory of a file, or nil if no file is named.
func beside(file string) []string {
	if file == "" || file == "-" {
		return nil
	}
	return []string{filepath.Dir(file)}
}

// workDir returns a directory for temporary files: the named one, else the first of dirs
// that is writable.
func workDir(named string, dirs ...string) (string, error) {
	if named != "" {
		dirs = []string{named}
	}
	var first error
	for _, dir := range dirs {
		err := writable(dir)
		if err == nil {
			return dir, nil
		}
		if first == nil {
			first = err
		}
	}
	return "", fmt.Errorf("temporary files: %w; name a writable directory with --temp-dir", first)
}

// writable tries to create a file in the directory.
func writable(dir string) error {
	file, err := os.CreateTemp(dir, "ferry-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// sameFile reports whether two names are of the same existing file.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// samePlace reports whether two names are of the same file, which need not exist.
func samePlace(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	first, errFirst := filepath.Abs(a)
	second, errSecond := filepath.Abs(b)
	return errFirst == nil && errSecond == nil && first == second || sameFile(a, b)
}

// warner returns a function that prints warnings.
func warner(stderr io.Writer) func(string) {
	return func(text string) { _, _ = fmt.Fprintln(stderr, "warning:", text) }
}

// printJSON prints a summary for programs.
func printJSON(stdout io.Writer, summary any) error {
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(summary)
}
