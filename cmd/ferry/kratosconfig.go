package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"ferry/config"
	"ferry/secret"
	"ferry/wiring"
)

// kratosConfigFlags are the flags of `ferry kratos-config`.
type kratosConfigFlags struct {
	url, version, clientIPHeader, response string
	keyFile, merge, remove, at             string
	target, project, schema, schemaID      string // --for and what goes with it
	write, replace, keyEnv, signUp         bool
	bridge                                 bridgeFlags
}

func kratosConfigCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags kratosConfigFlags
	cmd := &cobra.Command{
		Use:   "kratos-config",
		Short: "Print what kratos.yml needs for ferry, merge it into a kratos.yml, or remove it.",
		Long: "Prints the part of kratos.yml that makes Kratos call ferry, including the key. With --merge it adds that part to an\n" +
			"existing kratos.yml: it prints a diff, with keys and passwords hidden, then writes the file; with --write=false it\n" +
			"only prints the diff. It keeps comments, order and style of the file. It copies the hooks in login.after.hooks,\n" +
			"which ferry's hook would switch off. Merging again changes nothing. The key and the address are from the\n" +
			"environment. --remove removes all of it after the migration.\n" +
			"Exit status 0: done, 1: the file cannot be edited or written, 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if flags.remove != "" {
				text, err := readFile(flags.remove)
				if err != nil {
					return err // a missing file is wrong usage
				}
				return asFailed(flags.removeFrom(text, stdout, stderr))
			}
			opts, err := flags.options()
			if err != nil {
				return err // wrong usage, or an invalid setting
			}
			if flags.target != "" {
				return flags.network(opts, stdout, stderr)
			}
			if flags.merge == "" {
				return asFailed(printFragment(opts, stdout, stderr))
			}
			text, err := readFile(flags.merge)
			if err != nil {
				return err // a missing file is wrong usage
			}
			return asFailed(flags.mergeFile(text, opts, stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&flags.url, "url", "", "`URL` of ferry for Kratos, without a path; default: FERRY_LISTEN, for a Kratos on the same machine")
	cmd.Flags().StringVar(&flags.version, "kratos-version", "", "`VERSION` of Kratos: 1.3.1, or 25.4 and later, which support a template for the migration hook; default: a result for all of them")
	cmd.Flags().StringVar(&flags.clientIPHeader, "client-ip-header", "", "`NAME` of the header in which your proxy puts the client address; for Kratos 25.4 and later")
	cmd.Flags().StringVar(&flags.response, "response", "", "`VALUE` for how Kratos handles the answer after a login: ignore (it does not wait for ferry) or parse (it waits, and the login fails without ferry); default: the value in the file, else ignore")
	cmd.Flags().StringVar(&flags.keyFile, "hook-key-file", "", "`FILE` with the key; default: the first one of FERRY_HOOK_KEYS")
	cmd.Flags().BoolVar(&flags.keyEnv, "hook-key-env", false, "write the names of environment variables instead of the key; Kratos reads the key from them")
	cmd.Flags().StringVar(&flags.merge, "merge", "", "`FILE` to merge into, a kratos.yml")
	cmd.Flags().StringVar(&flags.remove, "remove", "", "`FILE` to remove ferry's hooks from, a kratos.yml")
	cmd.Flags().StringVar(&flags.at, "at", "", "`PATH` of Kratos' configuration in a file that nests it: kratos.kratos.config, data.kratos.yaml")
	cmd.Flags().StringVar(&flags.target, "for", "", "print another format than YAML: `ory-network`, an Ory CLI command for a project")
	cmd.Flags().StringVar(&flags.project, "project", "", "`ID` of the Ory Network project; default: $ORY_PROJECT_ID in the printed command")
	cmd.Flags().StringVar(&flags.schema, "schema", "", "`FILE` with the identity schema to add to the project")
	cmd.Flags().StringVar(&flags.schemaID, "schema-id", "", "`ID` of that schema")
	cmd.Flags().BoolVar(&flags.write, "write", true, "write the changed file; with --write=false only print the diff")
	cmd.Flags().BoolVar(&flags.replace, "replace", false, "allow replacing a migration hook that does not call ferry")
	cmd.Flags().BoolVar(&flags.signUp, "sign-up", false, "also add the hook that finds Auth0 users who sign up at Kratos, see docs/sign-up.md; without this flag, an existing one stays")
	flags.bridge.bind(cmd)
	return cmd
}

