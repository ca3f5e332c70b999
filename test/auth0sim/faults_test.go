package auth0sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

const formType = "application/x-www-form-urlencoded"

// setFault sets a fault in a test.
func setFault(t *testing.T, sim *auth0sim.Server, f auth0sim.Fault) int {
	t.Helper()
	id, err := sim.SetFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestFaultsAreListed(t *testing.T) {
	t.Parallel()
	all := auth0sim.Faults()
	sorted := slices.Sorted(slices.Values(all))
	if len(slices.Compact(sorted)) != len(all) {
		t.Error("a fault is listed twice")
	}
	if got := auth0sim.FaultsOf("x"); got != nil {
		t.Errorf("got %v of no kind", got)
	}
}

// transportCase is how a fault of the transport shows.
type transportCase struct {
	delay    time.Duration
	broken   error // nil: an answer comes
	attempts int
	outcome  string
}

func TestTransportFaults(t *testing.T) {
	t.Parallel()
	tests := map[auth0sim.FaultName]transportCase{
		auth0sim.FaultLatency:            {time.Millisecond, nil, 1, "success"},
		auth0sim.FaultSlowBytes:          {time.Microsecond, nil, 1, "success"},
		auth0sim.FaultHang:               {time.Millisecond, syscall.ECONNRESET, 1, "hang"},
		auth0sim.FaultResetBeforeRequest: {0, syscall.ECONNRESET, 0, ""},
		auth0sim.FaultResetAfterRequest:  {0, syscall.ECONNRESET, 1, "success"},
		auth0sim.FaultResetInBody:        {0, syscall.ECONNRESET, 1, "success"},
		auth0sim.FaultCloseAfterRequest:  {0, io.EOF, 1, "success"},
	}
	for _, name := range auth0sim.FaultsOf(auth0sim.KindTransport) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			tt, ok := tests[name]
			if !ok {
				t.Fatal("no expectation")
			}
			tt.check(t, name)
		})
	}
}

func (tt transportCase) check(t *testing.T, name auth0sim.FaultName) {
	t.Helper()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: name, Delay: tt.delay, Times: 1})
	got, err := try(t.Context(), newClient(t), http.MethodPost, sim.URL()+auth0sim.PathToken, formType, realmForm().Encode(), nil)
	if !errors.Is(err, tt.broken) {
		t.Errorf("got error %v, want %v", err, tt.broken)
	}
	if tt.broken == nil {
		mustTokens(t, got)
	}
	requests := sim.Requests()
	if len(requests) != tt.attempts || sim.Attempts(auth0sim.DemoAdaID) != tt.attempts ||
		sim.PathRequests(auth0sim.PathToken) != 1 {
		t.Errorf("got counters %+v and journal %+v", sim.Counters(), requests)
	}
	if tt.attempts == 1 && requests[0].Outcome != tt.outcome {
		t.Errorf("got outcome %q, want %q", requests[0].Outcome, tt.outcome)
	}
	mustTokens(t, post(t, sim, realmForm()))
}

func TestHangEndsWithTheClient(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultHang})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	client := newClient(t)
	go func() {
		_, err := try(ctx, client, http.MethodPost, sim.URL()+auth0sim.PathToken, formType, realmForm().Encode(), nil)
		failed <- err
	}()
	if err := sim.WaitForRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if err := sim.WaitForRequests(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestCloseEndsHangs(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Minute})
	failed := make(chan error, 1)
	client := newClient(t)
	go func() {
		_, err := try(t.Context(), client, http.MethodPost, sim.URL()+auth0sim.PathToken, formType, realmForm().Encode(), nil)
		failed <- err
	}()
	if err := sim.WaitForRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sim.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := <-failed; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	if err := sim.Start("127.0.0.1:0"); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v, want closed", err)
	}
	if sim.URL() != "" {
		t.Errorf("got URL %q of a closed server", sim.URL())
	}
}

