package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/secret"
)

const replayKey = "canary-key"

// got is a call as the target received it.
type got struct {
	path, key, contentType, trigger, request string
	length                                   int64
	body                                     map[string]any
}

// target answers each call with the next of its answers, and repeats the last one.
type target struct {
	*httptest.Server

	mu      sync.Mutex
	calls   []got
	answers []string // status and body, such as "403 {…}"
	busy    int
	most    int           // the most calls at once
	hold    chan struct{} // if set, calls block until it is closed
	arrived chan struct{} // receives a value for every blocked call
}

func newTarget(t *testing.T, answers ...string) *target {
	t.Helper()
	s := &target{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *target) serve(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	call := got{
		path: r.URL.Path, key: r.Header.Get("Authorization"), contentType: r.Header.Get("Content-Type"),
		trigger: r.Header.Get("Ory-Webhook-Trigger-Id"), request: r.Header.Get("Ory-Webhook-Request-Id"), length: int64(len(text)),
	}
	_ = json.Unmarshal(text, &call.body) // some are not JSON
	s.mu.Lock()
	s.calls = append(s.calls, call)
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	if s.hold != nil {
		s.arrived <- struct{}{}
		<-s.hold
	}
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
	var status int
	body := ""
	_, _ = fmt.Sscanf(answer, "%d %s", &status, &body)
	if status >= 300 && status < 400 {
		w.Header().Set("Location", s.URL+"/elsewhere")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (s *target) got() []got {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// replay makes the calls and returns the results in order.
func (s *target) replay(t *testing.T, calls []ReplayCall, change ...func(*ReplayOptions)) ([]Result, error) {
	t.Helper()
	var results []Result
	opts := ReplayOptions{
		Target: s.URL, Key: secret.New(replayKey),
		Client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Restore: func(context.Context, ReplayCall) (Login, string, error) {
			return Login{Identifier: "ada@example.org", Password: secret.New("canary")}, "", nil
		},
		Each:  func(r Result) { results = append(results, r) },
		Fault: func(err error) { t.Error(err) },
	}
	for _, c := range change {
		c(&opts)
	}
	err := Replay(t.Context(), opts, all(calls))
	return results, err
}

func all(calls []ReplayCall) iter.Seq2[ReplayCall, error] {
	return func(yield func(ReplayCall, error) bool) {
		for _, call := range calls {
			if !yield(call, nil) {
				return
			}
		}
	}
}

// line returns a recorded call of the migration hook after a change.
func line(t *testing.T, change func(*Record)) ReplayCall {
	t.Helper()
	calls, err := parseCalls([]byte(recordLine))
	if err != nil {
		t.Fatal(err)
	}
	calls[0].Record.Headers = map[string]string{"Content-Type": "application/json"}
	if change != nil {
		change(&calls[0].Record)
	}
	return calls[0]
}

func TestReplayCompares(t *testing.T) {
	const noMatch, match = `403 {"status":"no_match"}`, `200 {"status":"password_match"}`
	body, err := parseCalls([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		call   ReplayCall
		answer string
		want   Verdict
	}{
		"the same":             {line(t, nil), noMatch, VerdictSame},
		"another status":       {line(t, nil), `424 {"status":"no_match"}`, VerdictDiffers},
		"another answer":       {line(t, nil), `403 {"status":"nobody"}`, VerdictDiffers},
		"not JSON":             {line(t, nil), `403 <html>`, VerdictDiffers},
		"answer not recorded":  {line(t, func(l *Record) { l.Answer = nil }), `403 {"status":"nobody"}`, VerdictSame},
		"a redirect":           {line(t, nil), "307 x", VerdictDiffers},
		"a body":               {body[0], match, VerdictAnswered},
		"a problem report":     {line(t, func(l *Record) { l.Status, l.Answer, l.Outcome = 400, nil, "caller" }), `400 {"status":400}`, VerdictSame},
		"the other hook":       {line(t, func(l *Record) { l.Route, l.Status, l.Answer = "after-login", 200, []byte("{}") }), "200 {}", VerdictSame},
		"the other hook fails": {line(t, func(l *Record) { l.Route, l.Status, l.Answer = "after-login", 200, []byte("{}") }), "502 {}", VerdictDiffers},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTarget(t, c.answer)
			results, err := s.replay(t, []ReplayCall{c.call})
			if err != nil || len(results) != 1 || results[0].Verdict != c.want {
				t.Fatalf("got %+v, %v, want %s", results, err, c.want)
			}
			calls := s.got()
			if len(calls) != 1 || calls[0].path != "/hooks/"+c.call.Record.Route || calls[0].key != "Bearer "+replayKey || calls[0].request != results[0].RequestID {
				t.Errorf("sent %+v", calls)
			}
			shown, err := json.Marshal(results[0])
			if err != nil || strings.Contains(string(shown), "canary") || strings.Contains(string(shown), "ada@example.org") {
				t.Errorf("the result contains a secret: %s (%v)", shown, err)
			}
		})
	}
}

func TestReplayRebuildsTheBody(t *testing.T) {
	template := []byte(`{"identifier":"#00","password":"[password]","identity":{"id":"old","state":"active"},"client":{"ip":"#1"}}`)
	as := func(id string) func(*ReplayOptions) {
		return func(o *ReplayOptions) {
			o.Restore = func(context.Context, ReplayCall) (Login, string, error) {
				return Login{Identifier: "Ada ", Password: secret.New("<ö>"), IdentityID: id}, "", nil
			}
		}
	}
	typed := map[string]any{"identifier": "Ada ", "password": "<ö>"}
	with := func(identity string) map[string]any {
		all := maps.Clone(typed)
		all["identity"] = map[string]any{"id": identity, "state": "active"}
		all["client"] = map[string]any{"ip": "#1"}
		return all
	}
	for name, c := range map[string]struct {
		line   func(*Record)
		id     string
		body   map[string]any
		length int64
		key    string
	}{
		"fixed":                 {nil, "", typed, 0, replayKey},
		"template":              {func(l *Record) { l.Body = template }, "", with("old"), 0, replayKey},
		"for another Kratos":    {func(l *Record) { l.Body = template }, "new", with("new"), 0, replayKey},
		"fixed, another Kratos": {nil, "new", typed, 0, replayKey},
		"no body was kept":      {func(l *Record) { l.Body = nil }, "", typed, 0, replayKey},
		"without the key":       {func(l *Record) { l.Body, l.Status, l.Outcome = nil, 401, "caller" }, "", nil, 0, ""},
		"not JSON":              {func(l *Record) { l.Body, l.Status, l.Outcome = nil, 400, "caller" }, "", nil, 0, replayKey},
		"an empty identifier":   {func(l *Record) { l.Body, l.Status, l.Outcome = []byte(`{"identifier":""}`), 400, "caller" }, "", map[string]any{"identifier": ""}, 0, replayKey},
		"too long a request": {func(l *Record) {
			l.Body, l.Outcome, l.Reason = nil, "oversize", "request_size"
			l.Headers["Content-Length"] = "1048704"
		}, "", nil, 1048704, replayKey},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTarget(t, "403 x")
			if _, err := s.replay(t, []ReplayCall{line(t, c.line)}, as(c.id)); err != nil {
				t.Fatal(err)
			}
			call := s.got()[0]
			body, _ := json.Marshal(call.body)
			want, _ := json.Marshal(c.body)
			if string(body) != string(want) || strings.TrimPrefix(call.key, "Bearer ") != c.key || c.length > 0 && call.length != c.length {
				t.Errorf("got %s (%d bytes) with the key %q, want %s", body, call.length, call.key, want)
			}
		})
	}
}

func TestReplaySkips(t *testing.T) {
	reason := func(outcome, reason string) ReplayCall {
		return line(t, func(l *Record) { l.Outcome, l.Reason = outcome, reason })
	}
	plainCalls, err := parseCalls([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(o *ReplayOptions) {
		o.Restore = func(context.Context, ReplayCall) (Login, string, error) { return Login{}, "", nil }
	}
	careful := func(o *ReplayOptions) { o.Careful = true }
	for name, c := range map[string]struct {
		call   ReplayCall
		change func(*ReplayOptions)
		want   string // the reason for skipping it; empty if the call is made
	}{
		"no password":              {line(t, nil), nothing, skippedNoPassword},
		"too long a password":      {reason("oversize", "password_length"), nothing, ""},
		"too long an identifier":   {reason("oversize", "identifier_length"), nothing, ""},
		"a length not recorded":    {reason("oversize", "request_size"), nothing, skippedSize},
		"a body has credentials":   {plainCalls[0], nothing, ""},
		"another outcome":          {line(t, nil), func(o *ReplayOptions) { o.Only = []string{"match", "denied"} }, skippedOutcome},
		"that outcome":             {line(t, nil), func(o *ReplayOptions) { o.Only = []string{"match", "mismatch"} }, ""},
		"a body has no outcome":    {plainCalls[0], func(o *ReplayOptions) { o.Only = []string{"match"} }, skippedOutcome},
		"careful: mismatch":        {line(t, nil), careful, skippedFailure},
		"careful: a body":          {plainCalls[0], careful, skippedFailure},
		"careful: throttled":       {reason("throttled", ""), careful, skippedFailure},
		"careful: unavailable":     {reason("unavailable", ""), careful, skippedFailure},
		"careful: inactive":        {reason("inactive", ""), careful, skippedFailure},
		"careful: unbound":         {reason("unbound", ""), careful, skippedFailure},
		"careful: blocked":         {reason("blocked", ""), careful, skippedFailure},
		"careful: a long password": {reason("oversize", "password_length"), careful, skippedFailure},
		"careful: match":           {reason("match", ""), careful, ""},
		"careful: second factor":   {reason("mfa_required", ""), careful, ""},
		"careful: bad request":     {reason("caller", ""), careful, ""},
		"careful: the other hook":  {line(t, func(l *Record) { l.Route = "after-login" }), careful, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTarget(t, "403 x")
			results, err := s.replay(t, []ReplayCall{c.call}, c.change)
			if err != nil || len(results) != 1 {
				t.Fatalf("got %+v, %v", results, err)
			}
			left := ""
			if results[0].Verdict == VerdictSkipped {
				left = results[0].Reason
			}
			if made := len(s.got()); left != c.want || (made == 0) != (c.want != "") {
				t.Errorf("skipped for %q, want %q; %d calls were made", left, c.want, made)
			}
		})
	}
}

// TestReplayDeliveries: delivery ids are new, and equal where the recorded ones were
// equal. Kratos 1.3.1 sends none.
func TestReplayDeliveries(t *testing.T) {
	const first, second = "9b7662a1-e42d-4e53-9d66-442a3891ef8c", "8cc613b9-7eff-41d9-a931-b40616bf2cbe"
	var calls []ReplayCall
	for _, trigger := range []string{first, second, first, ""} {
		calls = append(calls, line(t, func(l *Record) {
			if trigger != "" {
				l.Headers["Ory-Webhook-Trigger-Id"] = trigger
			}
		}))
	}
	s := newTarget(t, "403 x")
	for range 2 {
		if _, err := s.replay(t, calls); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, call := range s.got() {
		ids = append(ids, call.trigger)
	}
	if ids[0] != ids[2] || ids[3] != "" || ids[4] != ids[6] || ids[7] != "" {
		t.Errorf("got %q", ids)
	}
	for i, id := range []string{ids[0], ids[1], ids[4], ids[5]} {
		if len(id) != len(first) || id == first || id == second || slices.Contains([]string{ids[0], ids[1], ids[4], ids[5]}[:i], id) {
			t.Errorf("got %q", ids)
		}
	}
}

// TestReplayAtOnce: the replay makes as many calls at once as requested, and no more.
func TestReplayAtOnce(t *testing.T) {
	s := newTarget(t, "403 x")
	calls := make([]ReplayCall, 9)
	s.hold, s.arrived = make(chan struct{}), make(chan struct{}, len(calls))
	for i := range calls {
		calls[i] = line(t, nil)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.replay(t, calls, func(o *ReplayOptions) { o.Concurrency = 3 })
		done <- err
	}()
	for range 3 {
		select {
		case <-s.arrived:
		case <-time.After(time.Minute):
			t.Error("fewer than three calls at once")
		}
	}
	close(s.hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := len(s.got()); n != len(calls) || s.most > 3 {
		t.Errorf("%d calls, %d at once", n, s.most)
	}
}

func TestReplayRate(t *testing.T) {
	s := newTarget(t, "403 x")
	started := time.Now()
	if _, err := s.replay(t, []ReplayCall{line(t, nil), line(t, nil), line(t, nil)}, func(o *ReplayOptions) { o.PerSecond = 20 }); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < 95*time.Millisecond {
		t.Errorf("three calls at 20 a second took %s", took)
	}
}

// TestReplayUnreachable: a replay to an unreachable target ends soon.
func TestReplayUnreachable(t *testing.T) {
	s := newTarget(t, "403 x")
	s.Close()
	calls := make([]ReplayCall, 100)
	for i := range calls {
		calls[i] = line(t, nil)
	}
	results, err := s.replay(t, calls)
	if !errors.Is(err, errNoAnswer) || len(results) != 10 || results[0].Verdict != VerdictFailed {
		t.Errorf("got %d results, %v", len(results), err)
	}
	for _, r := range results {
		if strings.Contains(r.Reason, "canary") {
			t.Errorf("the reason holds a secret: %s", r.Reason)
		}
	}
}

// TestReplayEnds: a canceled context or a failing Restore ends the replay with an error.
func TestReplayEnds(t *testing.T) {
	s := newTarget(t, "403 x")
	broken := errors.New("broken")
	_, err := s.replay(t, []ReplayCall{line(t, nil)}, func(o *ReplayOptions) {
		o.Restore = func(context.Context, ReplayCall) (Login, string, error) {
			return Login{}, "", broken
		}
	})
	if !errors.Is(err, broken) || len(s.got()) != 0 {
		t.Errorf("got %v after %d calls", err, len(s.got()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Replay(ctx, ReplayOptions{
		Target: s.URL, Client: s.Client(), Restore: func(context.Context, ReplayCall) (Login, string, error) {
			return Login{Identifier: "a", Password: secret.New("b")}, "", nil
		},
		Each: func(Result) { cancel() },
	}, all([]ReplayCall{line(t, nil), line(t, nil)}))
	if !errors.Is(err, context.Canceled) || len(s.got()) != 1 {
		t.Errorf("got %v after %d calls", err, len(s.got()))
	}
}
