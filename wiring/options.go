package wiring

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"ferry/secret"
)

// The paths at which ferry answers Kratos' hooks.
const (
	MigrationPath  = "/hooks/password-migration"
	AfterLoginPath = "/hooks/after-login"
)

// Placeholder stands where the key belongs when none is known.
const Placeholder = "the-key-in-FERRY_HOOK_KEYS"

// What Kratos does with ferry's answer to the after-login hook.
const (
	// Ignore: Kratos neither waits for the answer nor minds it.
	Ignore = "ignore"
	// Parse: Kratos waits, and the login's own answer shows what ferry brought.
	Parse = "parse"
)

// Options say what kratos.yml is to hold.
type Options struct {
	// URL is where Kratos reaches ferry's hooks, without a path.
	URL string
	// At is the path of Kratos' configuration in a file that nests it, such as
	// kratos.config or data.kratos.yaml. Empty: the file is the configuration.
	At string
	// Key is what Kratos is to send. Empty: a merge keeps the key that is there,
	// and Placeholder stands where there is none.
	Key secret.String
	// Accepted are all keys that ferry takes, Key among them, as far as they are known.
	// They are for the notes of a merge.
	Accepted []secret.String
	// KeyFromEnvironment leaves the key out: the name of the environment variable from
	// which Kratos takes it stands in its place.
	KeyFromEnvironment bool
	// KratosVersion is 1.3.1, or 25.4 and later. Empty: what all of them take.
	KratosVersion string
	// ClientIPHeader is MigrateJsonnet's. A merge without one keeps the one that
	// ferry's template names already.
	ClientIPHeader string
	// Response is Ignore or Parse. Empty: a merge keeps what is there, and what is
	// new ignores.
	Response string
	// Replace allows a merge to take out a migration hook that calls somebody else.
	Replace bool
}

// headerPattern is a header's name (RFC 9110, 5.1), less what Jsonnet would quote.
var headerPattern = regexp.MustCompile(`^[A-Za-z0-9!#$%&*+.^_|~-]+$`)

// Check says what of the options cannot be used.
func (o Options) Check() error {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return errors.New("check the url: it must be http://host:port or https://host:port")
	case base.User != nil || base.RawQuery != "" || base.ForceQuery || strings.ContainsAny(o.URL, "#\"'\\ \t\r\n"):
		return errors.New("check the url: no user, query, fragment, quotes or blanks; the key travels in a header")
	}
	if strings.Trim(base.Path, "/") != "" {
		return errors.New("check the url: it has a path: leave it out, the paths of both hooks are added")
	}
	template, known := o.template()
	switch {
	case !known && o.KratosVersion != "":
		return errors.New("check the kratos version: it must be 1.3.1, or 25.4 or later")
	case o.ClientIPHeader != "" && !headerPattern.MatchString(o.ClientIPHeader):
		return errors.New("check the client ip header: it is no name of a header")
	case o.ClientIPHeader != "" && known && !template:
		return errors.New("check the client ip header: kratos 1.3.1 passes no headers on, only 25.4 and later do")
	case o.Response != "" && o.Response != Ignore && o.Response != Parse:
		return errors.New("check the response: it must be ignore or parse")
	}
	return nil
}

// template reports whether this Kratos takes a template for the migration hook, and
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

func (o Options) migrateURL() string    { return strings.TrimRight(o.URL, "/") + MigrationPath }
func (o Options) afterLoginURL() string { return strings.TrimRight(o.URL, "/") + AfterLoginPath }

// bearer is the value of the Authorization header.
func (o Options) bearer() string {
	if o.Key.Empty() {
		return bearerPrefix + Placeholder
	}
	return bearerPrefix + o.Key.Reveal()
}

const bearerPrefix = "Bearer "
