package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ferry/admin"
	"ferry/outcome"
	"ferry/recording"
	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/kratostest"
	"ferry/wire"
)

// scenario is a login and its expected outcome.
type scenario struct {
	want   outcome.Outcome
	change func(*auth0sim.User, *kratostest.IdentitySpec)
	fault  auth0sim.Fault // of this user; without a name, no fault
	typed  string         // typed instead of the right password
	header map[string]string
	body   func(email, password, identity string) string // nil: as Kratos 1.3.1 sends it
}

func answer(name auth0sim.AnswerName) auth0sim.Fault {
	return auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: name}
}

func template(email, password, identity string) string {
	return fmt.Sprintf(`{"identifier":%q,"password":%q,"identity":{"id":%q,"external_id":null,"state":"active"},`+
		`"flow":{"id":%q},"client":{"ip":"203.0.113.9","user_agent":"tests"}}`, "  "+strings.ToUpper(email), password, identity, flowID)
}

const flowID = "9b7662a1-e42d-4e53-9d66-442a3891ef8c"

// scenarios returns all outcomes except locked, which ferry never returns, and closed,
// which is the outcome of every login when the migration is closed.
func scenarios() map[string]scenario {
	metadata := func(value any) func(*auth0sim.User, *kratostest.IdentitySpec) {
		return func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.MetadataAdmin = value }
	}
	return map[string]scenario{
		"match":           {want: outcome.Match},
		"match, template": {want: outcome.Match, body: template},
		"mismatch":        {want: outcome.Mismatch, typed: "canary-wrong"},
		"a second factor": {want: outcome.MFARequired, change: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.MFA = true }},
		"blocked":         {want: outcome.Blocked, change: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Blocked = true }},
		"denied":          {want: outcome.Denied, change: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.Deny = &auth0sim.Denial{Reason: "no"} }},
		"denied by a rule": {want: outcome.Denied, change: func(u *auth0sim.User, _ *kratostest.IdentitySpec) {
			u.Deny = &auth0sim.Denial{Reason: "no", Rule: true}
		}},
		"leaked":          {want: outcome.Leaked, change: func(u *auth0sim.User, _ *kratostest.IdentitySpec) { u.PasswordLeaked = true }},
		"throttled":       {want: outcome.Throttled, fault: answer(auth0sim.AnswerBruteForce)},
		"another subject": {want: outcome.SubjectMismatch, change: metadata(map[string]any{"auth0": map[string]any{"user_id": "auth0|other"}})},
		"unbound":         {want: outcome.Unbound, change: metadata(nil)},
		"inactive":        {want: outcome.Inactive, change: func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.State = "inactive" }},
		"not pending": {want: outcome.NotPending, change: func(_ *auth0sim.User, i *kratostest.IdentitySpec) {
			i.Pending, i.Password = false, "canary-own-Passw0rd"
		}},
		"too long":       {want: outcome.Oversize, typed: strings.Repeat("canary", 20)},
		"far too long":   {want: outcome.Oversize, typed: strings.Repeat("canary", 2000)},
		"a huge request": {want: outcome.Oversize, typed: strings.Repeat("canary", 1<<18)},
		"a long identifier": {want: outcome.Oversize, body: func(_, password, _ string) string {
			return fmt.Sprintf(`{"identifier":%q,"password":%q}`, strings.Repeat("canary", 2000), password)
		}},
		"bot detection":      {want: outcome.Suspicious, fault: answer(auth0sim.AnswerRequiresVerification)},
		"too many logins":    {want: outcome.Limited, fault: answer(auth0sim.AnswerTooManyLogins)},
		"the tenant's limit": {want: outcome.Limited, fault: answer(auth0sim.AnswerGlobalLimit)},
		"an outage":          {want: outcome.Unavailable, fault: answer(auth0sim.AnswerTemporarilyUnavailable)},
		"a lost connection":  {want: outcome.Unavailable, fault: auth0sim.Fault{Name: auth0sim.FaultCloseAfterRequest}},
		"unknown to Kratos": {want: outcome.Unavailable, body: func(_, password, _ string) string {
			return `{"identifier":"canary-nobody@example.org","password":"` + password + `"}`
		}},
		"ferry refused":     {want: outcome.Misconfigured, fault: answer(auth0sim.AnswerUnknownClient)},
		"another realm":     {want: outcome.Misconfigured, change: metadata(map[string]any{"auth0": map[string]any{"user_id": "x", "connection": "other"}})},
		"half an answer":    {want: outcome.InvalidResponse, fault: auth0sim.Fault{Name: auth0sim.FaultCutJSON}},
		"a forged ID token": {want: outcome.InvalidResponse, fault: auth0sim.Fault{Name: auth0sim.FaultIDTokenWrongIssuer}},
		"another identity": {want: outcome.Unavailable, body: func(email, password, _ string) string {
			return template(email, password, "99bf8a02-aa5b-4351-ab7c-9f16e7e11a12")
		}},
		"delivered again": {
			want: outcome.Mismatch, typed: "canary-wrong too",
			header: map[string]string{"Ory-Webhook-Trigger-Id": "8cc613b9-7eff-41d9-a931-b40616bf2cbe"},
		},
	}
}

