package wiring

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"ferry/secret"
	"ferry/wire"
)

// Placeholder is written instead of a key that is not known.
const Placeholder = "the-key-in-FERRY_HOOK_KEYS"

// What Kratos does with ferry's answer to the after-login hook.
const (
	// Ignore: Kratos does not wait for the answer.
	Ignore = "ignore"
	// Parse: Kratos waits for the answer, and applies the identity in it to its own.
	Parse = "parse"
)

// Options describe the hooks in kratos.yml.
type Options struct {
	// URL is the address of ferry's hooks as Kratos reaches it, without a path. Required.
	URL string
	// At is the path of Kratos' configuration in a file that nests it, such as
	// kratos.config or data.kratos.yaml. Leave it empty if the file is the configuration.
	At string
	// Key is the key that Kratos sends. If it is empty, a merge keeps an existing key, and
	// writes Placeholder where there is none.
	Key secret.String
	// Accepted are all keys that ferry accepts, including Key, if known. Only the notes of a
	// merge use them.
	Accepted []secret.String
	// KeyFromEnvironment writes the name of the environment variable that sets the key
	// instead of the key.
	KeyFromEnvironment bool
	// KratosVersion is 1.3.1, or 25.4 or later. If it is empty, the result suits all of
	// them.
	KratosVersion string
	// ClientIPHeader is the argument of MigrateJsonnet. If it is empty, a merge keeps the
	// header in an existing template.
	ClientIPHeader string
	// Response is Ignore or Parse. If it is empty, a merge keeps the existing one, and a new
	// hook has Ignore.
	Response string
	// Bridge is the provider to add; empty: none, and an existing one stays.
	Bridge Bridge
	// SignUp adds ferry's hook to the lists after a registration. If it is false, a merge updates
	// the hooks that are there.
	SignUp bool
	// Replace allows a merge to replace a migration hook that does not call ferry.
	Replace bool
}

// headerPattern matches a header's name (RFC 9110, 5.1) that Jsonnet need not quote.
var headerPattern = regexp.MustCompile(`^[A-Za-z0-9!#$%&*+.^_|~-]+$`)

// Check reports the first invalid option.
func (o Options) Check() error {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return errors.New("check the url: it must be http://host:port or https://host:port")
	case base.User != nil || base.RawQuery != "" || base.ForceQuery || strings.ContainsAny(o.URL, "#\"'\\ \t\r\n"):
		return errors.New("check the url: it must not contain a user, query, fragment, quotes or blanks; the key is sent in a header")
	}
	if strings.Trim(base.Path, "/") != "" {
		return errors.New("check the url: it must not have a path; the paths of both hooks are added")
	}
	template, known := o.template()
	switch {
	case !known && o.KratosVersion != "":
		return errors.New("check the kratos version: it must be 1.3.1, or 25.4 or later")
	case o.ClientIPHeader != "" && !headerPattern.MatchString(o.ClientIPHeader):
		return errors.New("check the client ip header: it is not a valid header name")
	case o.ClientIPHeader != "" && known && !template:
		return errors.New("check the client ip header: kratos 1.3.1 does not pass headers on, only 25.4 and later do")
	case o.Response != "" && o.Response != Ignore && o.Response != Parse:
		return errors.New("check the response: it must be ignore or parse")
	}
	return o.Bridge.check()
}

// template reports whether this Kratos supports a template for the migration hook, and
// whether that is known.
func (o Options) template() (takes, known bool) {
	parts := strings.Split(strings.TrimPrefix(o.KratosVersion, "v"), ".")
	if len(parts) < 2 {
		return false, false
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil {
		return false, false
	}
	later := major > 25 || major == 25 && minor >= 4
	return later, later || major == 1 && minor == 3
}

func (o Options) migrateURL() string {
	return strings.TrimRight(o.URL, "/") + wire.MigrationPath
}

func (o Options) afterLoginURL() string {
	return strings.TrimRight(o.URL, "/") + wire.AfterLoginPath
}

// bearer returns the value of the Authorization header.
func (o Options) bearer() string {
	if o.Key.Empty() {
		return bearerPrefix + Placeholder
	}
	return bearerPrefix + o.Key.Reveal()
}

const bearerPrefix = "Bearer "
