package submit

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/google/uuid"
)

// Route is a self-service route of Kratos to which a person submits an identifier.
type Route int

// The routes. The zero value is none of them.
const (
	_ Route = iota
	Login
	Recovery
	Registration
	Verification
)

// String returns the name of the route, as in its path.
func (r Route) String() string {
	switch r {
	case Login:
		return "login"
	case Recovery:
		return "recovery"
	case Registration:
		return "registration"
	case Verification:
		return "verification"
	default:
		return "none"
	}
}

const selfService = "/self-service/"

// RouteOf returns the route that Kratos uses for a request with this method and URL. Only
// POST submits something.
//
// It compares the decoded and cleaned path, as Kratos 1.3.1 does: /self-service//login,
// /self-service/./login, /x/../self-service/login and /self-service%2flogin are the route
// of /self-service/login. Kratos 26.2 answers 403 or 404 to those. RouteOf returns a route
// for them all the same, because it does not know the release: the person is looked up, or
// created after the right password, and sees Kratos' refusal. A client can cause no more
// with such a path than with the plain one. No other path is accepted that Kratos refuses.
func RouteOf(method string, u *url.URL) (Route, bool) {
	if method != http.MethodPost || !strings.HasPrefix(u.Path, "/") {
		return 0, false
	}
	switch {
	case strings.HasSuffix(u.Path, "/"), strings.HasSuffix(u.Path, "/."), strings.HasSuffix(u.Path, "/.."):
		return 0, false // path.Clean drops the slash with which Kratos has no such route
	}
	name, ok := strings.CutPrefix(path.Clean(u.Path), selfService)
	if !ok {
		return 0, false
	}
	for _, route := range []Route{Login, Recovery, Registration, Verification} {
		if name == route.String() {
			return route, true
		}
	}
	return 0, false
}

// Flow returns the id of the flow in the query of a URL: the first parameter flow. Kratos
// refuses every submission without one. Flow accepts only the form of an id that Kratos
// itself writes.
func Flow(query string) (string, bool) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", false // Kratos refuses a form with such a query
	}
	return flowIn(values)
}

func flowIn(values url.Values) (string, bool) {
	const length = len("00000000-0000-0000-0000-000000000000")
	flow := values.Get("flow")
	if len(flow) != length {
		return "", false
	}
	id, err := uuid.Parse(flow)
	return flow, err == nil && id != uuid.Nil
}

// flowOf is Flow for a route. At recovery and verification, Kratos also reads the fields of
// the body from the query: with one of them there, it is not certain which of the two
// counts.
func flowOf(query string, route Route) (string, bool) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", false
	}
	for name := range values {
		if name != "flow" && isField(route, name) {
			return "", false
		}
	}
	return flowIn(values)
}
