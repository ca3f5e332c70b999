package hook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ferry/hook"
	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/outcome"
	"ferry/provenance"
	"ferry/secret"
	"ferry/state"
	"ferry/wire"
)

const schemaText = `{"$id":"https://example/p","$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"traits":{"type":"object","properties":{
	"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true}},"verification":{"via":"email"},"recovery":{"via":"email"}}},
	"given_name":{"type":"string"},"family_name":{"type":"string"}},"additionalProperties":false}}}`

// fakeRecords is Kratos' admin API with one identity: alice, migrated.
type fakeRecords struct {
	mu      sync.Mutex
	record  kratos.Record
	reads   int
	patches [][]jsonpatch.Op
	errs    []error // the errors of the next patches
	read    func()
	hangs   bool // the first read blocks
	// meanwhile changes the record between a read and the patch
	meanwhile func(*kratos.Record)
}

func newRecords() *fakeRecords {
	return &fakeRecords{record: kratos.Record{
		Identity: kratos.Identity{ID: aliceID, Active: true, Binding: provenance.Binding{Subjects: []string{aliceSub}}},
		SchemaID: "person", Traits: map[string]any{"email": stored}, HasPassword: true,
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": aliceSub}},
		Addresses:     []kratos.Address{{Value: stored, Via: "email"}},
		AddressesJSON: json.RawMessage(`[{"id":"1","value":"` + stored + `","via":"email","verified":true,"status":"completed"}]`),
	}}
}

func (r *fakeRecords) Read(ctx context.Context, _ string) (kratos.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if r.hangs && r.reads == 1 {
		<-ctx.Done()
		return kratos.Record{}, &kratos.Error{Outcome: outcome.Unavailable, Reason: "timeout"}
	}
	if r.read != nil {
		r.read()
	}
	return r.record, nil
}

func (r *fakeRecords) Patch(_ context.Context, _ string, ops []jsonpatch.Op) (kratos.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patches = append(r.patches, ops)
	if len(r.errs) > 0 {
		err := r.errs[0]
		r.errs = r.errs[1:]
		return kratos.Record{}, err
	}
	if r.meanwhile != nil {
		r.meanwhile(&r.record)
	}
	after := r.record
	after.Traits = map[string]any{"email": stored}
	for _, op := range ops {
		if name, ok := strings.CutPrefix(op.Path, "/traits/"); ok {
			after.Traits[name] = op.Value
		}
	}
	r.record = after
	return after, nil
}

func (r *fakeRecords) Schema(context.Context, string) ([]byte, error) { return []byte(schemaText), nil }

func (r *fakeRecords) patched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.patches)
}

// withProfile is alice with a profile at Auth0 that has her names.
func withProfile() *fakes {
	f := alice()
	f.profile.Claims = fmt.Sprintf(`{"sub":%q,"email":%q,"email_verified":true,"given_name":"Alice","family_name":"Canary"}`, aliceSub, stored)
	return f
}

func (h *harness) afterLogin(t *testing.T, body string, change ...func(*http.Request)) answer {
	t.Helper()
	return h.post(t, body, append(change, func(r *http.Request) { r.URL.Path = wire.AfterLoginPath })...)
}

// silent reports whether the answer is 204 without a body.
func (a answer) silent() bool {
	return a.status == http.StatusNoContent && a.body == "" && a.header.Get("Content-Type") == ""
}

// parsed turns a body into that of a Kratos that parses the answer.
func parsed(body string) string {
	return strings.TrimSuffix(body, "}") + `,"response":"parse"}`
}

func afterLoginBody(flow string) string {
	return `{"identity":{"id":"` + aliceID + `","external_id":null,"schema_id":"person","state":"active"},"flow":{"id":"` + flow + `","type":"api"},"client":{"ip":null,"user_agent":"x"}}`
}

// TestProfileIsWritten: after a match, the after-login hook writes the profile, once.
func TestProfileIsWritten(t *testing.T) {
	f := withProfile()
	h := start(t, f)
	if got := h.afterLogin(t, afterLoginBody("f-0")); !got.silent() || f.records.reads != 0 {
		t.Fatalf("before anything matched: %+v, %d reads", got, f.records.reads)
	}
	if got := h.post(t, login()); got.body != matched {
		t.Fatalf("%+v", got)
	}
	if f.records.reads+f.records.patched() != 0 {
		t.Fatal("the migration hook touched the identity")
	}
	got := h.afterLogin(t, parsed(afterLoginBody("f-1")))
	var shown struct {
		Identity struct {
			Traits    map[string]string
			Addresses []kratos.Address `json:"verifiable_addresses"`
		}
	}
	if err := json.Unmarshal([]byte(got.body), &shown); err != nil || got.status != http.StatusOK || shown.Identity.Traits["given_name"] != "Alice" ||
		len(shown.Identity.Addresses) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if f.records.patched() != 1 {
		t.Fatalf("%d patches", f.records.patched())
	}
	paths := map[string]any{}
	for _, op := range f.records.patches[0] {
		paths[op.Path] = op.Value
	}
	if paths["/traits/family_name"] != "Canary" || paths["/verifiable_addresses/0/verified"] != true || paths["/metadata_admin/auth0/ferry"] != "v-test" || paths["/metadata_admin/auth0/migrated_at"] == nil {
		t.Errorf("patched %v", paths)
	}
	if got := h.afterLogin(t, afterLoginBody("f-1")); !got.silent() || f.records.patched() != 1 {
		t.Errorf("again: %+v, %d patches", got, f.records.patched())
	}
	if log := h.log.String(); !strings.Contains(log, `"msg":"migrated"`) || strings.Contains(log, "Canary") {
		t.Errorf("the log: %s", log)
	}
}

