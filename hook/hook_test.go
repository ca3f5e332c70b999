package hook_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/hook"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/outcome"
	"ferry/provenance"
	"ferry/secret"
	"ferry/state"
	"ferry/test/process"
	"ferry/upstream"
	"ferry/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "hook-key-0123456789-0123456789-0123456789"
	oldKey   = "old-key-0123456789-0123456789-01234567890"
	canary   = "canary-Passw0rd ö"
	typed    = "  Alice@Example.ORG "
	stored   = "alice@example.org"
	aliceID  = "e187bf45-fb83-4a45-8227-79025897309f"
	aliceSub = "auth0|alice"
)

// fakes are Kratos and Auth0 as the hook sees them. Both record what they were asked.
type fakes struct {
	mu              sync.Mutex
	identity        kratos.Identity
	findErr         error
	records         *fakeRecords
	profile         upstream.Profile
	askErr          error
	find, ask       func()
	identifier      []string
	stored          string   // the stored form of the identifier, for Get
	ids             []string // the ids that Get was asked for
	sentCredentials []upstream.Credentials
}

func (f *fakes) Find(_ context.Context, identifier string) (kratos.Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.identifier = append(f.identifier, identifier)
	if f.find != nil {
		f.find()
	}
	found := f.identity
	found.Identifier, found.Lists = identifier, true
	return found, f.findErr
}

// Get finds the identity by the stored form of the identifier, if there is one.
func (f *fakes) Get(ctx context.Context, id, identifier string) (kratos.Identity, error) {
	f.mu.Lock()
	f.ids = append(f.ids, id)
	stored := f.stored
	f.mu.Unlock()
	found, err := f.Find(ctx, identifier)
	if stored != "" {
		found.Identifier, found.Lists = stored, stored == identifier
	}
	return found, err
}

func (f *fakes) Verify(_ context.Context, credentials upstream.Credentials) (upstream.Profile, error) {
	f.mu.Lock()
	f.sentCredentials = append(f.sentCredentials, credentials)
	ask := f.ask
	f.mu.Unlock()
	if ask != nil {
		ask()
	}
	return f.profile, f.askErr
}

func (f *fakes) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sentCredentials)
}

// alice is pending and bound, and her password is right.
func alice() *fakes {
	return &fakes{
		records:  newRecords(),
		identity: kratos.Identity{ID: aliceID, Active: true, Pending: true, Binding: provenance.Binding{Subjects: []string{aliceSub}}},
		profile:  upstream.Profile{Subject: aliceSub, Email: stored, EmailVerified: true},
	}
}

// harness is a hook server with its log and its metrics.
type harness struct {
	url      string
	handler  *hook.Handler
	log      *process.Log
	registry *prometheus.Registry
	close    func() // waits for the calls in flight
}

func start(t *testing.T, f *fakes, change ...func(*hook.Options)) *harness {
	t.Helper()
	h := &harness{log: &process.Log{}, registry: prometheus.NewRegistry()}
	sink := zapcore.Lock(zapcore.AddSync(h.log))
	opts := hook.Options{
		Keys:             []secret.String{secret.New(key), secret.New(oldKey)},
		MaxPasswordBytes: 72,
		Realms:           []string{"users", "legacy"},
		LogHashKey:       secret.New("log-hash-key"),
		Identities:       f,
		ClaimFor:         9 * time.Second,
		Sync:             hook.SyncOptions{Records: f.records, Mapper: mapping.Default, Version: "v-test"},
		Upstream:         f,
		Log:              zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), sink, zap.DebugLevel)),
		Metrics:          h.registry,
		Now:              time.Now,
	}
	for _, c := range change {
		c(&opts)
	}
	if opts.Store == nil {
		opts.Store = state.NewMemory(state.Options{Now: opts.Now})
	}
	handler, err := hook.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	h.handler = handler
	srv := httptest.NewServer(handler.Echo())
	t.Cleanup(srv.Close)
	h.url, h.close = srv.URL, srv.Close
	return h
}

// login is the request of the golden recordings, with the canary password.
func login() string { return `{"identifier":"` + typed + `","password":"` + canary + `"}` }

type answer struct {
	status int
	body   string
	header http.Header
}

