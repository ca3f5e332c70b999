package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"ferry/secret"
)

var (
	errIdle  = errors.New("nothing came")
	errShort = errors.New("less came than was announced")
)

// schemePattern is what an absolute URL begins with (RFC 3986, 3.1).
var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// Download is a file that arrives. It is whole only when Read gave io.EOF; every
// other error of Read is a *ManagementError. Close it in any case.
type Download struct {
	// Size is how many bytes were announced, -1 for none.
	Size int64

	body     io.ReadCloser
	status   int
	read     int64
	patience time.Duration
	alarm    *time.Timer // stops the request when nothing comes
	cancel   context.CancelCauseFunc
	ended    func() error // the caller's context's
	cause    func() error // why the request was stopped
}

// Download begins to fetch the file that a completed job leads to. The link is for
// anybody who has it: no token goes with the request, and no redirect is followed.
// It may take as long as it likes while something comes; Timeout without a byte
// ends it. Every error is a *ManagementError; a Temporary one may be cured by a new
// link.
func (m *Management) Download(ctx context.Context, location secret.String) (*Download, error) {
	link, ok := m.link(location.Reveal())
	if !ok {
		return nil, &ManagementError{Reason: "bad_location"}
	}
	inner, cancel := context.WithCancelCause(ctx)
	d := &Download{
		patience: m.timeout, cancel: cancel, ended: ctx.Err,
		alarm: time.AfterFunc(m.timeout, func() { cancel(errIdle) }),
		cause: func() error { return context.Cause(inner) },
	}
	req, err := http.NewRequestWithContext(inner, http.MethodGet, link, nil)
	if err != nil {
		d.stop()
		return nil, &ManagementError{Reason: "bad_location"}
	}
	req.Header.Set("User-Agent", "ferry")
	req.Header.Set("Accept-Encoding", "identity") // the file is compressed, and stays so
	resp, err := m.http.Do(req)                   //nolint:bodyclose // Close does
	if err != nil {
		fault := d.broken(err)
		d.stop()
		return nil, fault
	}
	d.alarm.Stop()
	d.body, d.status, d.Size = resp.Body, resp.StatusCode, resp.ContentLength
	if resp.StatusCode != http.StatusOK {
		fault := refusedCall(reply{status: resp.StatusCode, header: resp.Header}, m.now())
		if fault.Reason == "refused" {
			fault.Temporary, fault.Reason = true, "link_refused" // they last a minute
		}
		_ = d.Close()
		return nil, fault
	}
	return d, nil
}

// Read implements io.Reader.
func (d *Download) Read(p []byte) (int, error) {
	d.alarm.Reset(d.patience)
	n, err := d.body.Read(p)
	d.alarm.Stop()
	d.read += int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && (d.Size < 0 || d.read == d.Size):
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = errShort
	}
	return n, d.broken(err)
}

// Close implements io.Closer. What had not arrived never will.
func (d *Download) Close() error {
	d.stop()
	return d.body.Close()
}

func (d *Download) stop() {
	d.alarm.Stop()
	d.cancel(nil)
}

// broken is why nothing more comes.
func (d *Download) broken(err error) *ManagementError {
	fault := brokenCall(reply{status: d.status}, err)
	if errors.Is(d.cause(), errIdle) {
		fault.Reason = ReasonTimeout
	}
	if gone := d.ended(); gone != nil {
		fault.Reason, fault.cause = transportReason(gone), gone
	}
	return fault
}

// link is the URL of a location, which Auth0 gives without a scheme (contract, 4.3).
// It is https, or http where both the file and Auth0 itself are on this machine.
func (m *Management) link(location string) (link string, ok bool) {
	scheme := strings.ToLower(schemePattern.FindString(location))
	target, err := url.Parse("https://" + strings.TrimPrefix(location[len(scheme):], "//"))
	if err != nil || target.Hostname() == "" || target.User != nil {
		return "", false
	}
	base, err := url.Parse(m.base)
	plain := err == nil && base.Scheme == "http" && isLoopback(base.Hostname()) && isLoopback(target.Hostname())
	switch {
	case scheme == "https://", scheme == "" && !plain:
	case plain && (scheme == "http://" || scheme == ""):
		target.Scheme = "http"
	default:
		return "", false
	}
	target.Fragment = ""
	return target.String(), true
}

// isLoopback reports whether host can only be this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
