// Package bulktest has what the tests of the bulk packages share: a fake of Kratos' admin
// API that can be made to fail in many ways, users and files to import, and a silent
// progress. The fake fails the test on a request that the real API would not take.
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

// Fault is what the fake does wrong with a request.
type Fault = int

// The faults.
const (
	Well       Fault = iota // none
	Drops                   // breaks the connection and does nothing
	Hangs                   // does nothing and answers nothing until the caller has gone
	Late                    // does what is asked, then hangs
	Lost                    // does what is asked, then breaks the connection
	Crashes                 // does what is asked, then answers 500
	Refuses500              // does nothing
	Refuses503              // does nothing
	Refuses429              // does nothing
	Refuses403              // does nothing
	Misreads                // does what is asked, then answers {}
	Plain409                // a proxy answers 409 in its own words
	UnknownID               // answers that it does not know external_id
)

// Kratos is a fake of the admin API as far as bulk uses it. It conflicts by identifier,
// address, social login and external id.
type Kratos struct {
	// V131 makes it behave as Kratos 1.3.1: see batch.
	V131 bool
	// Page is the most identities of a page; 0: as many as asked for.
	Page int
	// On returns the fault of the nth request, from 1, of its kind: batch, create, page,
	// find, ids, read, patch or put. Nil: none.
	On func(kind string, n int) Fault
	// Meanwhile is called after a patch or put was applied, with the identity.
	Meanwhile func(*Identity)

	t     *testing.T
	url   string
	asked map[string]int // requests by kind

	// Mu guards On and what follows.
	Mu      sync.Mutex
	People  map[string]*Identity // by id
	Batches []int                // their sizes
	Bodies  []string             // of the identities that were created
	Patches []string             // operations and paths
}

// NewKratos starts a fake that has no identities. It ends with the test.
func NewKratos(t *testing.T) *Kratos {
	t.Helper()
	f := &Kratos{t: t, People: map[string]*Identity{}, asked: map[string]int{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// Client returns a client of the fake.
func (f *Kratos) Client() *kratos.Client { return f.client(10 * time.Second) }

// Impatient returns a client whose batches time out soon.
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

// EndFaults ends all faults. A request of a run that was cut short may still be served.
func (f *Kratos) EndFaults() {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.On = nil
}

// breaks answers a request if the fault is that nothing is done about it.
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
	case Plain409:
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "<html>Conflict</html>")
	default:
		return false
	}
	return true
}
