package hook_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/box"

	"ferry/hook"
	"ferry/kratos"
	"ferry/outcome"
	"ferry/recording"
	"ferry/secret"
	"ferry/upstream"
	"ferry/wire"
)

// recorded is a hook that records, and its recordings.
type recorded struct {
	*harness
	dir     string
	private *[32]byte
	stop    func()
}

func startRecorded(t *testing.T, f *fakes, change ...func(*hook.Options)) *recorded {
	t.Helper()
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorded{dir: t.TempDir(), private: private}
	var w *recording.Writer
	w, r.stop = startRecorder(t, r.dir, public)
	r.harness = start(t, f, append(change, func(o *hook.Options) { o.Recorder = w })...)
	return r
}

// lines returns the recorded lines in the order of the calls and ends the recording.
// It fails if one contains a name, a password or a key.
func (r *recorded) lines(t *testing.T) (lines []recording.Record) {
	t.Helper()
	r.close() // answers are sent before their calls are recorded
	r.stop()
	names, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"canary", stored, "alice", key, "auth0|"} {
			if strings.Contains(strings.ToLower(string(text)), word) {
				t.Errorf("%q is in the recording: %s", word, text)
			}
		}
		scanner := bufio.NewScanner(bytes.NewReader(text))
		for scanner.Scan() {
			var line recording.Record
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
	}
	slices.SortFunc(lines, func(a, b recording.Record) int { return a.Time.Compare(b.Time) })
	return lines
}

// one returns the only line, and fails if there is not exactly one.
func (r *recorded) one(t *testing.T) recording.Record {
	t.Helper()
	lines := r.lines(t)
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	return lines[0]
}

// TestRecordedOutcomes: for every outcome, what the owner of the private key can
// recover of the login.
func TestRecordedOutcomes(t *testing.T) {
	const nothing, name, both = "", "identifier", "identifier and password"
	refusal := func(o outcome.Outcome, status int, reason string) func(*fakes) {
		return func(f *fakes) {
			f.askErr = &upstream.LoginError{Outcome: o, Status: status, Reason: reason, Code: "invalid_grant"}
		}
	}
	for label, c := range map[string]struct {
		fakes func(*fakes)
		want  outcome.Outcome
		back  string
	}{
		"match":                   {nil, outcome.Match, nothing},
		"mismatch":                {refusal(outcome.Mismatch, 403, "wrong_credentials"), outcome.Mismatch, both},
		"mfa":                     {refusal(outcome.MFARequired, 403, "mfa"), outcome.MFARequired, name},
		"blocked":                 {refusal(outcome.Blocked, 401, "user_blocked"), outcome.Blocked, name},
		"denied":                  {refusal(outcome.Denied, 403, "action"), outcome.Denied, name},
		"leaked":                  {refusal(outcome.Leaked, 401, "leaked"), outcome.Leaked, name},
		"throttled":               {refusal(outcome.Throttled, 429, "brute_force"), outcome.Throttled, both},
		"locked":                  {refusal(outcome.Locked, 0, ""), outcome.Locked, both},
		"suspicious":              {refusal(outcome.Suspicious, 401, "bot_detection"), outcome.Suspicious, both},
		"limited":                 {refusal(outcome.Limited, 429, "suspicious_ip"), outcome.Limited, both},
		"no connection":           {refusal(outcome.Unavailable, 0, "dial"), outcome.Unavailable, both},
		"no answer":               {refusal(outcome.Unavailable, 0, "timeout"), outcome.Unavailable, name},
		"auth0 fails":             {refusal(outcome.Unavailable, 500, "server_fault"), outcome.Unavailable, name},
		"userinfo fails":          {refusal(outcome.Unavailable, 500, "userinfo_refused"), outcome.Unavailable, name},
		"ferry is refused":        {refusal(outcome.Misconfigured, 401, "client_refused"), outcome.Misconfigured, both},
		"ferry cannot sign":       {refusal(outcome.Misconfigured, 0, "client_assertion"), outcome.Misconfigured, both},
		"token with wrong claims": {refusal(outcome.InvalidResponse, 200, "id_token_wrong_claims"), outcome.InvalidResponse, name},
		"unknown refusal":         {refusal(outcome.InvalidResponse, 403, "unknown_answer"), outcome.InvalidResponse, name},
		"panic at auth0":          {func(f *fakes) { f.ask = func() { panic("boom") } }, outcome.InvalidResponse, name},
		"panic at kratos":         {func(f *fakes) { f.find = func() { panic("boom") } }, outcome.InvalidResponse, both},
		"another subject":         {func(f *fakes) { f.profile.Subject = "auth0|bob" }, outcome.SubjectMismatch, name},
		"unbound":                 {func(f *fakes) { f.identity.Binding.Subjects = nil }, outcome.Unbound, both},
		"inactive":                {func(f *fakes) { f.identity.Active = false }, outcome.Inactive, both},
		"paused":                  {refusal(outcome.Paused, 0, ""), outcome.Paused, name},
		"observed":                {refusal(outcome.Observed, 0, ""), outcome.Observed, nothing},
		"closed":                  {refusal(outcome.Closed, 0, ""), outcome.Closed, both},
		"not pending":             {func(f *fakes) { f.identity.Pending = false }, outcome.NotPending, name},
		"kratos down":             {func(f *fakes) { f.findErr = &kratos.Error{Outcome: outcome.Unavailable, Reason: "timeout"} }, outcome.Unavailable, both},
		"kratos refuses":          {func(f *fakes) { f.findErr = &kratos.Error{Outcome: outcome.Misconfigured} }, outcome.Misconfigured, both},
		"realm not listed":        {func(f *fakes) { f.identity.Binding.Connection = "sms" }, outcome.Misconfigured, both},
	} {
		t.Run(label, func(t *testing.T) {
			f := alice()
			if c.fakes != nil {
				c.fakes(f)
			}
			r := startRecorded(t, f)
			got := r.post(t, login())
			line := r.one(t)
			status, answer := hook.Answer(c.want)
			if line.Outcome != c.want.String() || line.Status != status || string(line.Answer) != answer || got.status != status || got.body != answer {
				t.Errorf("%+v; answered %+v", line, got)
			}
			checkBody(t, line)
			wants := map[string][2]string{name: {typed, ""}, both: {typed, canary}}
			want, sealed := wants[c.back]
			if !sealed && line.Sealed == "" {
				return
			}
			identifier, password, err := recording.Open(line.Sealed, r.private)
			if err != nil || [2]string{identifier, password} != want || !sealed {
				t.Errorf("opened %q and %q, %v; want %q", identifier, password, err, c.back)
			}
		})
	}
}

