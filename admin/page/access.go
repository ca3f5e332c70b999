package page

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"ferry/audit"
	"ferry/secret"
)

// challenge has browsers ask for the key. The user name is who changes the mode.
const challenge = `Basic realm="ferry: your name, and FERRY_ADMIN_KEY as the password", charset="UTF-8"`

// reading wraps what may be read without the key on this machine only.
func (p *Page) reading(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p.opts.Loopback && local(r), p.hasKey(r):
			next(w, r)
		case p.opts.Key.Empty():
			p.write(w, http.StatusForbidden, "refused", refusal{"Forbidden", []string{
				"ferry shows this page to browsers on its own machine, and to users who have its admin key. This request comes from another machine, and no admin key is set.",
				"Set FERRY_ADMIN_KEY and restart ferry. Or listen on loopback (FERRY_ADMIN_LISTEN=127.0.0.1:4481) and come through a tunnel: " +
					"ssh -L 4481:127.0.0.1:4481 HOST, then http://127.0.0.1:4481/.",
			}})
		default:
			p.ask(w, r)
		}
	}
}

// refusal is a page that says why there is no page.
type refusal struct {
	Title string
	Lines []string
}

// ask asks for the key. A browser presents none at first: only a wrong one is worth an audit
// record.
func (p *Page) ask(w http.ResponseWriter, r *http.Request) {
	if p.opts.Audit != nil && r.Header.Get("Authorization") != "" {
		p.opts.Audit(audit.Refused("/page", r.RemoteAddr))
	}
	w.Header().Set("WWW-Authenticate", challenge)
	p.write(w, http.StatusUnauthorized, "refused", refusal{"The admin key is missing or wrong", []string{
		"Your browser asks for it: any name, which the log shows when you change the mode, and the value of FERRY_ADMIN_KEY as the password.",
	}})
}

func (p *Page) hasKey(r *http.Request) bool {
	return !p.opts.Key.Empty() && secret.Presented(r, p.opts.Key)
}

// local reports whether a program on this machine asks, for a loopback address. Three things
// only look like that:
//
//   - a web site whose name an attacker has point to 127.0.0.1 (DNS rebinding): the Host header
//     has the site's name
//   - a web server on this machine that passes on the requests of others: most add a header that
//     says so. nginx with proxy_pass alone adds none and sends HTTP/1.0, which no browser does;
//     with HTTP/1.1 it is not recognized
//   - a connection from elsewhere: its address
func local(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || !r.ProtoAtLeast(1, 1) {
		return false
	}
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	return loopbackHost(r.Host)
}

// loopbackHost reports whether a Host header names a loopback address.
func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// sameOrigin reports whether the page itself sent a form. Browsers say so; a form of another
// site, or of none, is refused. Programs use PUT /mode.
func sameOrigin(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return false
	}
	return http.NewCrossOriginProtection().Check(r) == nil
}
