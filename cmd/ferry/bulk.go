package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// schemaFlags say where the identity schema comes from.
type schemaFlags struct{ file, id, mapper string }

// mappingOf is how users become identities.
type mappingOf struct {
	schema *mapping.Schema
	id     string // the schema's at Kratos
	mapper mapping.Mapper
	// inputs are what it was made of, digests of files.
	inputs map[string]string
}

// read gets the identity schema and the mapper for it. Kratos is asked only where no
// file is named; identities is nil where there is none.
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

// warnRefused tells of traits with which Kratos takes no identity.
func (m mappingOf) warnRefused(stderr io.Writer) {
	for _, v := range m.schema.Refused() {
		warner(stderr)("the identity schema: " + v.String() + "; Kratos starts with it, and refuses every identity that has the trait")
	}
}

// digest tells two inputs apart.
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

// identified is f with the schema's id at Kratos. Whoever writes to identities that are
// there needs it, for a file as well: by the id they are told from those of other schemas.
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

// walked adds what to look at where the identities could not be read.
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

// systemDir is the system's directory for temporary files. Containers often have none.
const systemDir = ""

// beside is the directory of a file; nil: no file is named.
func beside(file string) []string {
	if file == "" || file == "-" {
		return nil
	}
	return []string{filepath.Dir(file)}
}

// workDir is a directory for temporary files: the named one, else the first of dirs that
// can be written to.
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
	return "", fmt.Errorf("temporary files: %w; name a directory that can be written to with --temp-dir", first)
}

// writable tries to make a file in the directory.
func writable(dir string) error {
	file, err := os.CreateTemp(dir, "ferry-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// sameFile reports whether two names are of one file that is there.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// samePlace reports whether two names are of one file, be it there or not.
func samePlace(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	first, errFirst := filepath.Abs(a)
	second, errSecond := filepath.Abs(b)
	return errFirst == nil && errSecond == nil && first == second || sameFile(a, b)
}

// warner says things that the operator should know.
func warner(stderr io.Writer) func(string) {
	return func(text string) { _, _ = fmt.Fprintln(stderr, "warning:", text) }
}