func TestStartTwice(t *testing.T) {
	t.Parallel()
	sim := start(t)
	want := "auth0sim: listen on 127.0.0.1:0: already listening on " + sim.URL()
	if err := sim.Start("127.0.0.1:0"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFaultsHoldForWhom(t *testing.T) {
	t.Parallel()
	forms := []url.Values{realmForm(), realmForm("username", "grace", "password", "nanoseconds-are-this-long")}
	tests := map[string]struct {
		fault    auth0sim.Fault
		statuses []int // of ada, grace, ada, grace
	}{
		"everybody":             {auth0sim.Fault{}, []int{503, 503, 503, 503}},
		"the next two":          {auth0sim.Fault{Times: 2}, []int{503, 503, 200, 200}},
		"a user":                {auth0sim.Fault{User: auth0sim.DemoAdaID}, []int{503, 200, 503, 200}},
		"a username":            {auth0sim.Fault{User: "GRACE"}, []int{200, 503, 200, 503}},
		"a user's next":         {auth0sim.Fault{User: auth0sim.DemoGraceID, Times: 1}, []int{200, 503, 200, 200}},
		"another path":          {auth0sim.Fault{Path: auth0sim.PathUserinfo}, []int{200, 200, 200, 200}},
		"every path":            {auth0sim.Fault{Path: auth0sim.AnyPath}, []int{503, 503, 503, 503}},
		"the path, named":       {auth0sim.Fault{Path: auth0sim.PathToken, Times: 3}, []int{503, 503, 503, 200}},
		"the redirect's target": {auth0sim.Fault{Path: auth0sim.PathRedirected}, []int{200, 200, 200, 200}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := start(t)
			tt.fault.Name = auth0sim.FaultUnavailable
			setFault(t, sim, tt.fault)
			for i, status := range tt.statuses {
				if got := post(t, sim, forms[i%2]); got.status != status {
					t.Errorf("request %d: got %d, want %d", i, got.status, status)
				}
			}
		})
	}
}

func TestClearFault(t *testing.T) {
	t.Parallel()
	sim := start(t)
	id := setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultUnavailable})
	if err := sim.ClearFault(id); err != nil {
		t.Fatal(err)
	}
	mustTokens(t, post(t, sim, realmForm()))
	if err := sim.ClearFault(id); !errors.Is(err, auth0sim.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestResetOfOneUser(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultResetBeforeRequest, User: "grace"})
	mustTokens(t, post(t, sim, realmForm()))
	_, err := try(t.Context(), newClient(t), http.MethodPost, sim.URL()+auth0sim.PathToken, formType,
		realmForm("username", "grace").Encode(), nil)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	sim.ClearFaults()
	mustTokens(t, post(t, sim, realmForm()))
}

// TestLatencyEnds with the fault, long before its time.
func TestLatencyEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*auth0sim.Server, int) error{
		"one": (*auth0sim.Server).ClearFault,
		"all": func(s *auth0sim.Server, _ int) error { s.ClearFaults(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := start(t)
			id, err := sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: 4 * time.Minute, Times: 1})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- errors.Join(sim.WaitForRequests(t.Context(), 1), end(sim, id)) }()
			mustTokens(t, post(t, sim, realmForm()))
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFaultsTogether(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Millisecond})
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultGlobalLimit})
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultWrongMediaType})
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultCutJSON})
	got := post(t, sim, realmForm())
	want(t, got, 500, globalLimitBody[:len(globalLimitBody)/2])
	if got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("got headers %v", got.header)
	}
	entry := sim.Requests()[0]
	if entry.Outcome != "global_limit" || len(entry.Faults) != 4 {
		t.Errorf("got %+v", entry)
	}
}

func TestFaultsAreChecked(t *testing.T) {
	t.Parallel()
	sim := start(t)
	tests := map[string]struct {
		fault auth0sim.Fault
		want  string
	}{
		"unknown": {auth0sim.Fault{Name: "x"}, `unknown fault "x"`},
		"times":   {auth0sim.Fault{Name: auth0sim.FaultHang, Times: -1}, `fault hang: times and size cannot be negative`},
		"delay":   {auth0sim.Fault{Name: auth0sim.FaultHang, Delay: time.Hour}, `fault hang: delay 1h0m0s: want 0 to 4m0s`},
		"status":  {auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: 100}, `fault answer: status 100: want 200 to 599`},
		"nothing": {auth0sim.Fault{Name: auth0sim.FaultAnswer}, `fault answer: want answer or status`},
		"no row":  {auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: "x"}, `fault answer: unknown answer "x"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := sim.SetFault(tt.fault); err == nil || err.Error() != "auth0sim: "+tt.want {
				t.Errorf("got %v, want auth0sim: %s", err, tt.want)
			}
		})
	}
}

func TestFaultJSON(t *testing.T) {
	t.Parallel()
	fault := auth0sim.Fault{
		Name: auth0sim.FaultAnswer, Path: "*", User: "u", Times: 2, Delay: 1500 * time.Millisecond,
		Status: 418, Headers: map[string]string{"A": "b"}, Body: "{}", Size: 3, Value: "v",
	}
	raw, err := json.Marshal(fault)
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"name":"answer","path":"*","user":"u","times":2,"status":418,"headers":{"A":"b"},"body":"{}","size":3,"value":"v","delay":"1.5s"}`
	if string(raw) != text {
		t.Errorf("got %s\nwant %s", raw, text)
	}
	var back auth0sim.Fault
	if err := json.Unmarshal(raw, &back); err != nil || back.Delay != fault.Delay || back.Name != fault.Name {
		t.Errorf("got %+v, %v", back, err)
	}
	for _, bad := range []string{`{"nam":"x"}`, `{"name":"hang","delay":"x"}`, `{"name":"hang","delay":1}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil || !strings.Contains(err.Error(), "fault: ") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}