// check rejects flags that exclude each other. changed reports whether a flag was given.
func (f kratosConfigFlags) check(changed func(string) bool) error {
	switch {
	case f.merge == "" && f.remove == "" && changed("write"):
		return errors.New("--write needs --merge FILE or --remove FILE")
	case f.merge == "" && f.remove == "" && f.at != "":
		return errors.New("--at needs --merge FILE or --remove FILE")
	case f.merge == "" && f.replace:
		return errors.New("--replace needs --merge FILE")
	}
	if err := f.checkTarget(changed); err != nil || f.remove == "" {
		return err
	}
	for _, other := range []string{"merge", "url", "kratos-version", "client-ip-header", "response", "hook-key-file", "hook-key-env", "sign-up", "bridge", "bridge-client-id", "bridge-client-secret-file", "bridge-label"} {
		if changed(other) {
			return errors.New("--" + other + " cannot be used with --remove")
		}
	}
	return nil
}

// options returns the checked options of the flags and the settings.
func (f kratosConfigFlags) options() (wiring.Options, error) {
	cfg, err := config.LoadFor()
	if err != nil {
		return wiring.Options{}, err
	}
	opts := wiring.Options{
		Accepted: cfg.HookKeys, KeyFromEnvironment: f.keyEnv, URL: f.url, KratosVersion: f.version, ClientIPHeader: f.clientIPHeader,
		Response: f.response, SignUp: f.signUp, Replace: f.replace, At: f.at,
	}
	if opts.Bridge, err = f.bridge.options(cfg); err != nil {
		return wiring.Options{}, err
	}
	if opts.URL == "" && f.target != "" {
		return wiring.Options{}, errors.New("--for ory-network needs --url: where Ory Network reaches ferry, https")
	}
	if opts.URL == "" {
		if opts.URL, err = sameMachine(cfg); err != nil {
			return wiring.Options{}, err
		}
	}
	switch {
	case f.keyFile != "":
		opts.Key, err = keyFromFile(f.keyFile)
	case len(cfg.HookKeys) > 0:
		opts.Key = cfg.HookKeys[0]
	}
	if err != nil {
		return wiring.Options{}, err
	}
	if f.merge != "" && f.clientIPHeader != "" && f.version == "" {
		return wiring.Options{}, errors.New("--client-ip-header needs --kratos-version 25.4 or later: Kratos 1.3.1 does not pass headers on")
	}
	return opts, opts.Check()
}

// sameMachine returns the URL of ferry for a Kratos on the same machine.
func sameMachine(cfg *config.Config) (string, error) {
	address, ok := listenerURL(cfg, cfg.Listen)
	if !ok {
		return "", errors.New("FERRY_LISTEN is not an address at which Kratos can reach ferry: give ferry's URL, --url http://HOST:PORT")
	}
	return address, nil
}

// listenerURL returns the URL of a listener for programs on the same machine.
func listenerURL(cfg *config.Config, listen string) (address string, ok bool) {
	host, port, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if err != nil || host == "" || port == "0" || ip != nil && ip.IsUnspecified() {
		return "", false
	}
	scheme := "http://"
	if cfg.TLS() {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port), true
}

// minKey is the minimum length of a key in characters, as for serve.
const minKey = 32

// keyFromFile reads the first key of a file in the format of FERRY_HOOK_KEYS_FILE.
func keyFromFile(name string) (secret.String, error) {
	text, err := readFile(name)
	if err != nil {
		return secret.String{}, err
	}
	first, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), ",")
	if utf8.RuneCountInString(first) < minKey || strings.ContainsFunc(first, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return secret.String{}, errors.New("--hook-key-file: a key must have 32 visible ASCII characters or more, and no blanks")
	}
	return secret.New(first), nil
}