func (h *harness) post(t *testing.T, body string, change ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+wire.MigrationPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	for _, c := range change {
		c(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	checkDocument(t, req, body, resp, string(text))
	return answer{resp.StatusCode, string(text), resp.Header}
}

// drain waits for the writes that are still queued.
func (h *harness) drain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h.handler.Drain(ctx)
}

func (h *harness) logged() string { return h.log.String() }

// emptyEcho is an echo server whose after-login hook does nothing.
func emptyEcho() *echo.Echo {
	e := echo.New()
	e.POST(wire.AfterLoginPath, func(c echo.Context) error { return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, []byte("{}")) })
	return e
}

// checkSilence fails if the log, the answer or the metrics contain a secret or an
// identifier.
func (h *harness) checkSilence(t *testing.T, got answer) {
	t.Helper()
	metrics, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, family := range metrics {
		all.WriteString(family.String())
	}
	for place, text := range map[string]string{"log": h.log.String(), "answer": got.body, "metrics": all.String()} {
		for _, word := range []string{canary, "canary", stored, "Alice", key, aliceSub} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
				t.Errorf("%q is in the %s: %s", word, place, text)
			}
		}
	}
}

const (
	matched     = `{"status":"password_match"}`
	noMatch     = `{"status":"no_match"}`
	unavailable = `{"status":"unavailable"}`
)

func TestMatch(t *testing.T) {
	f := alice()
	h := start(t, f)
	got := h.post(t, login())
	if got.status != http.StatusOK || got.body != matched || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%+v", got)
	}
	if len(f.identifier) != 1 || f.identifier[0] != stored {
		t.Errorf("Kratos was asked for %q", f.identifier)
	}
	if len(f.sentCredentials) != 1 {
		t.Fatalf("Auth0 was asked %d times", len(f.sentCredentials))
	}
	sent := f.sentCredentials[0]
	if sent.Username != stored || sent.Password.Reveal() != canary || sent.Realm != "users" {
		t.Errorf("asked %+v", sent)
	}
	if lines := strings.Count(h.log.String(), "\n"); lines != 1 {
		t.Errorf("%d log lines: %s", lines, h.log)
	}
	h.checkSilence(t, got)
}

