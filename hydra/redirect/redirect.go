// Package redirect says which redirect URIs Ory Hydra can use. Hydra registers others, too, and
// fails when an application logs in with them.
package redirect

import (
	"net/netip"
	"net/url"
	"strings"
)

// Usable reports whether Hydra can send a code to a registered redirect URI. Hydra compares
// literally, so a wildcard never matches. It refuses plain HTTP at the end of the flow, except for
// the hosts of IsLocalhost.
func Usable(text string) bool {
	uri, err := url.Parse(text)
	if err != nil || uri.Scheme == "" || uri.Fragment != "" || strings.Contains(text, "*") {
		return false
	}
	return uri.Scheme != "http" || IsLocalhost(uri.Hostname())
}

// IsLocalhost reports whether Hydra accepts plain HTTP in a redirect URI with this host.
func IsLocalhost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}
