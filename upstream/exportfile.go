package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"ferry/secret"
	"ferry/transport"
)

var (
	errIdle  = errors.New("no data received")
	errShort = errors.New("less data than announced")
)

// schemePattern matches the beginning of an absolute URL (RFC 3986, 3.1).
var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// Download is a file being downloaded. It is complete only if Read returned io.EOF; every
// other error of Read is a *ManagementError. The caller must close it.
type Download struct {
	// Size is the announced number of bytes, -1 if unknown.
	Size int64

	body     io.ReadCloser
	status   int
	read     int64
	patience time.Duration
	alarm    *time.Timer // stops the request if no data arrives
	cancel   context.CancelCauseFunc
	ended    func() error // the caller's context's
	cause    func() error // why the request was stopped
}

// Download starts to fetch the file of a completed job. The link needs no token, so none is
// sent, and redirects are not followed. The download has no time limit while data arrives;
// Timeout without a byte ends it. Every error is a *ManagementError; if it is Temporary, a
// new link may help.
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
	req.Header.Set("Accept-Encoding", "identity") // the file itself is compressed
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
			fault.Temporary, fault.Reason = true, "link_refused" // links are valid for a minute
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

// Close implements io.Closer. It ends an unfinished download.
func (d *Download) Close() error {
	d.stop()
	return d.body.Close()
}

func (d *Download) stop() {
	d.alarm.Stop()
	d.cancel(nil)
}

// broken is the error of a download that failed.
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

// link returns the URL of a location, which Auth0 sends without a scheme (contract, 4.3). It
// is https, and leads to no address of an internal network; only where Auth0 itself is on
// loopback without TLS, the file may be on the same host and port.
func (m *Management) link(location string) (link string, ok bool) {
	scheme := strings.ToLower(schemePattern.FindString(location))
	target, err := url.Parse("https://" + strings.TrimPrefix(location[len(scheme):], "//"))
	if err != nil || target.Hostname() == "" || target.User != nil {
		return "", false
	}
	base, err := url.Parse(m.base)
	plain := err == nil && base.Scheme == "http" && transport.IsLoopback(base.Hostname()) && target.Host == base.Host
	switch {
	case plain && (scheme == "http://" || scheme == ""):
		target.Scheme = "http"
	case scheme != "https://" && scheme != "" || isInternal(target.Hostname()):
		return "", false
	}
	target.Fragment = ""
	return target.String(), true
}

// isInternal reports whether a host is an address that only a machine in the same network
// reaches. A name may have such an address, but a server there has no certificate for it.
func isInternal(host string) bool {
	if transport.IsLoopback(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	return err == nil && (!ip.IsGlobalUnicast() || ip.IsPrivate())
}