// TestOddNumbers: numbers of the profile are written digit for digit, even if no
// float64 can hold them.
func TestOddNumbers(t *testing.T) {
	f := withProfile()
	f.profile.Claims = strings.TrimSuffix(f.profile.Claims, "}") + `,"https://x/huge":-1e400,"app_metadata":{"id":9007199254740993,"huge":1e400}}`
	h := start(t, f)
	h.post(t, login())
	h.afterLogin(t, afterLoginBody("f"))
	if f.records.patched() != 1 {
		t.Fatalf("the log: %s", h.logged())
	}
	ops, err := json.Marshal(f.records.patches[0])
	if err != nil || !strings.Contains(string(ops), `{"huge":1e400,"id":9007199254740993}`) || !strings.Contains(string(ops), "given_name") {
		t.Errorf("patched %s, %v", ops, err)
	}
}

// TestAnotherFlow: with Kratos 25.4 and later, a profile is written only by the flow
// that matched.
func TestAnotherFlow(t *testing.T) {
	f := withProfile()
	h := start(t, f)
	h.post(t, `{"identifier":"alice","password":"x","flow":{"id":"f-1"}}`)
	if got := h.afterLogin(t, afterLoginBody("f-2")); !got.silent() || f.records.patched() != 0 {
		t.Errorf("another flow: %+v", got)
	}
	if h.afterLogin(t, afterLoginBody("f-1")); f.records.patched() != 1 {
		t.Error("the flow that matched wrote nothing")
	}
}

// TestAfterLoginNeverFails: whatever goes wrong, the answer is the same as after
// success, in both modes of Kratos. A wrong key is the only exception.
func TestAfterLoginNeverFails(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		fakes  func(*fakes)
	}{
		"empty":          {"", nil, nil},
		"not JSON":       {"x", nil, nil},
		"no identity":    {`{}`, nil, nil},
		"wrong types":    {`{"identity":7}`, nil, nil},
		"a form":         {"a=b", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, nil},
		"endless":        {`{"x":"` + strings.Repeat("x", 2<<20) + `"}`, nil, nil},
		"refused":        {afterLoginBody("f"), nil, func(f *fakes) { f.records.errs = []error{&kratos.Error{Status: 409, Outcome: outcome.InvalidResponse}} }},
		"a panic":        {afterLoginBody("f"), nil, func(f *fakes) { f.records.read = func() { panic(canary) } }},
		"kratos down":    {afterLoginBody("f"), nil, func(f *fakes) { f.records.errs = []error{&kratos.Error{Status: 503, Outcome: outcome.Unavailable}} }},
		"still pending":  {afterLoginBody("f"), nil, func(f *fakes) { f.records.record.Pending = true }},
		"rebound":        {afterLoginBody("f"), nil, func(f *fakes) { f.records.record.Binding.Subjects = []string{"auth0|bob"} }},
		"invalid claims": {afterLoginBody("f"), nil, func(f *fakes) { f.profile.Claims = "x" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := withProfile()
			if c.fakes != nil {
				c.fakes(f)
			}
			h := start(t, f)
			h.post(t, login())
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			got := h.afterLogin(t, c.body, change)
			if !got.silent() {
				t.Errorf("%+v", got)
			}
			if strings.Contains(h.logged(), canary) || strings.Contains(h.logged(), "Alice") {
				t.Errorf("the log: %s", h.logged())
			}
		})
	}
	h := start(t, withProfile())
	if got := h.afterLogin(t, afterLoginBody("f"), func(r *http.Request) { r.Header.Del("Authorization") }); got.status != http.StatusUnauthorized || got.body != "" || got.header.Get("Content-Length") != "0" {
		t.Errorf("without the key: %+v", got)
	}
}

// TestNotMigrated: a profile is not written into an identity that is pending, has no password or
// is bound to another user, and that is no migration.
func TestNotMigrated(t *testing.T) {
	for name, change := range map[string]func(*kratos.Record){
		"pending":     func(r *kratos.Record) { r.Pending, r.HasPassword = true, false },
		"no password": func(r *kratos.Record) { r.HasPassword = false },
		"rebound":     func(r *kratos.Record) { r.Binding.Subjects = []string{"auth0|bob"} },
	} {
		f := withProfile()
		change(&f.records.record)
		h := start(t, f)
		h.post(t, login())
		h.afterLogin(t, afterLoginBody("f"))
		h.drain(t)
		if f.records.reads != 1 || f.records.patched() != 0 || strings.Contains(h.logged(), `"msg":"migrated"`) || !strings.Contains(h.logged(), `"msg":"profile not written"`) {
			t.Errorf("%s: %d reads, %d patches, %s", name, f.records.reads, f.records.patched(), h.logged())
		}
	}
}

