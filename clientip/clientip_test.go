package clientip_test

import (
	"net/netip"
	"testing"

	"ferry/clientip"
)

func TestKey(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"the same /64": {"2001:db8:1:2::1", "2001:db8:1:2:ffff::2", true},
		"another /64":  {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"IPv4":         {"198.51.100.1", "198.51.100.1", true},
		"another IPv4": {"198.51.100.1", "198.51.100.2", false},
	} {
		if got := clientip.Key(netip.MustParseAddr(c.a)) == clientip.Key(netip.MustParseAddr(c.b)); got != c.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}
