package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"ferry/proxy"
)

// newProxy makes the reverse proxy.
func (g *Gateway) newProxy() *httputil.ReverseProxy {
	return proxy.New(proxy.Options{
		Target: g.opts.Kratos, Transport: g.opts.Transport, TrustedProxies: g.opts.TrustedProxies,
		ModifyResponse: g.settle, ErrorHandler: g.failed, Log: zap.NewStdLog(g.opts.Log.Named("gateway")),
	})
}

// maxFormBytes bounds a form of Kratos that is read for the ids of its messages.
const maxFormBytes = 1 << 20

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
		body, err := io.ReadAll(io.LimitReader(response.Body, maxFormBytes+1))
		switch {
		case err != nil:
			return err
		case len(body) > maxFormBytes:
			return errUnsure
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
		w.WriteHeader(proxy.StatusClientClosed)
		return
	}
	g.metrics.failed(faultUnreachable)
	g.opts.Log.Error("gateway: Kratos did not answer", zap.String("path", r.URL.Path), zap.Error(proxy.WithoutURL(err)))
	g.refuse(w, r, badGateway())
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