// record is a recording of every scenario, with the operator's keys.
type record struct {
	dir       string
	calls     int
	private   *[32]byte
	passwords string // of all users, in the format of --passwords
}

// recordAll makes every scenario's call, and other calls of a hook, to a ferry that
// records.
func recordAll(t *testing.T, s *stack) record {
	t.Helper()
	public, private, err := recording.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	r := record{dir: filepath.Join(t.TempDir(), "recordings"), private: private}
	f, stop := s.ferry(t, programs(t), "FERRY_RECORD_DIR="+r.dir, "FERRY_RECORD_KEY="+recording.FormatKey(public))
	for name, c := range scenarios() {
		r.scenario(t, s, f, name, c)
	}
	migration, after := f.HooksURL()+"/hooks/password-migration", f.HooksURL()+"/hooks/after-login"
	for _, call := range []struct {
		url, body string
		header    map[string]string
		want      int
	}{
		{migration, `{"identifier":"a","password":"canary"}`, map[string]string{"Authorization": "Bearer canary"}, http.StatusUnauthorized},
		{migration, `{"identifier":" ","password":"canary"}`, nil, http.StatusBadRequest},
		{migration, `canary`, nil, http.StatusBadRequest},
		{migration, `identifier=canary`, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{migration, `canary`, map[string]string{"Content-Encoding": "gzip"}, http.StatusUnsupportedMediaType},
		{migration, `{"identifier":" ","password":"canary"}`, map[string]string{"Content-Type": "application/json ;canary=1; charset=UTF-8"}, http.StatusBadRequest},
		{after, `{"identity":{"id":"99bf8a02-aa5b-4351-ab7c-9f16e7e11a12"},"flow":{}}`, nil, http.StatusNoContent},
		{after, `{}`, map[string]string{"Authorization": "Basic canary"}, http.StatusUnauthorized},
	} {
		if got := s.post(t, call.url, call.body, call.header); got != call.want {
			t.Fatalf("%s: got %d, want %d", call.body, got, call.want)
		}
		r.calls++
	}
	r.knows(t, "canary-nobody@example.org", "canary")
	stop() // writes what is still queued
	return r
}

func (r *record) knows(t *testing.T, identifier, password string) {
	t.Helper()
	line, err := json.Marshal(map[string]string{"identifier": identifier, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	r.passwords += string(line) + "\n"
}

func (r *record) scenario(t *testing.T, s *stack, f *ferrytest.Ferry, name string, c scenario) {
	t.Helper()
	email, password, identity := s.person(t, c.change)
	r.knows(t, email, password)
	if c.fault.Name != "" {
		c.fault.User = email
		if _, err := s.sim.SetFault(c.fault); err != nil {
			t.Fatal(err)
		}
	}
	if c.typed != "" {
		password = c.typed
	}
	if c.body == nil {
		c.body = func(email, password, _ string) string {
			return fmt.Sprintf(`{"identifier":%q,"password":%q}`, email, password)
		}
	}
	for range 1 + len(c.header) { // with a delivery id, make a re-delivery
		header := map[string]string{"Ory-Webhook-Request-Id": uuid.NewString()}
		maps.Copy(header, c.header)
		s.post(t, f.HooksURL()+"/hooks/password-migration", c.body(email, password, identity), header)
		awaitLine(t, f, header["Ory-Webhook-Request-Id"], name, c.want.String())
		r.calls++
	}
	if name == "match, template" {
		s.post(t, f.HooksURL()+"/hooks/after-login", fmt.Sprintf(`{"identity":{"id":%q},"flow":{"id":%q}}`, identity, flowID), nil)
		r.calls++
	}
}

// awaitLine waits for the log line of a call, which is written after the answer.
func awaitLine(t *testing.T, f *ferrytest.Ferry, requestID, name, want string) {
	t.Helper()
	await.True(func() bool { return lineOf(f.Logs(), requestID) != "" })
	if line := lineOf(f.Logs(), requestID); !strings.Contains(line, `"outcome":"`+want+`"`) {
		t.Fatalf("%s: want %s: %s", name, want, line)
	}
}

// TestReplay: replaying all outcomes gives no difference, and one answer changed in
// the code is found, by ferry and by the demo.
func TestReplay(t *testing.T) {
	s := start(t)
	r := recordAll(t, s)
	t.Run("no difference", func(t *testing.T) { testNoDifference(t, s, r) })
	t.Run("without keys", func(t *testing.T) {
		f, _ := s.ferry(t, programs(t))
		r := r
		r.private, r.passwords = nil, ""
		results := s.replay(t, f, r)
		if len(results[recording.VerdictDiffers])+len(results[recording.VerdictFailed]) > 0 || len(results[recording.VerdictSame]) == 0 {
			t.Errorf("%+v", others(results))
		}
	})
	t.Run("one answer changed", func(t *testing.T) {
		f, _ := s.ferry(t, changed())
		results := s.replay(t, f, r)
		differ := results[recording.VerdictDiffers]
		if len(differ) != 1 || differ[0].Recorded.Outcome != "throttled" || differ[0].Answered.Status != http.StatusFailedDependency || len(results[recording.VerdictSame]) != r.calls-1 {
			t.Errorf("%+v", others(results))
		}
	})
	t.Run("by the demo", func(t *testing.T) {
		t.Parallel()
		said, status := demo(t, programs(t), "replay", r.dir)
		if want := fmt.Sprintf("All as expected. %d of %d calls had the recorded outcome.", r.calls, r.calls); status != 0 || !strings.Contains(said, want) {
			t.Errorf("exit %d, want %q: %s", status, want, said)
		}
	})
	t.Run("by the demo, one answer changed", func(t *testing.T) {
		t.Parallel()
		said, status := demo(t, changed(), "replay", r.dir)
		if want := fmt.Sprintf("%d of %d calls had", r.calls-1, r.calls); status != 1 || !strings.Contains(said, "throttled, 424 unavailable") || !strings.Contains(said, want) {
			t.Errorf("exit %d, want %q: %s", status, want, said)
		}
	})
}

func testNoDifference(t *testing.T, s *stack, r record) {
	t.Helper()
	f, _ := s.ferry(t, programs(t))
	checkUpstream(t, s, f)
	asked := s.sim.TokenRequests()
	results := s.replay(t, f, r)
	if len(results[recording.VerdictSame]) != r.calls {
		t.Errorf("%d of %d calls were answered as recorded; %+v", len(results[recording.VerdictSame]), r.calls, others(results))
	}
	seen := map[string]bool{}
	for _, result := range results[recording.VerdictSame] {
		seen[result.Recorded.Outcome] = true
		if result.Route == wire.RouteMigration { // several outcomes share an answer; the log names the outcome
			awaitLine(t, f, result.RequestID, result.At, result.Recorded.Outcome)
		}
	}
	for _, o := range outcome.All() {
		if o != outcome.Locked && o != outcome.Closed && o != outcome.Paused && o != outcome.Observed && !seen[o.String()] {
			t.Errorf("no call of the outcome %s was replayed", o)
		}
	}
	if n := s.sim.TokenRequests() - asked; n != tokenRequests() {
		t.Errorf("%d passwords reached Auth0, want %d: a delivery made again is one", n, tokenRequests())
	}
}

// tokenRequests counts the scenarios in which Auth0 is asked.
func tokenRequests() int {
	n := 0
	notAsked := []outcome.Outcome{outcome.Unbound, outcome.Inactive, outcome.NotPending, outcome.Oversize}
	for name, c := range scenarios() {
		if !slices.Contains(notAsked, c.want) && !slices.Contains([]string{"another realm", "another identity", "unknown to Kratos"}, name) {
			n++
		}
	}
	return n
}

// others returns the results that are not the same.
func others(results map[recording.Verdict][]recording.Result) []string {
	var all []string
	for verdict, some := range results {
		for _, r := range some {
			if verdict != recording.VerdictSame {
				all = append(all, fmt.Sprintf("%s %s (%s): %+v, %+v", r.At, verdict, r.Reason, r.Recorded, r.Answered))
			}
		}
	}
	return all
}

func lineOf(log, requestID string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, requestID) {
			return line
		}
	}
	return ""
}

func checkUpstream(t *testing.T, s *stack, f *ferrytest.Ferry) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.AdminURL()+"/upstream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	var said admin.Upstream
	if err = errors.Join(err, json.Unmarshal(text, &said)); err != nil || !said.Loopback || "http://"+said.Hooks != f.HooksURL() {
		t.Errorf("ferry says %s, %v", text, err)
	}
}

