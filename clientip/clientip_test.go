package clientip_test

import (
	"net/netip"
	"strings"
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

// TestFrom: what is no public address in one of the usual forms is none, whoever wrote it.
func TestFrom(t *testing.T) {
	for forwarded, want := range map[string]string{
		"203.0.113.9":                         "203.0.113.9",
		" 203.0.113.9 ":                       "203.0.113.9",
		"203.0.113.9:443":                     "203.0.113.9",
		"[2001:db8::1]":                       "2001:db8::1",
		"[2001:db8::1]:443":                   "2001:db8::1",
		"2001:DB8:0:0::1":                     "2001:db8::1",
		"::ffff:203.0.113.9":                  "203.0.113.9",
		"::ffff:cb00:7109":                    "203.0.113.9",
		"[::ffff:203.0.113.9]:443":            "203.0.113.9",
		"198.51.100.1,203.0.113.9":            "203.0.113.9",
		"\t203.0.113.9":                       "203.0.113.9",
		"":                                    "",
		",":                                   "",
		"203.0.113.9,":                        "",
		"203.0.113.9,,":                       "",
		"unknown":                             "",
		"_hidden":                             "",
		"for=203.0.113.9":                     "",
		`"203.0.113.9"`:                       "",
		"203.0.113.9;203.0.113.8":             "",
		"203.0.113.9 203.0.113.8":             "",
		"203.0.113.9:":                        "",
		"203.0.113.9:65536":                   "",
		"203.0.113.9:-1":                      "",
		"203.0.113.9/32":                      "",
		"203.0.113":                           "",
		"203.0.113.256":                       "",
		"203.0.113.09":                        "", // octal to some
		"0xcb.0.113.9":                        "",
		"3405803785":                          "",
		"203.0.113.9\x00":                     "",
		"203.0.113.9\r\nX: y":                 "",
		"２０３.0.113.9":                         "",
		"2001:db8::1%eth0":                    "",
		"fe80::1%25eth0":                      "",
		"[2001:db8::1%eth0]:443":              "",
		"::ffff:203.0.113.9%eth0":             "",
		"2001:db8::1::2":                      "",
		"2001:db8:1:2:3:4:5:6:7":              "",
		"127.0.0.1":                           "",
		"::1":                                 "",
		"::":                                  "",
		"0.0.0.0":                             "",
		"255.255.255.255":                     "",
		"224.0.0.1":                           "",
		"ff02::1":                             "",
		"169.254.169.254":                     "",
		"fe80::1":                             "",
		"fd12::1":                             "",
		"10.1.2.3":                            "",
		"172.16.0.1":                          "",
		"192.168.1.1":                         "",
		"100.64.1.1":                          "",
		"::ffff:10.1.2.3":                     "",
		"::ffff:127.0.0.1":                    "",
		"::ffff:7f00:1":                       "",
		"::ffff:100.64.0.1":                   "",
		"203.0.113.9,::ffff:169.254.169.254":  "",
		strings.Repeat("203.0.113.9", 10_000): "",
	} {
		got := clientip.From(forwarded, 1)
		if text := got.String(); want != "" && text != want || want == "" && got.IsValid() {
			t.Errorf("%.60q: %v, want %q", forwarded, got, want)
		}
	}
	if got := clientip.From("203.0.113.9", -1); got.IsValid() {
		t.Errorf("-1 proxies: %v", got)
	}
	if got := clientip.From("203.0.113.9,198.51.100.1", 3); got.IsValid() {
		t.Errorf("too few: %v", got)
	}
}

// FuzzFrom: an address is public, without a zone, and comes from the part that the outermost
// proxy wrote.
func FuzzFrom(f *testing.F) {
	for _, seed := range []string{"203.0.113.9", "[2001:db8::1]:443", "::ffff:10.0.0.1", "a, fe80::1%eth0", "1.2.3.4:5,,", "\x00"} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, forwarded string, n int) {
		ip := clientip.From(forwarded, n)
		if !ip.IsValid() {
			return
		}
		parts := strings.Split(forwarded, ",")
		if n < 1 || n > len(parts) {
			t.Fatalf("%v of %d proxies", ip, n)
		}
		if ip.IsPrivate() || !ip.IsGlobalUnicast() || ip.IsLoopback() || ip.Zone() != "" || ip.Is4In6() {
			t.Fatalf("%v", ip)
		}
		if alone := clientip.From(parts[len(parts)-n], 1); alone != ip {
			t.Fatalf("%v, alone %v", ip, alone)
		}
	})
}
