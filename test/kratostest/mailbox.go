package kratostest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// Mailbox receives the mail that Kratos sends (Options.Mailbox).
type Mailbox struct {
	url string

	mu      sync.Mutex
	codes   map[string]string // recovery codes by address
	arrived chan struct{}     // closed and renewed with each mail
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

// ServeHTTP takes one mail, in the form of mailTemplate.
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

// code waits for the recovery code that is sent to the address, and takes it.
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

// deliver makes Kratos post its mail to the mailbox.
func (m *Mailbox) deliver(config map[string]any) {
	config["courier"] = map[string]any{
		"delivery_strategy": "http",
		"http": map[string]any{"request_config": map[string]any{
			"url": m.url, "method": http.MethodPost, "body": "base64://" + base64.StdEncoding.EncodeToString([]byte(mailTemplate)),
			"headers": map[string]any{"Content-Type": "application/json"},
		}},
	}
}

// RecoverByMail chooses a new password as a person does who has forgotten the old one: by
// a code that Kratos sends by e-mail.
func (k *Kratos) RecoverByMail(ctx context.Context, mail *Mailbox, email, password string) error {
	p, err := k.newBrowser(nil)
	if err == nil {
		err = p.recoverByMail(ctx, mail, email, password)
	}
	if err != nil {
		return fmt.Errorf("recover the account: %w", err)
	}
	return nil
}

func (p person) recoverByMail(ctx context.Context, mail *Mailbox, email, password string) error {
	f, err := p.initFlow(ctx, "/self-service/recovery/browser")
	if err != nil {
		return err
	}
	if _, err := p.submit(ctx, f, http.StatusOK, map[string]string{"method": "code", "email": email}); err != nil {
		return err
	}
	code, err := mail.code(ctx, email)
	if err != nil {
		return err
	}
	got, err := p.submit(ctx, f, http.StatusUnprocessableEntity, map[string]string{"method": "code", "code": code})
	if err != nil {
		return err
	}
	var moved struct {
		To string `json:"redirect_browser_to"`
	}
	if err := json.Unmarshal(got.body, &moved); err != nil {
		return err
	}
	to, err := url.Parse(moved.To)
	if err != nil {
		return err
	}
	settings, err := p.flowOf(ctx, "settings", to.Query().Get("flow"))
	if err != nil {
		return err
	}
	got, err = p.submit(ctx, settings, http.StatusOK, map[string]string{"method": "password", "password": password})
	if err != nil {
		return err
	}
	var changed struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal(got.body, &changed); err != nil || changed.State != "success" {
		return errors.Join(fmt.Errorf("the new password is not taken: %s", got.body), err)
	}
	return nil
}

// submit posts fields to a flow as a page's script does.
func (p person) submit(ctx context.Context, f flow, want int, fields map[string]string) (answer, error) {
	fields["csrf_token"] = f.csrfToken()
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{}, err
	}
	request, err := p.request(ctx, http.MethodPost, p.kratos.reached(f.UI.Action), "application/json", string(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	got, err := send(p.http, request)
	if err != nil {
		return answer{}, err
	}
	if got.status != want {
		return got, fmt.Errorf("%s: status %d: %s", fields["method"], got.status, got.body)
	}
	return got, nil
}