// demo runs the program and returns its output and exit status.
func demo(t *testing.T, dir string, args ...string) (said string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "demo"), args...)
	cmd.Env = append(os.Environ(), "KEEP=")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestReplayIntoItself: replaying to a ferry that records into the replayed directory
// is refused, because each call would add one to replay.
func TestReplayIntoItself(t *testing.T) {
	s := start(t)
	dir := filepath.Join(t.TempDir(), "recordings")
	f, stop := s.ferry(t, programs(t), "FERRY_RECORD_DIR="+dir)
	s.post(t, f.HooksURL()+"/hooks/after-login", `{"identity":{"id":"99bf8a02-aa5b-4351-ab7c-9f16e7e11a12"},"flow":{}}`, nil)
	stop() // writes the recording
	f, _ = s.ferry(t, programs(t), "FERRY_RECORD_DIR="+dir)
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs(t), "ferry"), "replay", dir, "--target="+f.HooksURL(), "--target-admin="+f.AdminURL())
	cmd.Env = append(os.Environ(), "FERRY_HOOK_KEYS="+hookKey)
	out, err := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(string(out), "records into this directory") {
		t.Errorf("exit %d, %v: %s", status, err, out)
	}
}

// TestDemoReplaysPayloads: the demo replays golden payloads of the real Kratos without
// a recording.
func TestDemoReplaysPayloads(t *testing.T) {
	said, status := demo(t, programs(t), "replay", "../testdata/payloads")
	for _, want := range []string{
		"v131-migrate-request.json match, 200 password_match", "v262-migrate-template-ctx-browser.json match, 200 password_match",
		"v262-minimal-config-requests.json[1] 204", "skipped: 6 files without a hook call", "All as expected. 15 of 15 calls",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if status != 0 {
		t.Errorf("exit %d: %s", status, said)
	}
}

// TestDemoReplaysBodies: the demo replays identifiers of forms that its schema does
// not have.
func TestDemoReplaysBodies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bodies.ndjson")
	text := `{"identifier":"+49 151 12345678","password":"canary"}` + "\n" + `{"identifier":"not an address@","password":"canary"}` + "\n" +
		`{"identifier":"` + strings.Repeat("x", 1025) + `","password":"canary"}` + "\n" + `{"identifier":"` + strings.Repeat("x", 200) + `","password":"canary"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said, status := demo(t, programs(t), "replay", file)
	for _, want := range []string{
		"bodies.ndjson:1 match, 200", "bodies.ndjson:2 match, 200", "bodies.ndjson:3 oversize, 403 no_match",
		"skipped: 1 calls: Kratos accepts no identity with this identifier", "All as expected. 3 of 3 calls",
	} {
		if !strings.Contains(strings.Join(strings.Fields(said), " "), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if status != 0 {
		t.Errorf("exit %d: %s", status, said)
	}
}

func TestDemoReplayUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"give a recording":      {"replay"},
		"find calls":            {"replay", filepath.Join(t.TempDir(), "nothing")},
		"unknown flag: --quick": {"replay", "--quick"},
	} {
		if said, status := demo(t, programs(t), args...); status != 2 || !strings.Contains(said, want) {
			t.Errorf("%q: exit %d: %s", args, status, said)
		}
	}
}