const placeholderHint = "no key is known, so the output has \"" + wiring.Placeholder + "\" instead: set FERRY_HOOK_KEYS, or give --hook-key-file"

// sayVariables lists the environment variables that set the key.
func sayVariables(names []string, stderr io.Writer) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintln(stderr, "note: the key is not in the file. Give Kratos these environment variables, each with the value \"Bearer \" followed by the key,\n"+
		"and restart it: it reads them only when it starts.")
	for _, name := range names {
		fmt.Fprintln(stderr, "  "+name)
	}
}

func printFragment(opts wiring.Options, stdout, stderr io.Writer) error {
	switch {
	case opts.KeyFromEnvironment:
		sayVariables(opts.KeyVariables(), stderr)
	case opts.Key.Empty():
		fmt.Fprintln(stderr, placeholderHint)
	}
	sayClient(opts, stderr)
	_, err := io.WriteString(stdout, wiring.Fragment(opts))
	return err
}

func (f kratosConfigFlags) mergeFile(text []byte, opts wiring.Options, stdout, stderr io.Writer) error {
	merged, err := wiring.Merge(text, opts)
	if err != nil {
		return hinted(err)
	}
	if err := show(merged, stdout, stderr); err != nil {
		return err
	}
	sayVariables(merged.Variables, stderr)
	switch {
	case merged.Placeholder && f.write:
		return errors.New("nothing was written: " + placeholderHint)
	case merged.Placeholder:
		fmt.Fprintln(stderr, placeholderHint)
	case merged.UnknownClient && f.write:
		return errors.New("nothing was written: " + clientHint)
	case merged.UnknownClient:
		fmt.Fprintln(stderr, clientHint)
	}
	if err := f.put(f.merge, text, merged.Text, stderr); err != nil {
		return err
	}
	f.keepRecord(merged.Text, stderr)
	if info, err := os.Stat(f.merge); err == nil && info.Mode().Perm()&0o004 != 0 &&
		f.write && (contains(merged.Text, opts.Key) || contains(merged.Text, opts.Bridge.ClientSecret)) {
		fmt.Fprintln(stderr, "note:", f.merge, "contains a secret, and every user of this machine can read it: run chmod o= to prevent that")
	}
	return nil
}

// contains reports whether a text contains a secret.
func contains(text []byte, value secret.String) bool {
	return !value.Empty() && bytes.Contains(text, []byte(value.Reveal()))
}

func (f kratosConfigFlags) removeFrom(text []byte, stdout, stderr io.Writer) error {
	left, err := wiring.Remove(text, f.at)
	if err != nil {
		return hinted(err)
	}
	if err := show(left, stdout, stderr); err != nil {
		return err
	}
	err = f.put(f.remove, text, left.Text, stderr)
	if err == nil {
		f.keepRecord(left.Text, stderr)
	}
	return err
}

// hinted adds a hint to an error.
func hinted(err error) error {
	var other *wiring.NotKratosError
	if errors.As(err, &other) {
		return fmt.Errorf("%w\nhint: %s", err, other.Hint())
	}
	return err
}

// show prints the diff and the notes.
func show(edited wiring.Merged, stdout, stderr io.Writer) error {
	if _, err := io.WriteString(stdout, edited.Diff); err != nil {
		return err
	}
	for _, note := range edited.Notes {
		fmt.Fprintln(stderr, "note:", note)
	}
	return nil
}

// put writes the edited file, if it changed and --write=false was not given.
func (f kratosConfigFlags) put(name string, was, text []byte, stderr io.Writer) error {
	switch {
	case bytes.Equal(was, text):
		fmt.Fprintln(stderr, "nothing to change")
		return nil
	case !f.write:
		fmt.Fprintln(stderr, "nothing was written: run it again without --write=false")
		return nil
	}
	if err := overwrite(name, was, text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	next := "a running Kratos reloads it"
	if f.at != "" {
		next = "deploy it: Kratos reads its configuration elsewhere"
	}
	fmt.Fprintln(stderr, name, "is written;", next)
	return nil
}
