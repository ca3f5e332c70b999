package bulk_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/kratos"
)

// fault is what a fakeKratos does wrong about a request.
type fault = int

const (
	well    fault = iota
	drops         // it breaks the connection, and does nothing
	hangs         // it answers nothing until the caller has gone
	late          // it does what it is asked, and then hangs
	lost          // it does what it is asked, and then breaks the connection
	crashes       // it does what it is asked, and answers 500
	refuses500
	refuses503
	refuses429
	refuses403
	misreads  // it says {} of what it has done
	plain409  // a proxy says 409, in words of its own
	unknownID // it always knows no external_id
)

// fakePerson is an identity as fakeKratos keeps it.
type fakePerson struct {
	ID, SchemaID, State, ExternalID string
	Traits, Public, Admin           map[string]any
	Addresses                       []kratos.Address
	Identifiers, Social             []string
	Hash                            string
	Hook                            bool
}

// fakeKratos is Kratos' admin API as far as bulk uses it. What it is asked must be
// what the contract has, or the test fails. It conflicts by identifier, address,
// social login and external id.
type fakeKratos struct {
	t *testing.T
	// v131 makes it behave as Kratos 1.3.1: see batch.
	v131 bool
	// page is how many identities a page has at most; 0: what was asked for.
	page int
	// on says what goes wrong with the nth request, from 1, of its kind: batch, page,
	// find, ids, read, patch or put.
	on func(kind string, n int) fault
	// meanwhile is called after a patch or put was applied, with the identity.
	meanwhile func(*fakePerson)

	url string

	mu      sync.Mutex
	people  map[string]*fakePerson
	asked   map[string]int
	batches []int    // their sizes
	bodies  []string // of the identities that were created
	patches []string
}

