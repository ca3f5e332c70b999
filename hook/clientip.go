package hook

import (
	"net/netip"
	"strings"
)

// carrierNAT is RFC 6598: as little a person's address as RFC 1918 is.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10") //nolint:gochecknoglobals // a constant in all but name

// clientIP is the person's address: the nth from the right of the forwarded
// addresses, which the outermost of the operator's n proxies wrote. Everything
// further left is the person's own word. The zero value where n is 0, or where it
// is no address of the public internet.
func clientIP(forwarded string, n int) netip.Addr {
	if n <= 0 || forwarded == "" {
		return netip.Addr{}
	}
	addresses := strings.Split(forwarded, ",")
	if n > len(addresses) {
		return netip.Addr{}
	}
	ip := parseAddress(strings.TrimSpace(addresses[len(addresses)-n]))
	if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" || carrierNAT.Contains(ip) {
		return netip.Addr{}
	}
	return ip
}

// parseAddress takes an address alone, or with a port as some proxies write it.
func parseAddress(text string) netip.Addr {
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return ip.Unmap()
	}
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap()
	}
	return netip.Addr{}
}
