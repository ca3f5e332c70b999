package wiring

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// advise notes what else in the file prevents ferry from working, or exposes secrets. It
// changes nothing.
func (m *merger) advise() {
	if m.get("selfservice", "methods", "password", "enabled") == false {
		m.note("selfservice.methods.password.enabled is false: no one can log in with a password")
	}
	m.adviseAddress()
	if m.get("log", "leak_sensitive_values") == true {
		m.note("log.leak_sensitive_values is true: Kratos writes identifiers, tokens and more to its log")
	}
	switch level, _ := m.get("log", "level").(string); level {
	case "", "trace", "debug", "info":
		m.note("log.level is not warning: at info Kratos writes the identifiers that ferry looks up to its log")
	}
}

// adviseAddress notes if Kratos' address filter blocks calls to ferry.
func (m *merger) adviseAddress() {
	base, err := url.Parse(m.o.URL)
	if err != nil {
		return // Check rejects such a URL
	}
	host := base.Hostname()
	address, err := netip.ParseAddr(host)
	named := err != nil
	if !named && NeverCalled(address) {
		m.note("Kratos never calls %s: neither 0.0.0.0 nor 100.64.0.0/10, whatever its configuration says", host)
	}
	public := !named && !address.IsPrivate() && !address.IsLoopback() && !address.IsLinkLocalUnicast()
	if m.get("clients", "http", "disallow_private_ip_ranges") != true || public {
		return
	}
	excepted, _ := m.get("clients", "http", "private_ip_exception_urls").([]any)
	called := []string{m.o.migrateURL()}
	for _, l := range m.lists {
		if address := l.url(m.o); !slices.Contains(called, address) {
			called = append(called, address)
		}
	}
	for _, hook := range called {
		if Excepted(excepted, hook) {
			continue
		}
		condition := ""
		if named && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			condition = ", if that is a private address"
		}
		way := ""
		if entry := Exception(hook); entry != hook {
			way = " as " + entry
		}
		m.note("clients.http.disallow_private_ip_ranges is true: Kratos does not call %s%s, until private_ip_exception_urls names it%s", hook, condition, way)
	}
}

// NeverCalled reports whether Kratos does not call an address under any setting.
func NeverCalled(address netip.Addr) bool {
	shared := net.IPNet{IP: net.IPv4(100, 64, 0, 0).To4(), Mask: net.CIDRMask(10, 32)}
	return address.IsUnspecified() || shared.Contains(net.IP(address.AsSlice()))
}
