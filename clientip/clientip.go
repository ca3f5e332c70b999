// Package clientip reads the address of a user from the header that proxies append to.
package clientip

import (
	"net/netip"
	"strings"
)

// carrierNAT is RFC 6598, which identifies users no better than RFC 1918.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10") //nolint:gochecknoglobals // a constant in all but name

// From returns the user's address: the nth from the right of the forwarded addresses,
// which the outermost of the operator's n proxies wrote. Addresses further left can be
// forged by the user. It returns the zero value if n is 0, or if the address is not a public
// one.
func From(forwarded string, n int) netip.Addr {
	if n <= 0 || forwarded == "" {
		return netip.Addr{}
	}
	addresses := strings.Split(forwarded, ",")
	if n > len(addresses) {
		return netip.Addr{}
	}
	ip := Parse(addresses[len(addresses)-n])
	if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" || carrierNAT.Contains(ip) {
		return netip.Addr{}
	}
	return ip
}

// Parse parses an address, with or without a port. It returns the zero value for anything
// else.
func Parse(text string) netip.Addr {
	text = strings.TrimSpace(text)
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		ip = withPort.Addr()
	}
	if ip.Is4In6() && ip.Zone() != "" { // Unmap would drop the zone
		return netip.Addr{}
	}
	return ip.Unmap()
}

// Key returns the text that stands for one user's network: the address, or the /64 of IPv6
// that one user has.
func Key(ip netip.Addr) string {
	if !ip.IsValid() || ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
