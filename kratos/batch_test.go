package kratos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/kratos"
	"ferry/outcome"
	"ferry/secret"
)

// dial returns a client of a server with this handler.
func dial(t *testing.T, handler http.HandlerFunc) *kratos.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); srv.Close() })
	return client(t, srv.URL, transport)
}

func client(tb testing.TB, url string, transport http.RoundTripper) *kratos.Client {
	tb.Helper()
	c, err := kratos.New(kratos.Options{
		AdminURL: url, Token: secret.New("token-1"), Timeout: 10 * time.Second, BatchTimeout: 10 * time.Second,
		RetryPause: time.Millisecond, Transport: transport,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// faultOf returns err as a *kratos.Error, or nil if there is no error.
func faultOf(tb testing.TB, err error) *kratos.Error {
	tb.Helper()
	var fault *kratos.Error
	if err != nil && !errors.As(err, &fault) {
		tb.Fatalf("the error is not a *kratos.Error: %v", err)
	}
	return fault
}

// bodies returns n bodies of different users.
func bodies(tb testing.TB, n int) [][]byte {
	tb.Helper()
	var all [][]byte
	for i := range n {
		body, err := kratos.CreateIdentity{SchemaID: "person", Traits: map[string]any{"email": fmt.Sprintf("kim%d@example.org", i)}, Pending: true}.Body()
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, body)
	}
	return all
}

type batchItem = map[string]any

// patchIDs returns the patch ids of a request and checks that it contains the batch.
func patchIDs(tb testing.TB, text []byte, want [][]byte) []string {
	tb.Helper()
	var sent struct {
		Identities []struct {
			Create  json.RawMessage `json:"create"`
			PatchID string          `json:"patch_id"`
		} `json:"identities"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&sent); err != nil || len(sent.Identities) != len(want) {
		tb.Fatalf("sent %s: %v", text, err)
	}
	var ids []string
	for i, one := range sent.Identities {
		if !bytes.Equal(one.Create, want[i]) || uuid.Validate(one.PatchID) != nil || slices.Contains(ids, one.PatchID) {
			tb.Fatalf("sent %s with %q", one.Create, one.PatchID)
		}
		ids = append(ids, one.PatchID)
	}
	return ids
}

// answering is a batch endpoint that answers with these items. An item without a
// patch_id gets that of the request.
func answering(t *testing.T, sent [][]byte, items []batchItem) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPatch || r.URL.Path != "/admin/identities" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer token-1" {
			t.Errorf("asked %s %s, %v", r.Method, r.URL, r.Header)
		}
		for i, patchID := range patchIDs(t, text, sent) {
			if i < len(items) && items[i] != nil && items[i]["patch_id"] == nil {
				items[i]["patch_id"] = patchID
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"identities": items})
	}
}

// recordedItems returns the items of a recorded answer without the patch ids of their
// request.
func recordedItems(t *testing.T, name string) []batchItem {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Response struct {
			Identities []batchItem `json:"identities"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	for _, item := range recorded.Response.Identities {
		delete(item, "patch_id")
	}
	return recorded.Response.Identities
}

// TestRecordedBatches reads answers of a real Kratos.
func TestRecordedBatches(t *testing.T) {
	const taken = "409 Unable to insert or update resource because a resource with that value exists already"
	for name, want := range map[string][]string{
		"v131-batch-partial-failure": {
			"f50bea6e-4912-45ce-b7f0-1438bfd31078", taken, "400 The request was malformed or contained invalid parameters",
			"7a846535-a4c5-412b-9e55-3cfe315b8027", "5bd394fa-b90d-4e1d-a22d-b74755a73b54", taken, "a97108a4-bc15-4417-ba98-84118e82bb36",
		},
		"v262-batch-partial-failure": {
			"20966aaa-6dca-4533-b2ad-1a91e1361e26", taken, "400 I[#/traits/email] S[#/properties/traits/properties/email] validation failed",
			"50b5013d-5ed1-450a-af51-8c206fbb64ef", "525820ff-5213-4bbb-b77c-e93aa6b8f082", taken, "2e2b9dc2-271a-4bd7-bc34-926a635c9004",
		},
		"v131-batch-phantom-create": {"81f3dac8-4604-4b11-b563-ac5b225b4b73", taken},
		"v131-batch-all-duplicates": {taken, taken},
		"v262-batch-all-duplicates": {taken, taken},
	} {
		t.Run(name, func(t *testing.T) {
			items := recordedItems(t, name)
			sent := bodies(t, len(items))
			got, err := dial(t, answering(t, sent, items)).CreateBatch(t.Context(), sent)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%+v, %v", got, err)
			}
			for i, one := range got {
				if said := fmt.Sprintf("%d %s", one.Status, one.Reason); one.ID != want[i] && (one.ID != "" || !strings.HasPrefix(said, want[i])) {
					t.Errorf("%d: %+v, want %s", i, one, want[i])
				}
			}
		})
	}
}

// TestBatchDoubt: an answer that does not match the request is an error after which
// any identity may have been created.
func TestBatchDoubt(t *testing.T) {
	create := func(more ...any) batchItem {
		item := batchItem{"action": "create", "identity": id}
		for i := 0; i < len(more); i += 2 {
			item[more[i].(string)] = more[i+1]
		}
		return item
	}
	for name, items := range map[string][]batchItem{
		"none":               {},
		"fewer":              {create()},
		"more":               {create(), create(), create()},
		"nothing of one":     {create(), nil},
		"another patch id":   {create(), create("patch_id", other)},
		"no patch id":        {create(), create("patch_id", "")},
		"no action":          {create(), create("action", "")},
		"unknown action":     {create(), create("action", "delete")},
		"no id":              {create(), create("identity", nil)},
		"id of no form":      {create(), create("identity", "x")},
		"created with error": {create(), create("error", batchItem{"code": 409})},
		"error without":      {create(), {"action": "error"}},
		"error without code": {create(), {"action": "error", "error": batchItem{"message": "m"}}},
		"error of success":   {create(), {"action": "error", "error": batchItem{"code": 200}}},
		"error with id":      {create(), create("action", "error", "error", batchItem{"code": 409})},
		"code as text":       {create(), {"action": "error", "error": batchItem{"code": "409"}}},
	} {
		t.Run(name, func(t *testing.T) {
			sent := bodies(t, 2)
			got, err := dial(t, answering(t, sent, items)).CreateBatch(t.Context(), sent)
			if fault := faultOf(t, err); fault == nil || got != nil || fault.Outcome != outcome.InvalidResponse || fault.Final() {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestBatchRefused: the error of a request that was refused as a whole.
func TestBatchRefused(t *testing.T) {
	const duplicate = `{"error":{"code":409,"status":"Conflict","message":"exists already"}}`
	long := strings.Repeat("kim ", 74) + "kimß" // the 300th byte is in the middle of the last letter
	for name, c := range map[string]struct {
		status int
		body   string
		want   outcome.Outcome
		said   string
	}{
		"unknown field":        {400, `{"error":{"code":500,"message":"json: unknown field \"external_id\""}}`, outcome.InvalidResponse, `json: unknown field "external_id"`},
		"reason":               {400, `{"error":{"code":400,"reason":"identity state is not valid","message":"malformed"}}`, outcome.InvalidResponse, "identity state is not valid"},
		"long":                 {400, `{"error":{"reason":"` + long + `"}}`, outcome.InvalidResponse, long[:299]},
		"conflict of several":  {409, duplicate, outcome.InvalidResponse, "exists already"},
		"not JSON":             {413, `<html>`, outcome.InvalidResponse, ""},
		"wrong token":          {401, `{}`, outcome.Misconfigured, ""},
		"elsewhere":            {307, ``, outcome.Unavailable, ""},
		"not there":            {404, `404 page not found`, outcome.Unavailable, ""},
		"too many requests":    {429, ``, outcome.Unavailable, ""},
		"a proxy's patience":   {408, ``, outcome.InvalidResponse, ""},
		"a proxy's caller":     {499, ``, outcome.InvalidResponse, ""},
		"fault":                {500, `{"error":{"message":"kim"}}`, outcome.Unavailable, "kim"},
		"gateway":              {504, ``, outcome.Unavailable, ""},
		"no answer to a batch": {200, `<html>`, outcome.InvalidResponse, ""},
		"created, one":         {201, `{}`, outcome.InvalidResponse, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := client.CreateBatch(t.Context(), bodies(t, 2))
			fault := faultOf(t, err)
			if fault == nil || fault.Outcome != c.want || fault.Status != c.status || fault.Said != c.said {
				t.Fatalf("%+v", fault)
			}
			if c.said != "" && strings.Contains(err.Error(), c.said) {
				t.Errorf("the error's text says what Kratos said: %v", err)
			}
		})
	}
}

// TestBatchOfOneDuplicate: Kratos answers 409 for the whole request if the only
// identity conflicts.
func TestBatchOfOneDuplicate(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":409,"status":"Conflict","message":"exists already"}}`: "[{ID: Status:409 Reason:exists already Vague:false}] <nil>",
		`<html>`: "[] kratos: garbled (unknown_answer, status 409)", // from a proxy
	} {
		client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, body)
		})
		got, err := client.CreateBatch(t.Context(), bodies(t, 1))
		if text := fmt.Sprintf("%+v %v", got, err); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}

// TestInvalidBatch: a body that Kratos could read as something else is not sent.
func TestInvalidBatch(t *testing.T) {
	client := dial(t, func(http.ResponseWriter, *http.Request) { t.Error("Kratos was asked") })
	if got, err := client.CreateBatch(t.Context(), nil); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for name, sent := range map[string][][]byte{
		"too many":      bodies(t, kratos.MaxBatch+1),
		"empty":         {[]byte(``)},
		"not an object": {[]byte(`[]`)},
		"truncated":     {[]byte(`{"traits":{}`)},
		"two":           {[]byte(`{"traits":{}},{}`)},
		"breaking out":  {[]byte(`{}},{"create":{}`)},
	} {
		_, err := client.CreateBatch(t.Context(), sent)
		if fault := faultOf(t, err); fault == nil || fault.Status != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBatchWithoutAnswer: the error says why there is no answer.
func TestBatchWithoutAnswer(t *testing.T) {
	check := func(c *kratos.Client, ctx context.Context, reason string) {
		t.Helper()
		_, err := c.CreateBatch(ctx, bodies(t, 2))
		if fault := faultOf(t, err); fault == nil || fault.Outcome != outcome.Unavailable || fault.Status != 0 || fault.Reason != reason {
			t.Errorf("%v, want %s", err, reason)
		}
	}
	broken := dial(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	check(broken, t.Context(), "connection_lost")
	cut := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"identities":[`)
	})
	check(cut, t.Context(), "connection_lost")

	release := make(chan struct{})
	slow := dial(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	check(slow, ctx, "timeout")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	check(slow, ctx, "caller_gone")

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	check(client(t, gone.URL, transport), t.Context(), "unreachable")
}

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(status int, header http.Header, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body))}
}

// FuzzBatchAnswer: for any answer, each identity is either created or refused, or
// there is an error; its text quotes nothing.
func FuzzBatchAnswer(f *testing.F) {
	f.Add(200, `{"identities":[{"action":"create","identity":"`+id+`","patch_id":"P0"},{"action":"error","patch_id":"P1","error":{"code":409,"message":"m"}}]}`)
	f.Add(200, `{"identities":[{"action":"create","identity":"`+id+`","patch_id":"P1"},null]}`)
	f.Add(400, `{"error":{"code":500,"message":"json: unknown field \"external_id\""}}`)
	f.Add(502, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		sent := bodies(t, 2)
		c := client(t, "http://kratos.invalid", roundTrip(func(r *http.Request) (*http.Response, error) {
			text, _ := io.ReadAll(r.Body)
			asked := patchIDs(t, text, sent)
			body = strings.NewReplacer("P0", asked[0], "P1", asked[1]).Replace(body)
			return respond(100+(status&0x7fff)%500, http.Header{}, []byte(body)), nil
		}))
		got, err := c.CreateBatch(t.Context(), sent)
		if fault := faultOf(t, err); fault != nil {
			if got != nil || fault.Outcome == outcome.Match || len(fault.Said) > 300 || len(err.Error()) > 100 {
				t.Fatalf("%v, %v", got, err)
			}
			return
		}
		if len(got) != len(sent) {
			t.Fatalf("%d results", len(got))
		}
		for _, one := range got {
			if (one.ID == "") != (one.Status >= 400) || one.ID != "" && (one.Status != 0 || one.Reason != "") || len(one.Reason) > 300 {
				t.Fatalf("%+v", one)
			}
		}
	})
}

// TestCreateOne: a single request creates an identity, or says why Kratos refuses it.
func TestCreateOne(t *testing.T) {
	const made = `{"id":"0b7a7a1c-6f0e-4a52-8f4d-0d9e6a5a5b11","traits":{}}`
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"created":   {http.StatusCreated, made, "{ID:0b7a7a1c-6f0e-4a52-8f4d-0d9e6a5a5b11 Status:0 Reason: Vague:false} <nil>"},
		"refused":   {http.StatusBadRequest, `{"error":{"code":400,"message":"malformed","reason":"the phone is none"}}`, "{ID: Status:400 Reason:the phone is none Vague:false} <nil>"},
		"conflicts": {http.StatusConflict, `{"error":{"code":409,"message":"exists"}}`, "{ID: Status:409 Reason:exists Vague:false} <nil>"},
		"no id":     {http.StatusCreated, `{}`, "{ID: Status:0 Reason: Vague:false} kratos: garbled (identity_id, status 200)"},
		"200":       {http.StatusOK, made, "{ID: Status:0 Reason: Vague:false} kratos: garbled (unknown_answer, status 200)"},
		"broken":    {http.StatusInternalServerError, ``, "{ID: Status:0 Reason: Vague:false} kratos: unavailable (server_fault, status 500)"},
	} {
		client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		got, err := client.CreateOne(t.Context(), bodies(t, 1)[0])
		if text := fmt.Sprintf("%+v %v", got, err); text != c.want {
			t.Errorf("%s: got %s, want %s", name, text, c.want)
		}
	}
}
