package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"ferry/clientip"
)

// forwardedFor is the header to which proxies append.
const forwardedFor = "X-Forwarded-For"

// newProxy makes the reverse proxy. It passes on the host, the query and the headers as they
// came, because Kratos compares some and knows its outside address by its configuration.
func (g *Gateway) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(g.opts.Kratos)
			p.Out.Host, p.Out.URL.RawQuery = p.In.Host, p.In.URL.RawQuery
			g.forwarded(p)
		},
		Transport:      g.opts.Transport,
		FlushInterval:  -1,
		ModifyResponse: g.settle,
		ErrorHandler:   g.failed,
		ErrorLog:       zap.NewStdLog(g.opts.Log.Named("gateway")),
	}
}

// forwarded sets the headers that tell Kratos who the user is. Behind a trusted proxy they
// pass as they came. As the outermost proxy, the gateway writes X-Forwarded-For itself and
// drops what a client can forge: Kratos prefers the other headers to it.
func (g *Gateway) forwarded(p *httputil.ProxyRequest) {
	names := []string{"Forwarded", forwardedFor, "X-Forwarded-Host", "X-Forwarded-Proto", "True-Client-Ip", "Cf-Connecting-Ip", "X-Real-Ip"}
	for _, name := range names {
		delete(p.Out.Header, name)
		if values := p.In.Header.Values(name); g.opts.TrustedProxies > 0 && len(values) > 0 {
			p.Out.Header[name] = values
		}
	}
	if g.opts.TrustedProxies > 0 {
		return
	}
	if ip := peer(p.In); ip.IsValid() {
		p.Out.Header.Set(forwardedFor, ip.String())
	}
	scheme := "http"
	if p.In.TLS != nil {
		scheme = "https"
	}
	p.Out.Header.Set("X-Forwarded-Proto", scheme)
	p.Out.Header.Set("X-Forwarded-Host", p.In.Host)
}

// peer is the address that the connection comes from.
func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return clientip.Parse(host)
}

// clientIP returns the user's address: that of the connection, or with trusted proxies the
// one that the outermost of them wrote.
func clientIP(r *http.Request, trustedProxies int) netip.Addr {
	if trustedProxies == 0 {
		return peer(r)
	}
	return clientip.From(strings.Join(r.Header.Values(forwardedFor), ","), trustedProxies)
}

// unsureKey is the context key of the flow of a login for which it is unknown whether Kratos
// has the user.
type unsureKey struct{}

// unknownTexts are the ids of Kratos' messages to users whom it does not have: invalid
// credentials, and two about codes.
func unknownTexts() []string { return []string{"4000006", "4000035", "4000037"} }

// settle replaces Kratos' answer to such a login by an outage if it says that the
// credentials are wrong: Kratos may not have the user, whose password may be right.
func (g *Gateway) settle(response *http.Response) error {
	flow, unsure := response.Request.Context().Value(unsureKey{}).(string)
	if !unsure {
		return nil
	}
	switch response.StatusCode {
	case http.StatusSeeOther, http.StatusFound:
		location, err := response.Location()
		if err == nil && location.Query().Get("flow") == flow {
			return errUnsure // back to the form
		}
	case http.StatusBadRequest:
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		for _, id := range unknownTexts() {
			if bytes.Contains(body, []byte(id)) {
				return errUnsure
			}
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	return nil
}

var errUnsure = errors.New("it is unknown whether Kratos has the user")

// failed answers a request that Kratos did not answer.
func (g *Gateway) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errUnsure):
		g.metrics.failed(faultUnsure)
		g.refuse(w, r, unavailable())
		return
	case errors.Is(err, context.Canceled):
		g.metrics.failed(faultClientGone)
		w.WriteHeader(statusClientClosed)
		return
	}
	g.metrics.failed(faultUnreachable)
	g.opts.Log.Error("gateway: Kratos did not answer", zap.String("path", r.URL.Path), zap.Error(withoutURL(err)))
	g.refuse(w, r, badGateway())
}

// statusClientClosed is the status that nginx logs for a client that went away; nobody
// receives it.
const statusClientClosed = 499

// withoutURL drops the URL from an error: its query has the id of a flow.
func withoutURL(err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}

// refusal is an answer of ferry's own.
type refusal struct {
	status  int
	reason  string
	message string
}

// The refusals.
func unavailable() refusal {
	return refusal{http.StatusServiceUnavailable, "Logins cannot be checked at the moment. Please try again later.", "the login service is unavailable"}
}

func badGateway() refusal {
	return refusal{http.StatusBadGateway, "A third-party upstream service could not be reached. Please try again later.", "the login service did not answer"}
}

func tooManyRequests() refusal {
	return refusal{http.StatusTooManyRequests, "Too many logins from your network. Please wait a minute and try again.", "too many requests"}
}

func badRequest() refusal {
	return refusal{http.StatusBadRequest, "The request did not arrive completely.", "the request did not arrive completely"}
}

// kratosError is the form of Kratos' errors.
type kratosError struct {
	Error struct {
		Code    int    `json:"code"`
		Status  string `json:"status"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"error"`
}

// refuse answers in Kratos' form. Browsers that submit an HTML form are sent to the error
// page, or get a plain one.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, is refusal) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if is.status == http.StatusTooManyRequests || is.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "60")
	}
	if wantsHTML(r) {
		if g.opts.ErrorURL != "" {
			http.Redirect(w, r, g.opts.ErrorURL, http.StatusSeeOther)
			return
		}
		header.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(is.status)
		_, _ = io.WriteString(w, "<!doctype html><meta charset=\"utf-8\"><title>"+http.StatusText(is.status)+"</title><h1>"+http.StatusText(is.status)+"</h1><p>"+is.reason+"</p>\n")
		return
	}
	var answer kratosError
	answer.Error.Code, answer.Error.Status = is.status, http.StatusText(is.status)
	answer.Error.Reason, answer.Error.Message = is.reason, is.message
	body, _ := json.Marshal(answer)
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(is.status)
	_, _ = w.Write(body)
}

// wantsHTML reports whether the request is that of a browser which submits an HTML form: by
// the first media type of Accept that Kratos knows. Kratos also knows the type of the flow,
// so that it sends programs without Accept JSON where the gateway must guess.
func wantsHTML(r *http.Request) bool {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media == "application/json" {
		return false // no form
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		media, _, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch media {
		case "text/html", "application/xhtml+xml":
			return true
		case "application/json":
			return false
		}
	}
	return false
}
