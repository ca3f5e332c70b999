package kratostest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"regexp"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// Mailbox receives what Kratos sends (Options.Mailbox): mail over SMTP, and text messages
// over HTTP.
type Mailbox struct {
	smtp, url string
	texts     *httptest.Server
	mails     *smtp.Server
	served    chan error

	mu      sync.Mutex
	codes   map[string]string // the last code by address or number
	arrived chan struct{}     // closed and replaced with each message
}

// NewMailbox returns a mailbox that listens until the test ends.
func NewMailbox(tb testing.TB) *Mailbox {
	tb.Helper()
	m, err := OpenMailbox(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// OpenMailbox returns a mailbox that listens until it is closed.
func OpenMailbox(ctx context.Context) (*Mailbox, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
	if err != nil {
		return nil, err
	}
	m := &Mailbox{codes: map[string]string{}, arrived: make(chan struct{}), smtp: listener.Addr().String(), served: make(chan error, 1)}
	m.texts = httptest.NewServer(m)
	m.url = m.texts.URL
	m.mails = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &smtpSession{mailbox: m}, nil }))
	m.mails.Domain, m.mails.MaxMessageBytes, m.mails.MaxRecipients = loopback, maxAnswer, 1
	go func() { m.served <- m.mails.Serve(listener) }()
	return m, nil
}

// Close ends the mailbox.
func (m *Mailbox) Close() error {
	m.texts.Close()
	if err := errors.Join(m.mails.Close(), <-m.served); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		return err
	}
	return nil
}

// smtpSession receives one mail.
type smtpSession struct {
	mailbox *Mailbox
	to      string
}

// Reset implements smtp.Session.
func (s *smtpSession) Reset() { s.to = "" }

// Logout implements smtp.Session.
func (*smtpSession) Logout() error { return nil }

// Mail implements smtp.Session.
func (*smtpSession) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements smtp.Session.
func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

// Data implements smtp.Session.
func (s *smtpSession) Data(r io.Reader) error {
	message, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(message.Body)
	if err != nil {
		return err
	}
	s.mailbox.add(s.to, string(body))
	return nil
}

// ServeHTTP receives one text message, in the format of textTemplate.
func (m *Mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var text struct{ To, Body string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAnswer)).Decode(&text); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.add(text.To, text.Body)
}

// codePattern matches a code in Kratos' messages.
var codePattern = regexp.MustCompile(`\b[0-9]{6}\b`)

func (m *Mailbox) add(to, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes[to] = codePattern.FindString(body)
	close(m.arrived)
	m.arrived = make(chan struct{})
}

// Code waits for the code sent to the address, and removes it.
func (m *Mailbox) Code(ctx context.Context, address string) (string, error) {
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
			return "", fmt.Errorf("no message with a code: %w", ctx.Err())
		}
	}
}

const textTemplate = `function(ctx) { to: ctx.recipient, body: ctx.body }`

// deliver configures Kratos to send to the mailbox.
func (m *Mailbox) deliver(config map[string]any) {
	config["courier"] = map[string]any{
		"smtp": map[string]any{"connection_uri": "smtp://" + m.smtp + "/?disable_starttls=true", "from_address": "kratos@example.org"},
		"channels": []any{map[string]any{"id": "sms", "type": "http", "request_config": map[string]any{
			"url": m.url, "method": http.MethodPost, "body": "base64://" + base64.StdEncoding.EncodeToString([]byte(textTemplate)),
			"headers": map[string]any{"Content-Type": "application/json"},
		}}},
	}
}