// checkBody checks that the body has a placeholder for the password, and the hash of
// the log for the identifier. If the password was right, the status of Auth0's answer
// is recorded.
func checkBody(t *testing.T, line recording.Record) {
	t.Helper()
	var body struct{ Identifier, Password string }
	if err := json.Unmarshal(line.Body, &body); err != nil || body.Password != recording.PasswordPlaceholder ||
		body.Identifier != recording.HashMark+line.Identifier || line.Identifier == "" {
		t.Errorf("body %s, identifier %s, %v", line.Body, line.Identifier, err)
	}
	right := line.Outcome == "match" || line.Outcome == "subject_mismatch"
	if right && line.UpstreamStatus != http.StatusOK {
		t.Errorf("auth0 answered 200, recorded: %+v", line)
	}
}

// TestRecordedUnboundAfterAuth0: the password was right, but the subject is not bound
// to the identity. Only the identifier is sealed.
func TestRecordedUnboundAfterAuth0(t *testing.T) {
	f := alice()
	f.identity.Binding.Subjects, f.profile.EmailVerified = nil, false
	r := startRecorded(t, f, func(o *hook.Options) { o.TrustVerifiedIdentifier = true })
	r.post(t, login())
	line := r.one(t)
	if i, p, err := recording.Open(line.Sealed, r.private); err != nil || i != typed || p != "" || line.Outcome != "unbound" {
		t.Errorf("%q, %q, %v: %+v", i, p, err, line)
	}
}

