// Package bulktest has what the tests of the bulk packages share: a fake of Kratos'
// admin API with configurable faults, users and files to import, and a silent progress
// reporter. The fake fails the test on a request that the real API would not accept.
package bulktest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/kratos"
)

// Fault is how the fake misbehaves for a request.
type Fault = int

// The faults.
const (
	Well       Fault = iota // none
	Drops                   // breaks the connection without applying the request
	Hangs                   // neither applies nor answers the request
	Late                    // applies the request, then hangs
	Lost                    // applies the request, then breaks the connection
	Crashes                 // applies the request, then answers 500
	Refuses500              // does not apply the request
	Refuses503              // does not apply the request
	Refuses429              // does not apply the request
	Refuses403              // does not apply the request
	Misreads                // applies the request, then answers {}
	Plain404                // answers 404 as a proxy would
	Plain409                // answers 409 as a proxy would
	UnknownID               // answers that external_id is unknown
)

// Kratos is a fake of the part of the admin API that bulk uses. Identities conflict by
// identifier, address, social login and external id.
type Kratos struct {
	// V131 makes it behave as Kratos 1.3.1: see batch.
	V131 bool
	// Next makes it behave as the release after 26.2 does, by Kratos' source and Ory's
	// documentation: it imports second factors and passkeys.
	Next bool
	// Page is the maximum number of identities per page; 0 means as many as requested.
	Page int
	// On returns the fault of the nth request, from 1, of its kind: batch, create, page,
	// find, ids, read, patch, put, sessions, delete or unlink. Nil means no faults.
	On func(kind string, n int) Fault
	// Meanwhile is called after a patch or put was applied, with the identity.
	Meanwhile func(*Identity)

	t     testing.TB
	url   string
	asked map[string]int // requests by kind

	// Mu guards On and the fields below.
	Mu      sync.Mutex
	People  map[string]*Identity // by id
	Batches []int                // their sizes
	Bodies  []string             // of the identities that were created
	Patches []string             // operations and paths
}

// NewKratos starts a fake without identities. It ends with the test.
func NewKratos(tb testing.TB) *Kratos {
	tb.Helper()
	f := &Kratos{t: tb, People: map[string]*Identity{}, asked: map[string]int{}}
	srv := httptest.NewServer(f)
	tb.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// Client returns a client of the fake.
func (f *Kratos) Client() *kratos.Client { return f.client(10 * time.Second) }

// Impatient returns a client with a short timeout for batches.
func (f *Kratos) Impatient() *kratos.Client { return f.client(500 * time.Millisecond) }

func (f *Kratos) client(batchTimeout time.Duration) *kratos.Client {
	f.t.Helper()
	transport := &http.Transport{}
	f.t.Cleanup(transport.CloseIdleConnections)
	c, err := kratos.New(kratos.Options{
		AdminURL: f.url, Timeout: 10 * time.Second, BatchTimeout: batchTimeout, RetryPause: time.Millisecond, Transport: transport,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// Add adds an identity, derives what Kratos derives from its traits, and returns its id.
func (f *Kratos) Add(p Identity) string {
	f.t.Helper()
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	if p.State == "" {
		p.State = "active"
	}
	p.derive()
	f.People[p.ID] = &p
	return p.ID
}

// All returns the identities sorted by id.
func (f *Kratos) All() []Identity {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	var people []Identity
	for _, id := range slices.Sorted(maps.Keys(f.People)) {
		people = append(people, *f.People[id])
	}
	return people
}

// Of returns the only identity of an Auth0 user.
func (f *Kratos) Of(userID string) Identity {
	f.t.Helper()
	var found []Identity
	for _, p := range f.All() {
		if p.UserID() == userID {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		f.t.Fatalf("%d identities of %s, want one", len(found), userID)
	}
	return found[0]
}

// Text returns an identity as JSON.
func (f *Kratos) Text(id string) string {
	f.t.Helper()
	f.Mu.Lock()
	defer f.Mu.Unlock()
	p := f.People[id]
	if p == nil {
		f.t.Fatalf("there is no identity %s", id)
	}
	text, err := json.Marshal(p)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// Count returns the number of requests of a kind.
func (f *Kratos) Count(kind string) int {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return f.asked[kind]
}

// ServeHTTP implements http.Handler.
func (f *Kratos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/admin/identities/")
	query := r.URL.Query()
	kind := ""
	switch {
	case r.URL.Path == "/admin/identities" && r.Method == http.MethodPatch:
		kind = "batch"
	case r.URL.Path == "/admin/identities" && r.Method == http.MethodPost:
		kind = "create"
	case r.URL.Path == "/admin/identities" && r.Method == http.MethodGet && query.Has("credentials_identifier"):
		kind = "find"
	case r.URL.Path == "/admin/identities" && r.Method == http.MethodGet && query.Has("ids"):
		kind = "ids"
	case r.URL.Path == "/admin/identities" && r.Method == http.MethodGet:
		kind = "page"
	case uuid.Validate(id) == nil && r.Method == http.MethodGet:
		kind = "read"
	case uuid.Validate(id) == nil && r.Method == http.MethodPatch:
		kind = "patch"
	case uuid.Validate(id) == nil && r.Method == http.MethodPut:
		kind = "put"
	case uuid.Validate(id) == nil && r.Method == http.MethodDelete:
		kind = "delete"
	case r.Method == http.MethodGet && strings.HasSuffix(id, "/sessions"):
		kind, id = "sessions", strings.TrimSuffix(id, "/sessions")
	case r.Method == http.MethodDelete && strings.HasSuffix(id, "/credentials/oidc"):
		kind, id = "unlink", strings.TrimSuffix(id, "/credentials/oidc")
	case strings.HasPrefix(r.URL.Path, "/admin/"): // others are of tests that had this port before
		f.t.Errorf("Kratos has no such route: %s %s", r.Method, r.URL)
	}
	f.Mu.Lock()
	f.asked[kind]++
	n, on := f.asked[kind], f.On
	f.Mu.Unlock()
	wrong := Well
	if on != nil {
		wrong = on(kind, n)
	}
	if f.breaks(w, r, wrong) {
		return
	}
	status, answer := f.do(w, kind, id, query, body)
	switch wrong {
	case Late:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Lost:
		panic(http.ErrAbortHandler)
	case Crashes:
		status, answer = said(http.StatusInternalServerError, "server error")
	case Misreads:
		answer = struct{}{}
	default:
	}
	writeAnswer(w, status, answer)
}

// EndFaults ends all faults. A request of an interrupted run may still be in progress.
func (f *Kratos) EndFaults() {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.On = nil
}

// breaks handles the faults that do not apply the request, and reports whether it did.
func (f *Kratos) breaks(w http.ResponseWriter, r *http.Request, wrong Fault) bool {
	refuse := func(status int, text string) {
		status, answer := said(status, text)
		writeAnswer(w, status, answer)
	}
	switch wrong {
	case Drops:
		panic(http.ErrAbortHandler)
	case Hangs:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Refuses500:
		refuse(http.StatusInternalServerError, "server error")
	case Refuses503:
		refuse(http.StatusServiceUnavailable, "not now")
	case Refuses429:
		refuse(http.StatusTooManyRequests, "not so fast")
	case Refuses403:
		refuse(http.StatusForbidden, "not you")
	case UnknownID:
		refuse(http.StatusBadRequest, `json: unknown field "external_id"`)
	case Plain404:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>Not Found</html>")
	case Plain409:
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "<html>Conflict</html>")
	default:
		return false
	}
	return true
}
