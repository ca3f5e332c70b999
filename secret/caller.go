package secret

import (
	"net/http"
	"strings"
)

// Challenge is the WWW-Authenticate header of an answer to a request without the key.
const Challenge = `Bearer realm="ferry"`

// Presented reports whether the request presents one of the keys, as a bearer token or as the
// password of basic authentication. It compares every key, in constant time.
func Presented(r *http.Request, keys ...String) bool {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return false
	}
	presented, ok := "", false
	if _, password, basic := r.BasicAuth(); basic {
		presented, ok = password, true
	} else if scheme, token, found := strings.Cut(headers[0], " "); found && strings.EqualFold(scheme, "bearer") {
		presented, ok = token, true
	}
	match := false
	for _, key := range keys {
		match = key.Equal(New(presented)) || match
	}
	return ok && match
}
