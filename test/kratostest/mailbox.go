package kratostest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Mailbox receives the mail that Kratos sends (Options.Mailbox).
type Mailbox struct {
	url string

	mu      sync.Mutex
	codes   map[string]string // recovery codes by address
	arrived chan struct{}     // closed and replaced with each mail
}

// NewMailbox returns a mailbox that listens until the test ends.
func NewMailbox(tb testing.TB) *Mailbox {
	tb.Helper()
	m := &Mailbox{codes: map[string]string{}, arrived: make(chan struct{})}
	srv := httptest.NewServer(m)
	tb.Cleanup(srv.Close)
	m.url = srv.URL
	return m
}

// ServeHTTP receives one mail, in the format of mailTemplate.
func (m *Mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var mail struct{ To, Code string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAnswer)).Decode(&mail); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes[mail.To] = mail.Code
	close(m.arrived)
	m.arrived = make(chan struct{})
}

// code waits for the recovery code sent to the address, and removes it.
func (m *Mailbox) code(ctx context.Context, address string) (string, error) {
	for {
		m.mu.Lock()
		code, arrived := m.codes[address], m.arrived
		delete(m.codes, address)
		m.mu.Unlock()
		if code != "" {
			return code, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return "", fmt.Errorf("no code by mail: %w", ctx.Err())
		}
	}
}

const mailTemplate = `function(ctx) {
  to: ctx.recipient,
  code: if std.objectHas(ctx.template_data, 'recovery_code') then ctx.template_data.recovery_code else '',
}`

// deliver configures Kratos to post its mail to the mailbox.
func (m *Mailbox) deliver(config map[string]any) {
	config["courier"] = map[string]any{
		"delivery_strategy": "http",
		"http": map[string]any{"request_config": map[string]any{
			"url": m.url, "method": http.MethodPost, "body": "base64://" + base64.StdEncoding.EncodeToString([]byte(mailTemplate)),
			"headers": map[string]any{"Content-Type": "application/json"},
		}},
	}
}