// TestRecordedCallers: errors of the caller are recorded; of a call without the key,
// only that it happened.
func TestRecordedCallers(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		keeps  string
	}{
		"no key":           {login(), func(r *http.Request) { r.Header.Del("Authorization") }, 401, ""},
		"wrong media type": {login(), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, ""},
		"not JSON":         {"canary", func(*http.Request) {}, 400, ""},
		"no password":      {`{"identifier":"alice","password":""}`, func(*http.Request) {}, 400, `{"identifier":"#HASH","password":""}`},
		"a number":         {`{"identifier":5,"password":"canary"}`, func(*http.Request) {}, 400, `{"identifier":0,"password":"[password]"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRecorded(t, alice())
			r.post(t, c.body, c.change, func(r *http.Request) { r.Header.Set("User-Agent", "Kratos") })
			line := r.one(t)
			want := strings.ReplaceAll(c.keeps, "HASH", hashOf("alice"))
			if line.Status != c.status || line.Outcome != recording.OutcomeCaller || line.Sealed != "" || string(line.Body) != want || line.Answer != nil {
				t.Errorf("%+v, body %s", line, line.Body)
			}
			if line.Headers["User-Agent"] != "Kratos" || line.Time.IsZero() || line.Route != wire.RouteMigration {
				t.Errorf("%+v", line)
			}
		})
	}
}

// TestRecordedOversize: a request that is too long is not read, so its body is not
// recorded. If only the password is too long, the body and the credentials are
// recorded.
func TestRecordedOversize(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		kept bool
	}{
		"request":  {`{"identifier":"alice","password":"` + strings.Repeat("x", 2<<20) + `"}`, false},
		"password": {`{"identifier":"alice","password":"` + strings.Repeat("x", 73) + `"}`, true},
	} {
		r := startRecorded(t, alice())
		r.post(t, c.body)
		line := r.one(t)
		if line.Outcome != "oversize" || (line.Body != nil) != c.kept || (line.Sealed != "") != c.kept {
			t.Errorf("%s: %+v", name, line)
		}
	}
}

// hashOf returns the hash as in the log.
func hashOf(text string) string { return hook.Hash(secret.New("log-hash-key"), text) }

// TestRecordedAfterLogin: both hooks are recorded. The answer of the after-login hook
// is recorded only if it has no personal data.
func TestRecordedAfterLogin(t *testing.T) {
	r := startRecorded(t, alice())
	r.post(t, login())
	body := `{"identity":{"id":"` + aliceID + `","external_id":"canary","schema_id":"person","state":"active"},"flow":{"id":"` + aliceID + `","type":"api"},"client":{"ip":null,"user_agent":"Firefox"},"response":"ignore"}`
	toAfterLogin := func(req *http.Request) { req.URL.Path = wire.AfterLoginPath }
	r.post(t, body, toAfterLogin)
	r.post(t, "{}", toAfterLogin)
	r.post(t, body, toAfterLogin, func(req *http.Request) { req.Header.Del("Authorization") })
	lines := r.lines(t)
	if len(lines) != 4 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range []struct {
		outcome, answer string
		status          int
	}{{"match", matched, 200}, {"", "", 204}, {"bad_request", "", 204}, {recording.OutcomeCaller, "", 401}} {
		line := lines[i]
		if want.outcome != "" && line.Outcome != want.outcome || line.Status != want.status || string(line.Answer) != want.answer && want.outcome != "" {
			t.Errorf("line %d: %+v", i, line)
		}
	}
	kept := `{"identity":{"id":"` + aliceID + `","external_id":"#` + hashOf("canary") + `","schema_id":"person","state":"active"},"flow":{"id":"` + aliceID + `","type":"api"},"client":{"ip":null,"user_agent":"#` + hashOf("Firefox") + `"},"response":"ignore"}`
	if second := lines[1]; string(second.Body) != kept || second.Route != wire.RouteAfterLogin || second.Sealed != "" || second.IdentityID != aliceID {
		t.Errorf("%+v, body %s", second, second.Body)
	}
}

// badRecorder panics in every method.
type badRecorder struct{}

func (badRecorder) Redact([]byte) json.RawMessage { panic("redact") }
func (badRecorder) Record(recording.Event)        { panic("record") }

// TestRecorderPanics: a recorder that panics does not fail logins.
func TestRecorderPanics(t *testing.T) {
	h := start(t, alice(), func(o *hook.Options) { o.Recorder = badRecorder{} })
	got := h.post(t, login())
	if got.status != http.StatusOK || got.body != matched {
		t.Errorf("%+v", got)
	}
	h.close()
	if n := strings.Count(h.logged(), `"msg":"panic"`); n != 2 {
		t.Errorf("%d panics in the log: %s", n, h.logged())
	}
	h.checkSilence(t, got)
}

// slowRecorder blocks until it is released, or gives up after a while.
type slowRecorder struct {
	release chan struct{}
	gaveUp  chan struct{}
}

func (slowRecorder) Redact([]byte) json.RawMessage { return nil }

func (s slowRecorder) Record(recording.Event) {
	select {
	case <-s.release:
	case <-time.After(10 * time.Second):
		close(s.gaveUp)
	}
}

// TestAnswerIsSentFirst: Kratos has the whole answer while the call is still being
// recorded.
func TestAnswerIsSentFirst(t *testing.T) {
	slow := slowRecorder{make(chan struct{}), make(chan struct{})}
	h := start(t, alice(), func(o *hook.Options) { o.Recorder = slow })
	got := h.post(t, login())
	select {
	case <-slow.gaveUp:
		t.Error("the answer waited for the recorder")
	default:
		close(slow.release)
	}
	if got.body != matched || got.header.Get("Content-Length") != "27" {
		t.Errorf("%+v", got)
	}
}

// TestRecordedInvalidIdentityID: an identity id that is not a UUID is neither recorded
// nor logged.
func TestRecordedInvalidIdentityID(t *testing.T) {
	r := startRecorded(t, alice())
	r.post(t, `{"identity":{"id":"canary@example.org"},"flow":{"id":"canary"}}`, func(req *http.Request) { req.URL.Path = wire.AfterLoginPath })
	if line := r.one(t); line.IdentityID != "" || line.Outcome != "nothing_kept" {
		t.Errorf("%+v", line)
	}
	if strings.Contains(r.logged(), "canary") {
		t.Errorf("it is in the log: %s", r.logged())
	}
}
