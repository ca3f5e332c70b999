package auth0sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
)

// Paths that the simulator serves.
const (
	PathToken     = "/oauth/token"
	PathJWKS      = "/.well-known/jwks.json"
	PathDiscovery = "/.well-known/openid-configuration"
	PathUserinfo  = "/userinfo"
	// PathRedirected is the target of redirect faults. It answers like [PathToken], so
	// that a client that follows the redirect succeeds and a test can count it.
	PathRedirected = "/redirected/oauth/token"
)

const (
	maxBody      = 1 << 20
	outcomeOK    = "success"
	typeJSON     = "application/json"
	typeJSONUTF8 = "application/json; charset=utf-8"
)

// response is an answer before it is sent, so that faults can damage it.
type response struct {
	status  int
	header  http.Header
	body    []byte
	outcome string
}

// jsonResponse encodes v as JavaScript does: without unnecessary escapes and without a
// newline at the end.
func jsonResponse(status int, v any) response {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return response{status: http.StatusInternalServerError, header: http.Header{}, outcome: string(AnswerServerError)}
	}
	header := http.Header{}
	header.Set("Content-Type", typeJSON)
	return response{status: status, header: header, body: bytes.TrimSuffix(buf.Bytes(), []byte("\n")), outcome: outcomeOK}
}

// exchange is one request and the state of its processing.
type exchange struct {
	req      *http.Request
	body     []byte
	remoteIP netip.Addr
	// entry is the journal's, for token requests.
	entry *Request
	// identifiers are what faults may be narrowed to.
	identifiers []string
	faults      []Fault
}

// grant is the grant type of a token request; empty for any other.
func (x *exchange) grant() string {
	if x.entry == nil {
		return ""
	}
	return x.entry.GrantType
}

// fault returns the fault of that name that holds for the request.
func (x *exchange) fault(name FaultName) (Fault, bool) {
	for _, f := range x.faults {
		if f.Name == name {
			return f, true
		}
	}
	return Fault{}, false
}

// faultOf returns the first fault of a kind that holds for the request.
func (x *exchange) faultOf(kind FaultKind) (Fault, bool) {
	for _, name := range FaultsOf(kind) {
		if f, ok := x.fault(name); ok {
			return f, true
		}
	}
	return Fault{}, false
}

// endpoint serves a path: identify reads the request and sets the user it is about,
// answer makes the answer.
type endpoint struct {
	identify func(*exchange)
	answer   func(*exchange) response
}

// Handler serves the simulated tenant.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(PathToken, s.serve(s.tokenEndpoint))
	mux.Handle(PathRedirected, s.serve(s.tokenEndpoint))
	mux.Handle(PathRevoke, s.serve(s.revokeEndpoint))
	mux.Handle(PathJWKS, s.serve(fixed(s.jwks)))
	mux.Handle(PathDiscovery, s.serve(fixed(s.discovery)))
	mux.Handle(PathUserinfo, s.serve(s.userinfoEndpoint))
	mux.Handle(PathAuthorize, s.serve(fixed(s.authorizePage)))
	mux.Handle(PathLogin, s.serve(fixed(s.loginStep)))
	mux.Handle(PathFactor, s.serve(fixed(s.factorStep)))
	s.managementRoutes(mux)
	mux.Handle(PathExports+"{job}/{file}", s.serve(fixed(s.downloadExport)))
	mux.Handle("/", s.serve(fixed(notFound)))
	return mux
}

func fixed(answer func(*exchange) response) func() endpoint {
	return func() endpoint {
		return endpoint{identify: func(*exchange) {}, answer: answer}
	}
}

func notFound(*exchange) response {
	header := http.Header{}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	return response{status: http.StatusNotFound, header: header, body: []byte("Not Found"), outcome: "not_found"}
}

// serve handles every request: count, read, match faults, wait, answer, damage, send.
func (s *Server) serve(open func() endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.journal.visit(r.URL.Path)
		if s.faults.takeUnread(r.URL.Path) {
			s.logRequest(r, nil, response{outcome: string(FaultResetBeforeRequest)})
			reset(w)
			return
		}
		x := &exchange{req: r, remoteIP: remoteIP(r)}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.logRequest(r, nil, response{outcome: "unread"})
			http.Error(w, "unreadable body", http.StatusRequestEntityTooLarge)
			return
		}
		x.body = body
		ep := open()
		ep.identify(x)
		x.faults = s.faults.take(r.URL.Path, x.grant(), x.identifiers)
		resp := s.answer(x, ep)
		if x.entry != nil {
			s.journal.update(x.entry, func(e *Request) {
				e.Status, e.Outcome = resp.status, resp.outcome
			})
		}
		s.logRequest(r, x.entry, resp)
		s.send(w, x, resp)
	})
}

// answer makes the response and applies every fault that is not about sending it.
func (s *Server) answer(x *exchange, ep endpoint) response {
	if x.entry != nil {
		s.journal.update(x.entry, func(e *Request) {
			for _, f := range x.faults {
				e.Faults = append(e.Faults, f.Name)
			}
		})
	}
	if resp, ok := s.delay(x); ok {
		return resp
	}
	resp, ok := s.replace(x)
	if !ok {
		resp = ep.answer(x)
	}
	return damage(x, resp)
}

// logRequest writes one line without secrets: with the user's id, not the identifier.
func (s *Server) logRequest(r *http.Request, entry *Request, resp response) {
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", resp.status), slog.String("outcome", resp.outcome),
	}
	if entry != nil {
		attrs = append(attrs, slog.String("grant", entry.GrantType), slog.String("realm", entry.Realm),
			slog.String("client", entry.ClientID), slog.String("user", entry.UserID),
			slog.String("ip", entry.EffectiveIP))
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}

func remoteIP(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// decodeStrict reads exactly one JSON value with known keys only.
func decodeStrict(r io.Reader, v any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode: more than one JSON value")
	}
	return nil
}