func newFake(t *testing.T) *fakeKratos {
	t.Helper()
	f := &fakeKratos{t: t, people: map[string]*fakePerson{}, asked: map[string]int{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// client asks the fake.
func (f *fakeKratos) client() *kratos.Client {
	f.t.Helper()
	transport := &http.Transport{}
	f.t.Cleanup(transport.CloseIdleConnections)
	c, err := kratos.New(kratos.Options{
		AdminURL: f.url, Timeout: 10 * time.Second, BatchTimeout: 10 * time.Second, RetryPause: time.Millisecond, Transport: transport,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// impatient gives up after a moment.
func (f *fakeKratos) impatient() *kratos.Client {
	f.t.Helper()
	transport := &http.Transport{}
	f.t.Cleanup(transport.CloseIdleConnections)
	c, err := kratos.New(kratos.Options{
		AdminURL: f.url, Timeout: 10 * time.Second, BatchTimeout: 500 * time.Millisecond, RetryPause: time.Millisecond, Transport: transport,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// have puts an identity there, with what its traits make of it.
func (f *fakeKratos) have(p fakePerson) string {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	if p.State == "" {
		p.State = "active"
	}
	p.derive()
	f.people[p.ID] = &p
	return p.ID
}

// all are the identities in the order of their ids.
func (f *fakeKratos) all() []fakePerson {
	f.mu.Lock()
	defer f.mu.Unlock()
	var people []fakePerson
	for _, id := range slices.Sorted(maps.Keys(f.people)) {
		people = append(people, *f.people[id])
	}
	return people
}

// of is the one identity that was made of an Auth0 user.
func (f *fakeKratos) of(userID string) fakePerson {
	f.t.Helper()
	var found []fakePerson
	for _, p := range f.all() {
		if p.userID() == userID {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		f.t.Fatalf("%d identities of %s, want one", len(found), userID)
	}
	return found[0]
}

func (p *fakePerson) userID() string {
	auth0, _ := p.Admin["auth0"].(map[string]any)
	id, _ := auth0["user_id"].(string)
	return id
}

// text is an identity byte for byte.
func (f *fakeKratos) text(id string) string {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.people[id]
	if p == nil {
		f.t.Fatalf("there is no identity %s", id)
	}
	text, err := json.Marshal(p)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

func (f *fakeKratos) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[kind]
}

// derive makes identifiers and addresses of the traits, as Kratos does by the schema.
func (p *fakePerson) derive() {
	p.Identifiers = nil
	var addresses []kratos.Address
	for name, via := range map[string]string{"email": "email", "phone": "sms", "username": ""} {
		value, _ := p.Traits[name].(string)
		value = strings.ToLower(strings.TrimSpace(value))
		if value == "" {
			continue
		}
		if name != "phone" {
			p.Identifiers = append(p.Identifiers, value)
		}
		if via == "" {
			continue
		}
		verified := slices.Contains(p.Addresses, kratos.Address{Value: value, Via: via, Verified: true})
		addresses = append(addresses, kratos.Address{Value: value, Via: via, Verified: verified})
	}
	slices.Sort(p.Identifiers)
	slices.SortFunc(addresses, func(a, b kratos.Address) int { return strings.Compare(b.Via, a.Via) })
	p.Addresses = addresses
}

// conflicts tells whether two identities want the same.
func (p *fakePerson) conflicts(q *fakePerson) bool {
	shares := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(text string) bool { return slices.Contains(b, text) })
	}
	return p.ID != q.ID && (shares(p.Identifiers, q.Identifiers) || shares(p.Social, q.Social) ||
		p.ExternalID != "" && p.ExternalID == q.ExternalID ||
		slices.ContainsFunc(p.Addresses, func(a kratos.Address) bool {
			return slices.ContainsFunc(q.Addresses, func(b kratos.Address) bool { return a.Value == b.Value && a.Via == b.Via })
		}))
}

func (p *fakePerson) answer(withPassword bool) map[string]any {
	password := map[string]any{"type": "password", "identifiers": p.Identifiers, "version": 0}
	if withPassword {
		password["config"] = map[string]any{"hashed_password": p.Hash, "use_password_migration_hook": p.Hook}
	}
	credentials := map[string]any{"password": password}
	if len(p.Social) > 0 {
		credentials["oidc"] = map[string]any{"type": "oidc", "identifiers": p.Social, "version": 0}
	}
	var addresses []map[string]any
	for _, a := range p.Addresses {
		addresses = append(addresses, map[string]any{"value": a.Value, "via": a.Via, "verified": a.Verified, "status": "pending"})
	}
	out := map[string]any{
		"id": p.ID, "schema_id": p.SchemaID, "state": p.State, "traits": p.Traits, "credentials": credentials,
		"metadata_public": p.Public, "metadata_admin": p.Admin, "verifiable_addresses": addresses,
		"created_at": "2026-11-21T19:49:27Z", "updated_at": "2026-11-21T19:49:27Z",
	}
	if p.ExternalID != "" {
		out["external_id"] = p.ExternalID
	}
	return out
}

func (f *fakeKratos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	f.mu.Lock()
	f.asked[kind]++
	n, on := f.asked[kind], f.on
	f.mu.Unlock()
	wrong := well
	if on != nil {
		wrong = on(kind, n)
	}
	if f.breaks(w, r, wrong) {
		return
	}
	status, answer := f.do(w, kind, id, query, body)
	switch wrong {
	case late:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case lost:
		panic(http.ErrAbortHandler)
	case crashes:
		status, answer = said(http.StatusInternalServerError, "server error")
	case misreads:
		answer = struct{}{}
	default:
	}
	writeAnswer(w, status, answer)
}

// endFaults ends all faults. A request of a run that was cut short may still be served.
func (f *fakeKratos) endFaults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = nil
}

// breaks answers a request that nothing is done about.
func (f *fakeKratos) breaks(w http.ResponseWriter, r *http.Request, wrong fault) bool {
	refuse := func(status int, text string) {
		status, answer := said(status, text)
		writeAnswer(w, status, answer)
	}
	switch wrong {
	case drops:
		panic(http.ErrAbortHandler)
	case hangs:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case refuses500:
		refuse(http.StatusInternalServerError, "server error")
	case refuses503:
		refuse(http.StatusServiceUnavailable, "not now")
	case refuses429:
		refuse(http.StatusTooManyRequests, "not so fast")
	case refuses403:
		refuse(http.StatusForbidden, "not you")
	case unknownID:
		refuse(http.StatusBadRequest, `json: unknown field "external_id"`)
	case plain409:
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "<html>Conflict</html>")
	default:
		return false
	}
	return true
}

func (f *fakeKratos) do(w http.ResponseWriter, kind, id string, query map[string][]string, body []byte) (int, any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch kind {
	case "batch":
		return f.batch(body)
	case "create":
		return f.create(body)
	case "page":
		return f.list(w, query)
	case "find", "ids":
		return f.search(query)
	case "read":
		f.only(query, "include_credential")
		p := f.people[id]
		if p == nil {
			return said(http.StatusNotFound, "Unable to locate the resource")
		}
		return http.StatusOK, p.answer(slices.Contains(query["include_credential"], "password"))
	case "patch":
		return f.patch(id, body)
	case "put":
		return f.put(id, body)
	}
	f.t.Error("Kratos has no such route")
	return said(http.StatusNotFound, "no such route")
}

// only fails the test where a query has other parameters.
func (f *fakeKratos) only(query map[string][]string, names ...string) {
	for name := range query {
		if !slices.Contains(names, name) {
			f.t.Errorf("asked with the parameter %q", name)
		}
	}
}

func said(status int, text string) (int, any) {
	return status, map[string]any{"error": map[string]any{"code": status, "status": http.StatusText(status), "message": text}}
}

func writeAnswer(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

type fakeCreate struct {
	Credentials struct {
		OIDC *struct {
			Config struct {
				Providers []struct {
					Provider string `json:"provider"`
					Subject  string `json:"subject"`
				} `json:"providers"`
			} `json:"config"`
		} `json:"oidc"`
		Password *struct {
			Config struct {
				Hash string `json:"hashed_password"`
				Hook bool   `json:"use_password_migration_hook"`
			} `json:"config"`
		} `json:"password"`
	} `json:"credentials"`
	ExternalID *string        `json:"external_id"`
	Admin      map[string]any `json:"metadata_admin"`
	Public     map[string]any `json:"metadata_public"`
	SchemaID   string         `json:"schema_id"`
	State      string         `json:"state"`
	Traits     map[string]any `json:"traits"`
	Addresses  []struct {
		kratos.Address

		Status string `json:"status"`
	} `json:"verifiable_addresses"`
}

// person is the identity of a body; refused is why the whole batch is not taken.
func (c fakeCreate) person(v131 bool) (p *fakePerson, refused string) {
	p = &fakePerson{ID: uuid.NewString(), SchemaID: c.SchemaID, State: c.State, Traits: c.Traits, Public: c.Public, Admin: c.Admin}
	if p.State == "" {
		p.State = "active"
	}
	if c.ExternalID != nil {
		if v131 {
			return nil, `json: unknown field "external_id"`
		}
		p.ExternalID = *c.ExternalID
	}
	for _, a := range c.Addresses {
		p.Addresses = append(p.Addresses, kratos.Address{Value: strings.ToLower(strings.TrimSpace(a.Value)), Via: a.Via, Verified: a.Verified && a.Status == "completed"})
	}
	if password := c.Credentials.Password; password != nil {
		p.Hash, p.Hook = password.Config.Hash, password.Config.Hook
		if p.Hook && p.Hash != "" {
			return nil, "the flag wins over the hash, which is dropped: nobody wants that"
		}
		if p.Hash != "" && !regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$.{53}$`).MatchString(p.Hash) {
			return nil, "the hash is of no known format"
		}
	}
	if oidc := c.Credentials.OIDC; oidc != nil {
		for _, one := range oidc.Config.Providers {
			p.Social = append(p.Social, one.Provider+":"+one.Subject)
		}
		slices.Sort(p.Social)
	}
	p.derive()
	return p, ""
}

// The traits that make the fake refuse an identity, or the whole batch it is in.
const (
	refusedNickname = "Kratos minds"
	poisonNickname  = "Kratos minds a lot"
	breaksNickname  = "Kratos breaks"
)

// batch creates identities. 1.3.1 persists nothing where one of them conflicts, and
// says create of the others all the same.
func (f *fakeKratos) batch(body []byte) (int, any) {
	var asked struct {
		Identities []struct {
			Create  json.RawMessage `json:"create"`
			PatchID string          `json:"patch_id"`
		} `json:"identities"`
	}
	if err := strict(body, &asked); err != nil || len(asked.Identities) == 0 || len(asked.Identities) > kratos.MaxBatch {
		f.t.Errorf("a batch of %d: %v", len(asked.Identities), err)
		return said(http.StatusBadRequest, "no batch")
	}
	f.batches = append(f.batches, len(asked.Identities))
	wanted := make([]*fakePerson, len(asked.Identities))
	for i, item := range asked.Identities {
		var create fakeCreate
		if err := strict(item.Create, &create); err != nil || uuid.Validate(item.PatchID) != nil {
			f.t.Errorf("item %d: %v, patch_id %q", i, err, item.PatchID)
			return said(http.StatusBadRequest, "no item")
		}
		p, refused := create.person(f.v131)
		if refused == "" && create.Traits["nickname"] == poisonNickname {
			refused = "the whole batch is bad"
		}
		if refused != "" {
			return said(http.StatusBadRequest, refused)
		}
		if create.Traits["nickname"] == breaksNickname {
			return said(http.StatusInternalServerError, "server error")
		}
		wanted[i] = p
	}
	return f.persist(wanted, func(i int) string { return asked.Identities[i].PatchID }, func(i int) string { return string(asked.Identities[i].Create) })
}

// create makes one identity; it says why it refuses one.
func (f *fakeKratos) create(body []byte) (int, any) {
	var create fakeCreate
	if err := strict(body, &create); err != nil {
		f.t.Errorf("a body: %v", err)
		return said(http.StatusBadRequest, "no identity")
	}
	p, refused := create.person(f.v131)
	switch {
	case create.Traits["nickname"] == refusedNickname:
		refused = "Kratos minds the nickname"
	case slices.ContainsFunc(slices.Collect(maps.Values(f.people)), p.conflicts):
		return said(http.StatusConflict, "a resource with that value exists already")
	}
	if refused != "" {
		return http.StatusBadRequest, map[string]any{"error": map[string]any{"code": http.StatusBadRequest, "message": "The request was malformed", "reason": refused}}
	}
	f.people[p.ID] = p
	f.bodies = append(f.bodies, string(body))
	return http.StatusCreated, p.answer(false)
}

func (f *fakeKratos) persist(wanted []*fakePerson, patchID, body func(int) string) (int, any) {
	var items []map[string]any
	fails := func(i, status int, text string) map[string]any {
		return map[string]any{"action": "error", "patch_id": patchID(i), "error": map[string]any{"code": status, "status": http.StatusText(status), "message": text}}
	}
	made := map[int]*fakePerson{}
	conflict := false
	for i, p := range wanted {
		clash := slices.ContainsFunc(slices.Collect(maps.Values(f.people)), p.conflicts) || slices.ContainsFunc(slices.Collect(maps.Values(made)), p.conflicts)
		switch {
		case p.Traits["nickname"] == refusedNickname:
			items = append(items, fails(i, http.StatusBadRequest, "The request was malformed"))
		case clash:
			conflict = true
			items = append(items, fails(i, http.StatusConflict, "a resource with that value exists already"))
		default:
			made[i] = p
			items = append(items, map[string]any{"action": "create", "identity": p.ID, "patch_id": patchID(i)})
		}
	}
	if conflict && len(wanted) == 1 {
		return said(http.StatusConflict, "This identity conflicts with another identity that already exists.")
	}
	if !conflict || !f.v131 {
		for i, p := range made {
			f.people[p.ID] = p
			f.bodies = append(f.bodies, body(i))
		}
	}
	return http.StatusOK, map[string]any{"identities": items}
}

// list is a page in the order of ids.
func (f *fakeKratos) list(w http.ResponseWriter, query map[string][]string) (int, any) {
	f.only(query, "page_size", "page_token", "include_credential", "consistency")
	size, err := strconv.Atoi(strings.Join(query["page_size"], ""))
	if err != nil || size < 1 || size > 1000 {
		f.t.Errorf("page_size %q", query["page_size"])
		return said(http.StatusBadRequest, "page_size")
	}
	if f.page > 0 {
		size = f.page
	}
	after := strings.Join(query["page_token"], "")
	list := []map[string]any{}
	last, more := "", false
	for _, id := range slices.Sorted(maps.Keys(f.people)) {
		if id <= after {
			continue
		}
		if more = len(list) == size; more {
			break
		}
		list, last = append(list, f.people[id].answer(slices.Contains(query["include_credential"], "password"))), id
	}
	links := fmt.Sprintf(`<%s/admin/identities?page_size=%d>; rel="first"`, f.url, size)
	if more {
		links += fmt.Sprintf(`,<%s/admin/identities?page_size=%d&page_token=%s>; rel="next"`, f.url, size, last)
	}
	w.Header().Set("Link", links)
	return http.StatusOK, list
}

// search lists by an identifier of any credential, or by ids.
func (f *fakeKratos) search(query map[string][]string) (int, any) {
	f.only(query, "credentials_identifier", "ids", "page_size", "consistency")
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(f.people)) {
		p := f.people[id]
		found := slices.Contains(query["ids"], id)
		for _, identifier := range query["credentials_identifier"] {
			found = found || slices.Contains(p.Identifiers, strings.ToLower(strings.TrimSpace(identifier))) || slices.Contains(p.Social, identifier)
		}
		if found {
			list = append(list, p.answer(false))
		}
	}
	return http.StatusOK, list
}

var fakePatchable = regexp.MustCompile(`^/(traits|metadata_public|metadata_admin)(/.+)?$|^/state$|^/verifiable_addresses/[0-9]+/(verified|status)$`)

// patch applies a JSON patch; it must touch nothing that ferry may not.
func (f *fakeKratos) patch(id string, body []byte) (int, any) {
	p := f.people[id]
	if p == nil {
		return said(http.StatusNotFound, "Unable to locate the resource")
	}
	var ops []struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	if err := strict(body, &ops); err != nil {
		f.t.Errorf("a patch: %v", err)
	}
	text, err := json.Marshal(p.answer(false))
	var doc map[string]any
	if err != nil || json.Unmarshal(text, &doc) != nil {
		f.t.Error(err)
	}
	for _, op := range ops {
		if !fakePatchable.MatchString(op.Path) || op.Op != "add" && op.Op != "replace" {
			f.t.Errorf("a patch with %s %s", op.Op, op.Path)
			return said(http.StatusBadRequest, "patch")
		}
		f.patches = append(f.patches, op.Op+" "+op.Path)
		if !apply(doc, op.Op, strings.Split(op.Path[1:], "/"), op.Value) {
			f.t.Errorf("a patch with %s %s, which is not there", op.Op, op.Path)
			return said(http.StatusBadRequest, "patch")
		}
	}
	next := *p
	next.take(doc)
	if slices.ContainsFunc(slices.Collect(maps.Values(f.people)), next.conflicts) {
		return said(http.StatusConflict, "This identity conflicts with another identity that already exists.")
	}
	f.people[id] = &next
	if f.meanwhile != nil {
		f.meanwhile(&next)
	}
	return http.StatusOK, next.answer(false)
}

// take makes the identity what a patched document says.
func (p *fakePerson) take(doc map[string]any) {
	p.State, _ = doc["state"].(string)
	p.Traits, _ = doc["traits"].(map[string]any)
	p.Public, _ = doc["metadata_public"].(map[string]any)
	p.Admin, _ = doc["metadata_admin"].(map[string]any)
	p.Addresses = nil
	list, _ := doc["verifiable_addresses"].([]any)
	for _, element := range list {
		a, _ := element.(map[string]any)
		value, _ := a["value"].(string)
		via, _ := a["via"].(string)
		verified, _ := a["verified"].(bool)
		p.Addresses = append(p.Addresses, kratos.Address{Value: value, Via: via, Verified: verified})
	}
	p.derive()
}

// apply does one operation of RFC 6902.
func apply(into any, op string, path []string, value any) bool {
	name := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	if list, isList := into.([]any); isList {
		i, err := strconv.Atoi(name)
		return err == nil && i < len(list) && len(path) > 1 && apply(list[i], op, path[1:], value)
	}
	object, isObject := into.(map[string]any)
	if !isObject || object == nil {
		return false
	}
	was, there := object[name]
	switch {
	case len(path) > 1:
		return there && apply(was, op, path[1:], value)
	case op == "replace" && !there:
		return false
	}
	object[name] = value
	return true
}

// strict decodes as Kratos does: an unknown key is a fault.
func strict(text []byte, into any) error {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
