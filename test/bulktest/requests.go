package bulktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"ferry/kratos"
)

func (f *Kratos) do(w http.ResponseWriter, kind, id string, query map[string][]string, body []byte) (int, any) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
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
		p := f.People[id]
		if p == nil {
			return said(http.StatusNotFound, "Unable to locate the resource")
		}
		return http.StatusOK, p.answer(slices.Contains(query["include_credential"], "password"))
	case "patch":
		return f.patch(id, body)
	case "put":
		return f.put(id, body)
	case "sessions":
		f.only(query, "page_size")
		return http.StatusOK, f.sessions(id)
	case "unlink":
		f.only(query, "identifier")
		return f.unlink(id, strings.Join(query["identifier"], ""))
	case "delete":
		if f.People[id] == nil {
			return said(http.StatusNotFound, "Unable to locate the resource")
		}
		delete(f.People, id)
		return http.StatusNoContent, nil
	}
	return said(http.StatusNotFound, "no such route")
}

// only fails the test if a query has other parameters.
func (f *Kratos) only(query map[string][]string, names ...string) {
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
	if answer != nil {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// batch creates identities. 1.3.1 stores nothing if one of them conflicts, but still
// reports the others as created.
func (f *Kratos) batch(body []byte) (int, any) {
	var asked struct {
		Identities []struct {
			Create  json.RawMessage `json:"create"`
			PatchID string          `json:"patch_id"`
		} `json:"identities"`
	}
	if err := Strict(body, &asked); err != nil || len(asked.Identities) == 0 || len(asked.Identities) > kratos.MaxBatch {
		f.t.Errorf("a batch of %d: %v", len(asked.Identities), err)
		return said(http.StatusBadRequest, "no batch")
	}
	f.Batches = append(f.Batches, len(asked.Identities))
	wanted := make([]*Identity, len(asked.Identities))
	for i, item := range asked.Identities {
		var create createBody
		if err := Strict(item.Create, &create); err != nil || uuid.Validate(item.PatchID) != nil {
			f.t.Errorf("item %d: %v, patch_id %q", i, err, item.PatchID)
			return said(http.StatusBadRequest, "no item")
		}
		p, refused := create.person(f.V131, f.Next)
		if refused == "" && create.Traits["nickname"] == PoisonNickname {
			refused = "the whole batch is bad"
		}
		if refused != "" {
			return said(http.StatusBadRequest, refused)
		}
		if create.Traits["nickname"] == BreaksNickname {
			return said(http.StatusInternalServerError, "server error")
		}
		wanted[i] = p
	}
	return f.persist(wanted, func(i int) string { return asked.Identities[i].PatchID }, func(i int) string { return string(asked.Identities[i].Create) })
}

// create creates one identity, or returns why it refuses to.
func (f *Kratos) create(body []byte) (int, any) {
	var create createBody
	if err := Strict(body, &create); err != nil {
		f.t.Errorf("a body: %v", err)
		return said(http.StatusBadRequest, "no identity")
	}
	p, refused := create.person(f.V131, f.Next)
	switch {
	case refused != "":
	case !slices.Contains([]string{"", "person"}, create.SchemaID):
		refused = "Unable to find JSON Schema ID: " + create.SchemaID
	case create.Traits["nickname"] == RefusedNickname:
		refused = "Kratos minds the nickname"
	case slices.ContainsFunc(slices.Collect(maps.Values(f.People)), p.conflicts):
		return said(http.StatusConflict, "a resource with that value exists already")
	}
	if strings.HasPrefix(refused, "json: ") {
		return said(http.StatusBadRequest, refused)
	}
	if refused != "" {
		return http.StatusBadRequest, map[string]any{"error": map[string]any{"code": http.StatusBadRequest, "message": "The request was malformed", "reason": refused}}
	}
	f.People[p.ID] = p
	f.Bodies = append(f.Bodies, string(body))
	return http.StatusCreated, p.answer(false)
}

func (f *Kratos) persist(wanted []*Identity, patchID, body func(int) string) (int, any) {
	var items []map[string]any
	fails := func(i, status int, text string) map[string]any {
		return map[string]any{"action": "error", "patch_id": patchID(i), "error": map[string]any{"code": status, "status": http.StatusText(status), "message": text}}
	}
	made := map[int]*Identity{}
	conflict := false
	for i, p := range wanted {
		clash := slices.ContainsFunc(slices.Collect(maps.Values(f.People)), p.conflicts) || slices.ContainsFunc(slices.Collect(maps.Values(made)), p.conflicts)
		switch {
		case p.Traits["nickname"] == RefusedNickname:
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
	if !conflict || !f.V131 {
		for i, p := range made {
			f.People[p.ID] = p
			f.Bodies = append(f.Bodies, body(i))
		}
	}
	return http.StatusOK, map[string]any{"identities": items}
}

// list returns a page of identities, ordered by id.
func (f *Kratos) list(w http.ResponseWriter, query map[string][]string) (int, any) {
	f.only(query, "page_size", "page_token", "include_credential", "consistency")
	size, err := strconv.Atoi(strings.Join(query["page_size"], ""))
	if err != nil || size < 1 || size > 1000 {
		f.t.Errorf("page_size %q", query["page_size"])
		return said(http.StatusBadRequest, "page_size")
	}
	if f.Page > 0 {
		size = f.Page
	}
	after := strings.Join(query["page_token"], "")
	list := []map[string]any{}
	last, more := "", false
	for _, id := range slices.Sorted(maps.Keys(f.People)) {
		if id <= after {
			continue
		}
		if more = len(list) == size; more {
			break
		}
		list, last = append(list, f.People[id].answer(slices.Contains(query["include_credential"], "password"))), id
	}
	links := fmt.Sprintf(`<%s/admin/identities?page_size=%d>; rel="first"`, f.url, size)
	if more {
		links += fmt.Sprintf(`,<%s/admin/identities?page_size=%d&page_token=%s>; rel="next"`, f.url, size, last)
	}
	w.Header().Set("Link", links)
	return http.StatusOK, list
}

// search lists identities by an identifier of any credential, or by ids.
func (f *Kratos) search(query map[string][]string) (int, any) {
	f.only(query, "credentials_identifier", "ids", "include_credential", "page_size", "consistency")
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(f.People)) {
		p := f.People[id]
		found := slices.Contains(query["ids"], id)
		for _, identifier := range query["credentials_identifier"] {
			found = found || slices.Contains(p.Identifiers, strings.ToLower(strings.TrimSpace(identifier))) || slices.Contains(p.Social, identifier)
		}
		if found {
			list = append(list, p.answer(slices.Contains(query["include_credential"], "password")))
		}
	}
	return http.StatusOK, list
}

// put replaces an identity as Kratos does: fields missing from the body are deleted,
// except credentials.
func (f *Kratos) put(id string, body []byte) (int, any) {
	p := f.People[id]
	if p == nil {
		return said(http.StatusNotFound, "Unable to locate the resource")
	}
	var create createBody
	if err := Strict(body, &create); err != nil || create.Addresses != nil || create.Credentials.OIDC == nil && create.Credentials.Password == nil {
		f.t.Errorf("a put of %s: %v", body, err)
		return said(http.StatusBadRequest, "no body")
	}
	if create.Traits["nickname"] == RefusedNickname {
		return said(http.StatusBadRequest, "the traits do not match the schema")
	}
	next, refused := create.person(f.V131, f.Next)
	if refused != "" {
		return said(http.StatusBadRequest, refused)
	}
	if create.Credentials.Password == nil {
		next.Hash, next.Hook = p.Hash, p.Hook
	}
	if next.Factors == nil {
		next.Factors = p.Factors
	}
	next.ID, next.Addresses, next.Social = id, p.Addresses, slices.Concat(p.Social, next.Social)
	next.Factors = p.Factors
	next.StateAt, next.Changed, next.Sessions, next.ByCode = p.StateAt, true, p.Sessions, p.ByCode
	next.derive()
	if slices.ContainsFunc(slices.Collect(maps.Values(f.People)), next.conflicts) {
		return said(http.StatusConflict, "This identity conflicts with another identity that already exists.")
	}
	f.People[id] = next
	if f.Meanwhile != nil {
		f.Meanwhile(next)
	}
	return http.StatusOK, next.answer(false)
}

// sessions returns the sessions of an identity. Kratos returns none for one that is gone.
func (f *Kratos) sessions(id string) []map[string]any {
	list := []map[string]any{}
	if p := f.People[id]; p != nil {
		for range p.Sessions {
			list = append(list, map[string]any{"id": uuid.NewString(), "active": false})
		}
	}
	return list
}

// unlink removes a login at a provider. Kratos 1.3.1 removes the last login, too.
func (f *Kratos) unlink(id, login string) (int, any) {
	p := f.People[id]
	switch {
	case p == nil, !slices.Contains(p.Social, login):
		return said(http.StatusNotFound, "Unable to locate the resource")
	case !f.V131 && len(p.Social) < 2 && p.Hash == "" && !p.Hook:
		return said(http.StatusBadRequest, "You cannot remove the last first factor credential.")
	}
	next := *p
	next.Social = slices.DeleteFunc(slices.Clone(p.Social), func(one string) bool { return one == login })
	next.Changed = true
	f.People[id] = &next
	return http.StatusNoContent, nil
}
