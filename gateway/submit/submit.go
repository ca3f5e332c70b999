// Package submit reads what a person submits to Kratos' self-service routes: which route,
// whose identifier, and at login which password. It reads a request as Kratos does and not
// as another decoder would, so that ferry never sees an identifier that Kratos does not.
//
// [RouteOf] reads the method and the path. [Read] decodes the body in Kratos' steps: the
// media type decides between JSON and a form; both become a flat list of text fields; and
// the method that the fields name decides which of them holds the identifier.
//
// Where two decoders, or Kratos 1.3.1 and 26.2, would read a body differently, Read reports
// that nothing was seen. That costs nothing: the request then passes on as if there were no
// ferry. Paths are the exception: see RouteOf.
//
// Read has no access to Kratos. It does not know whether the flow exists, whether the CSRF
// token is right, which methods are enabled, or whether the rest of a registration is
// valid. The package does no I/O and logs nothing.
package submit

import (
	"slices"
	"strings"
	"unicode/utf8"

	"ferry/identifier"
	"ferry/secret"
)

// Request is a POST to one of Kratos' self-service routes.
type Request struct {
	Route Route
	// Query is the query of the URL, as sent.
	Query string
	// ContentType is the first Content-Type header, as [net/http.Header.Get] returns it.
	// Kratos ignores Content-Encoding.
	ContentType string
	// Body is the whole body. Read does not limit its length: the caller does.
	Body []byte
	// Traits are the traits whose values are identifiers or addresses, for a registration:
	// dotted paths below "traits", such as email or name.nick. Lists are not read.
	Traits []string
}

// Submit is what Kratos reads in a request. A Submit has at least one identifier.
type Submit struct {
	Route Route
	// Flow is the id of the flow, in the query.
	Flow string
	// Method is the method that Kratos uses: password, code or identifier_first at a login,
	// code or link at recovery and verification, password, code or profile at a
	// registration.
	Method string
	// Field is the field with the first identifier, such as identifier, email or
	// recovery_address; at a registration it is the path of the trait. Kratos reads
	// recovery_address and recovery_confirm_address only since 26.2, and only where the
	// person chooses among recovery addresses.
	Field string
	// Identifiers are in the form that Kratos looks up: [identifier.Normalize].
	Identifiers []string
	// Typed is the first identifier as the person typed it.
	Typed string
	// Password is the password of a login with the method password, byte for byte as Kratos
	// sends it to the migration hook. Otherwise it is empty.
	Password secret.String
}

// Read returns what Kratos reads in the request. ok is false if that is not an identifier,
// if Kratos refuses the body, and if it is not certain what Kratos reads. Read never
// returns an identifier that Kratos reads as another text.
func Read(r Request) (s Submit, ok bool) {
	flow, ok := flowOf(r.Query, r.Route)
	if !ok {
		return Submit{}, false
	}
	f, ok := decode(r)
	if !ok || !f.plain(flow) {
		return Submit{}, false
	}
	switch r.Route {
	case Login:
		s, ok = readLogin(f)
	case Recovery:
		s, ok = readRecovery(f)
	case Registration:
		s, ok = readRegistration(f, r.Traits)
	case Verification:
		s, ok = readVerification(f)
	default:
		ok = false
	}
	if !ok || len(s.Identifiers) == 0 {
		return Submit{}, false
	}
	s.Route, s.Flow = r.Route, flow
	return s, true
}

// add adds an identifier as typed. It ignores blanks and text that was not UTF-8: no
// identity has such an identifier.
func (s *Submit) add(field, typed string) {
	normal := identifier.Normalize(typed)
	if normal == "" || strings.ContainsRune(typed, utf8.RuneError) || slices.Contains(s.Identifiers, normal) {
		return
	}
	if len(s.Identifiers) == 0 {
		s.Field, s.Typed = field, typed
	}
	s.Identifiers = append(s.Identifiers, normal)
}