// TestNothingLost: a temporary error is retried with a fresh read. A permanent one is
// logged in one line, which reconcile uses.
func TestNothingLost(t *testing.T) {
	f := withProfile()
	f.records.errs = []error{&kratos.Error{Status: 503, Outcome: outcome.Unavailable}, &kratos.Error{Outcome: outcome.Unavailable, Reason: "timeout"}}
	h := start(t, f)
	h.post(t, login())
	h.afterLogin(t, afterLoginBody("f"))
	h.drain(t)
	if f.records.patched() < 2 || f.records.reads < 2 {
		t.Errorf("%d patches, %d reads", f.records.patched(), f.records.reads)
	}
	if !strings.Contains(h.logged(), `"msg":"profile not written","identity_id":"`+aliceID+`","subject_hash":"`+hook.Hash(secret.New("log-hash-key"), aliceSub)+`"`) {
		t.Errorf("the log: %s", h.logged())
	}
}

// TestTriedAgain: the second try succeeds before ferry stops.
func TestTriedAgain(t *testing.T) {
	f := withProfile()
	f.records.errs = []error{&kratos.Error{Status: 503, Outcome: outcome.Unavailable}}
	h := start(t, f)
	h.post(t, login())
	h.afterLogin(t, afterLoginBody("f"))
	wait(t, func() bool { return f.records.patched() == 2 })
	h.drain(t)
	if strings.Contains(h.logged(), `"profile not written"`) || !strings.Contains(h.logged(), `"msg":"migrated"`) {
		t.Errorf("the log: %s", h.logged())
	}
}

// TestKratosHangs: the login is answered although Kratos hangs, and the profile is
// written later.
func TestKratosHangs(t *testing.T) {
	f := withProfile()
	f.records.hangs = true
	h := start(t, f)
	h.post(t, login())
	if got := h.afterLogin(t, afterLoginBody("f")); !got.silent() {
		t.Errorf("%+v", got)
	}
	h.drain(t)
	if f.records.patched() != 1 {
		t.Errorf("%d patches", f.records.patched())
	}
}

// TestPasswordChangedMeanwhile: a password change during the write is logged, because
// Kratos' patch may have reverted it.
func TestPasswordChangedMeanwhile(t *testing.T) {
	f := withProfile()
	f.records.meanwhile = func(r *kratos.Record) { r.PasswordDigest[0]++ }
	h := start(t, f)
	h.post(t, login())
	h.afterLogin(t, afterLoginBody("f"))
	if !strings.Contains(h.logged(), "password changed while the profile was written") {
		t.Errorf("the log: %s", h.logged())
	}
}

// lossy is a store that fails to keep profiles.
type lossy struct{ *state.Memory }

func (lossy) Put(context.Context, state.Handoff) error { return io.ErrClosedPipe }
func (lossy) Lease(context.Context, string, string) (state.Lease, bool, error) {
	return state.Lease{}, false, io.ErrClosedPipe
}

// TestStateDown: logins still succeed when the store fails, and a metric counts the
// failures.
func TestStateDown(t *testing.T) {
	f := withProfile()
	h := start(t, f, func(o *hook.Options) { o.Store = lossy{state.NewMemory(state.Options{})} })
	if got := h.post(t, login()); got.body != matched {
		t.Errorf("%+v", got)
	}
	if got := h.afterLogin(t, afterLoginBody("f")); !got.silent() {
		t.Errorf("%+v", got)
	}
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0.0
	for _, family := range families {
		if family.GetName() == "ferry_state_faults_total" {
			for _, m := range family.GetMetric() {
				counted += m.GetCounter().GetValue()
			}
		}
	}
	if counted != 2 {
		t.Errorf("%v state faults counted", counted)
	}
}

// BenchmarkAfterLogin measures the after-login hook when no profile is waiting, as in
// every login of a migrated user, next to an echo handler that does nothing.
func BenchmarkAfterLogin(b *testing.B) {
	b.Run("nothing kept", func(b *testing.B) { benchAfterLogin(b, ferryHandler(b, "http://127.0.0.1:9"), wire.AfterLoginPath) })
	b.Run("empty echo handler", func(b *testing.B) {
		e := emptyEcho()
		benchAfterLogin(b, e, wire.AfterLoginPath)
	})
}

func benchAfterLogin(b *testing.B, handler http.Handler, path string) {
	b.Helper()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	body := afterLoginBody("b0c1a2c8-3b0e-4d8e-8b0a-0a1b2c3d4e5f")
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, srv.URL+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}
