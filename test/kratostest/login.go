package kratostest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The results of a login that a user can see, as Login.Sees returns them; any other result
// begins with "other: ".
const (
	SeesSession            = "session"
	SeesInvalidCredentials = "invalid credentials"
	SeesUnavailable        = "unavailable"
)

// invalidCredentials is Kratos' message for an unknown identifier and for a wrong password.
const invalidCredentials = 4000006

// Login is Kratos' answer to one login.
type Login struct {
	Status     int    // HTTP status of the answer to the submission
	SessionID  string // empty without a session
	Token      bool   // a session token, or for browsers a session cookie, came with it
	IdentityID string
	Traits     map[string]any // as the answer shows them; not for browsers
	Messages   []int          // ids of the messages in the form, the form's own before its fields'

	// Kratos' error object, if it answered or showed one.
	ErrorCode   int
	ErrorReason string

	sessionToken string

	Duration time.Duration // of the submission, which includes the call of the hook
}

// Sees summarizes what the user sees, equally for all kinds of clients.
func (l Login) Sees() string {
	switch {
	case l.SessionID != "" && l.Token:
		return SeesSession
	case slices.Contains(l.Messages, invalidCredentials):
		return SeesInvalidCredentials
	case l.sees() != "":
		return l.sees()
	case l.ErrorCode == http.StatusBadGateway:
		return SeesUnavailable
	case l.ErrorCode != 0:
		return fmt.Sprintf("other: error %d %s", l.ErrorCode, l.ErrorReason)
	case len(l.Messages) > 0:
		return fmt.Sprintf("other: messages %v", l.Messages)
	default:
		return fmt.Sprintf("other: status %d", l.Status)
	}
}

// RequestEdit changes a request of a login before it is sent: both the first one and the
// submission.
type RequestEdit func(*http.Request)

// WithHeader sets a header on the requests of a login.
func WithHeader(name, value string) RequestEdit {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// LoginAPI logs in as a native app does: JSON, no cookies. After an error, only Duration may
// be set.
func (k *Kratos) LoginAPI(ctx context.Context, identifier, password string, edits ...RequestEdit) (Login, error) {
	p := person{kratos: k, http: k.http, edits: edits}
	flow, err := p.initFlow(ctx, "/self-service/login/api")
	if err != nil {
		return Login{}, fmt.Errorf("login as an app: %w", err)
	}
	got, took, err := p.submitJSON(ctx, flow, identifier, password)
	if err != nil {
		return Login{Duration: took}, fmt.Errorf("login as an app: %w", err)
	}
	login, err := readLogin(got)
	login.Duration = took
	if err != nil {
		return login, fmt.Errorf("login as an app: %w", err)
	}
	return login, nil
}

// person is one client in a flow.
type person struct {
	kratos *Kratos
	http   *http.Client
	edits  []RequestEdit
}

// flow is the part of a self-service flow that a client uses.
type flow struct {
	ID string `json:"id"`
	UI struct {
		Action   string    `json:"action"`
		Messages []message `json:"messages"`
		Nodes    []struct {
			Messages   []message `json:"messages"`
			Attributes struct {
				Name  string `json:"name"`
				Value any    `json:"value"`
			} `json:"attributes"`
		} `json:"nodes"`
	} `json:"ui"`
}

type message struct {
	ID int `json:"id"`
}

func (f flow) messages() []int {
	var ids []int
	for _, m := range f.UI.Messages {
		ids = append(ids, m.ID)
	}
	for _, node := range f.UI.Nodes {
		for _, m := range node.Messages {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func (f flow) csrfToken() string {
	for _, node := range f.UI.Nodes {
		if node.Attributes.Name == "csrf_token" {
			token, _ := node.Attributes.Value.(string)
			return token
		}
	}
	return ""
}

// initFlow begins a flow and returns it.
func (p person) initFlow(ctx context.Context, path string) (flow, error) {
	request, err := p.request(ctx, http.MethodGet, p.kratos.usersURL+path, "application/json", "")
	if err != nil {
		return flow{}, err
	}
	got, err := send(p.http, request)
	if err != nil {
		return flow{}, fmt.Errorf("begin: %w", err)
	}
	return decodeFlow(got)
}

func decodeFlow(got answer) (flow, error) {
	if got.status != http.StatusOK {
		return flow{}, fmt.Errorf("flow: status %d: %s", got.status, got.body)
	}
	var f flow
	if err := json.Unmarshal(got.body, &f); err != nil {
		return flow{}, fmt.Errorf("flow: %w", err)
	}
	return f, nil
}

func (p person) submitJSON(ctx context.Context, f flow, identifier, password string) (answer, time.Duration, error) {
	fields := map[string]string{"method": "password", "identifier": identifier, "password": password}
	if token := f.csrfToken(); token != "" {
		fields["csrf_token"] = token
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{}, 0, fmt.Errorf("submit: %w", err)
	}
	request, err := p.request(ctx, http.MethodPost, p.kratos.reached(f.UI.Action), "application/json", string(body))
	if err != nil {
		return answer{}, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	return p.timed(request)
}

func (p person) request(ctx context.Context, method, address, accept, body string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Accept", accept)
	for _, edit := range p.edits {
		edit(request)
	}
	return request, nil
}

func (p person) timed(request *http.Request) (answer, time.Duration, error) {
	began := time.Now()
	got, err := send(p.http, request)
	took := time.Since(began)
	if err != nil {
		return answer{}, took, fmt.Errorf("submit: %w", err)
	}
	return got, took, nil
}

// readLogin reads an answer in JSON: a session, the flow again, or an error.
func readLogin(got answer) (Login, error) {
	var body struct {
		flow
		Session struct {
			ID       string `json:"id"`
			Identity struct {
				ID     string         `json:"id"`
				Traits map[string]any `json:"traits"`
			} `json:"identity"`
		} `json:"session"`
		SessionToken string     `json:"session_token"`
		Error        errorValue `json:"error"`
	}
	login := Login{Status: got.status}
	if err := json.Unmarshal(got.body, &body); err != nil {
		return login, fmt.Errorf("status %d: %w", got.status, err)
	}
	login.SessionID = body.Session.ID
	login.IdentityID = body.Session.Identity.ID
	login.Traits = body.Session.Identity.Traits
	login.Token = body.SessionToken != ""
	login.sessionToken = body.SessionToken
	login.Messages = body.messages()
	login.setError(body.Error)
	return login, nil
}

// errorValue is Kratos' error object.
type errorValue struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

func (l *Login) setError(e errorValue) {
	l.ErrorCode, l.ErrorReason = e.Code, e.Reason
}