// TestTrustRules: each case breaks one rule and must not match, or breaks none and
// must.
func TestTrustRules(t *testing.T) {
	verified := func(o *hook.Options) { o.TrustVerifiedIdentifier = true }
	closed := func(o *hook.Options) { o.Closed = true }
	unbind := func(f *fakes) { f.identity.Binding.Subjects = nil }
	for name, c := range map[string]struct {
		fakes   func(*fakes)
		options func(*hook.Options)
		body    string
		want    outcome.Outcome
		asked   int
	}{
		"inactive":                            {func(f *fakes) { f.identity.Active = false }, nil, "", outcome.Inactive, 0},
		"not pending":                         {func(f *fakes) { f.identity.Pending = false }, nil, "", outcome.NotPending, 0},
		"unbound":                             {unbind, nil, "", outcome.Unbound, 0},
		"bound to another":                    {func(f *fakes) { f.identity.Binding.Subjects = []string{"auth0|Alice"} }, nil, "", outcome.SubjectMismatch, 1},
		"other subject":                       {func(f *fakes) { f.profile.Subject = "auth0|bob" }, nil, "", outcome.SubjectMismatch, 1},
		"no subject":                          {func(f *fakes) { f.profile.Subject = "" }, nil, "", outcome.InvalidResponse, 1},
		"linked account":                      {func(f *fakes) { f.identity.Binding.Subjects = []string{"google-oauth2|1", aliceSub} }, nil, "", outcome.Match, 1},
		"mismatch":                            {func(f *fakes) { f.askErr = &upstream.LoginError{Outcome: outcome.Mismatch} }, nil, "", outcome.Mismatch, 1},
		"unknown error":                       {func(f *fakes) { f.askErr = io.ErrUnexpectedEOF }, nil, "", outcome.InvalidResponse, 1},
		"error without an outcome":            {func(f *fakes) { f.askErr = &upstream.LoginError{} }, nil, "", outcome.InvalidResponse, 1},
		"error with outcome match":            {func(f *fakes) { f.askErr = &upstream.LoginError{Outcome: outcome.Match} }, nil, "", outcome.InvalidResponse, 1},
		"look-up error with outcome match":    {func(f *fakes) { f.findErr = &kratos.Error{Outcome: outcome.Match} }, nil, "", outcome.InvalidResponse, 0},
		"look-up fails":                       {func(f *fakes) { f.findErr = &kratos.Error{Outcome: outcome.Unavailable} }, nil, "", outcome.Unavailable, 0},
		"look-up, unknown error":              {func(f *fakes) { f.findErr = io.ErrUnexpectedEOF }, nil, "", outcome.InvalidResponse, 0},
		"recorded realm":                      {func(f *fakes) { f.identity.Binding.Connection = "legacy" }, nil, "", outcome.Match, 1},
		"realm not listed":                    {func(f *fakes) { f.identity.Binding.Connection = "sms" }, nil, "", outcome.Misconfigured, 0},
		"default directory":                   {func(f *fakes) { f.identity.Binding.Connection = "users" }, func(o *hook.Options) { o.Realms = nil }, "", outcome.Match, 1},
		"password of 72":                      {nil, nil, `{"identifier":"alice","password":"` + strings.Repeat("x", 72) + `"}`, outcome.Match, 1},
		"password of 73":                      {nil, nil, `{"identifier":"alice","password":"` + strings.Repeat("x", 73) + `"}`, outcome.Oversize, 0},
		"72 letters, more bytes":              {nil, nil, `{"identifier":"alice","password":"` + strings.Repeat("ö", 37) + `"}`, outcome.Oversize, 0},
		"identifier too long":                 {nil, nil, `{"identifier":"` + strings.Repeat("x", 1025) + `","password":"x"}`, outcome.Oversize, 0},
		"request too long":                    {nil, nil, `{"identifier":"alice","password":"` + strings.Repeat("x", 5<<20) + `"}`, outcome.Oversize, 0},
		"template, same identity":             {nil, nil, `{"identifier":"alice","password":"x","identity":{"id":"` + aliceID + `","state":"active"}}`, outcome.Match, 1},
		"template, other identity":            {nil, nil, `{"identifier":"alice","password":"x","identity":{"id":"99bf8a02-aa5b-4351-ab7c-9f16e7e11a12"}}`, outcome.InvalidResponse, 0},
		"template, activated meanwhile":       {nil, nil, `{"identifier":"alice","password":"x","identity":{"state":"inactive"}}`, outcome.Unavailable, 0},
		"template, inactive":                  {func(f *fakes) { f.identity.Active = false }, nil, `{"identifier":"alice","password":"x","identity":{"id":"` + aliceID + `","state":"inactive"}}`, outcome.Inactive, 0},
		"template, deactivated meanwhile":     {func(f *fakes) { f.identity.Active = false }, nil, `{"identifier":"alice","password":"x","identity":{"id":"` + aliceID + `","state":"active"}}`, outcome.Inactive, 0},
		"template, no longer pending":         {func(f *fakes) { f.identity.Pending = false }, nil, `{"identifier":"alice","password":"x","identity":{"id":"` + aliceID + `","state":"active"}}`, outcome.NotPending, 0},
		"template, another form":              {func(f *fakes) { f.stored = "fiona@example.org" }, nil, `{"identifier":"ﬁona@example.org","password":"x","identity":{"id":"` + aliceID + `"}}`, outcome.Match, 1},
		"template, another form, unbound":     {func(f *fakes) { unbind(f); f.stored = stored }, verified, `{"identifier":"alice","password":"x","identity":{"id":"` + aliceID + `"}}`, outcome.Unavailable, 0},
		"template, invalid id":                {nil, nil, `{"identifier":"alice","password":"x","identity":{"id":"../sessions"}}`, outcome.InvalidResponse, 0},
		"template, nulls":                     {nil, nil, `{"identifier":"alice","password":"x","identity":{"id":null,"external_id":null,"state":null},"flow":null,"client":{"ip":null}}`, outcome.Match, 1},
		"template, external id does not bind": {unbind, nil, `{"identifier":"alice","password":"x","identity":{"external_id":"auth0|alice"}}`, outcome.Unbound, 0},
		"verified e-mail":                     {unbind, verified, "", outcome.Match, 1},
		"verified e-mail, case":               {func(f *fakes) { unbind(f); f.profile.Email = " Alice@example.org" }, verified, "", outcome.Match, 1},
		"unverified e-mail":                   {func(f *fakes) { unbind(f); f.profile.EmailVerified = false }, verified, "", outcome.Unbound, 1},
		"other e-mail":                        {func(f *fakes) { unbind(f); f.profile.Email = "bob@example.org" }, verified, "", outcome.Unbound, 1},
		"e-mail with a Kelvin sign":           {func(f *fakes) { unbind(f); f.profile.Email = "\u212aim@example.org" }, verified, `{"identifier":"kim@example.org","password":"x"}`, outcome.Unbound, 1},
		"e-mail with a theta symbol":          {func(f *fakes) { unbind(f); f.profile.Email = "\u03f4@example.org" }, verified, `{"identifier":"θ@example.org","password":"x"}`, outcome.Unbound, 1},
		"e-mail, the trait has a Kelvin sign": {func(f *fakes) {
			unbind(f)
			f.profile.Email, f.identity.Trait = "kim@example.org", "\u212aim@example.org"
		}, verified, `{"identifier":"kim@example.org","password":"x"}`, outcome.Unbound, 0},
		"e-mail, the trait has capitals": {func(f *fakes) { unbind(f); f.profile.Email, f.identity.Trait = "kim@example.org", " KIM@Example.org" }, verified, `{"identifier":"kim@example.org","password":"x"}`, outcome.Match, 1},
		"closed":                         {func(f *fakes) { f.findErr = io.ErrUnexpectedEOF }, closed, "", outcome.Closed, 0},
		"no e-mail":                      {func(f *fakes) { unbind(f); f.profile.Email = "" }, verified, "", outcome.Unbound, 1},
		"verified e-mail, bound":         {func(f *fakes) { f.profile.Subject = "auth0|bob" }, verified, "", outcome.SubjectMismatch, 1},
		"verified phone": {func(f *fakes) {
			unbind(f)
			f.profile = upstream.Profile{Subject: aliceSub, Phone: "+4915112345678", PhoneVerified: true}
		}, verified, `{"identifier":"+49 151 1234 5678","password":"x"}`, outcome.Match, 1},
		"unverified phone": {func(f *fakes) {
			unbind(f)
			f.profile = upstream.Profile{Subject: aliceSub, Phone: "+4915112345678"}
		}, verified, `{"identifier":"+4915112345678","password":"x"}`, outcome.Unbound, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := alice()
			if c.fakes != nil {
				c.fakes(f)
			}
			body := c.body
			if body == "" {
				body = login()
			}
			var change []func(*hook.Options)
			if c.options != nil {
				change = append(change, c.options)
			}
			h := start(t, f, change...)
			got := h.post(t, body)
			if want := `"outcome":"` + c.want.String() + `"`; !strings.Contains(h.log.String(), want) {
				t.Fatalf("want %s; the log: %s", want, h.log)
			}
			if (got.status == http.StatusOK) != (c.want == outcome.Match) || (got.body == matched) != (c.want == outcome.Match) {
				t.Errorf("answered %+v", got)
			}
			if len(f.sentCredentials) != c.asked {
				t.Errorf("Auth0 was asked %d times, want %d", len(f.sentCredentials), c.asked)
			}
			h.checkSilence(t, got)
		})
	}
}

func TestPhonesAreSentInE164(t *testing.T) {
	for typed, want := range map[string]string{
		"+49 151 1234-5678":  "+4915112345678",
		"+1 (555) 010.9999":  "+15550109999",
		"+49":                "+49",
		"+49 151 mobile":     "+49 151 mobile",
		"0151 1234 5678":     "0151 1234 5678",
		"+1234567890123456":  "+1234567890123456",
		"+user name@example": "+user name@example",
	} {
		f := alice()
		h := start(t, f)
		if got := h.post(t, `{"identifier":"`+typed+`","password":"x"}`); got.body != matched {
			t.Fatalf("%q: %+v", typed, got)
		}
		if f.sentCredentials[0].Username != want {
			t.Errorf("%q was asked as %q, want %q", typed, f.sentCredentials[0].Username, want)
		}
	}
}
