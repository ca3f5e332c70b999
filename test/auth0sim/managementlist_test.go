package auth0sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

// ids are the user ids in an answer, bare or with totals.
func ids(t *testing.T, got answer) []string {
	t.Helper()
	var users []struct {
		ID string `json:"user_id"`
	}
	body := []byte(got.body)
	var totals struct{ Users json.RawMessage }
	if json.Unmarshal(body, &totals) == nil && totals.Users != nil {
		body = totals.Users
	}
	if err := json.Unmarshal(body, &users); got.status != 200 || err != nil {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	found := []string{}
	for _, u := range users {
		found = append(found, u.ID[len(u.ID)-1:])
	}
	return found
}

func TestSearchUsers(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	token := machineBearer(t, sim)
	for query, want := range map[string]string{
		"":                          "[1 2 3 4 5]",
		"per_page=2":                "[1 2]",
		"per_page=2&page=2":         "[5]",
		"per_page=2&page=3":         "[]",
		"per_page=0":                "[]",
		"per_page=0&page=999999999": "[]",
		"include_totals=true":       "[1 2 3 4 5]",
		"search_engine=v3&q=":       "[1 2 3 4 5]",
		"q=" + url.QueryEscape(`email:"ALAN@example.test"`):                                    "[3]",
		"q=" + url.QueryEscape(`username:"grace"`):                                             "[2]",
		"q=" + url.QueryEscape(`user_id:"`+auth0sim.DemoEdsgerID+`"`):                          "[5]",
		"q=" + url.QueryEscape(`identities.connection:"google-oauth2"`):                        "[1]",
		"q=" + url.QueryEscape(`identities.connection:"`+auth0sim.DemoConnection+`"`):          "[1 2 3 4 5]",
		"q=" + url.QueryEscape(`email:"nobody@example.test"`):                                  "[]",
		"include_totals=true&per_page=1&q=" + url.QueryEscape(`email:"barbara@example.test"`):  "[4]",
		"page=1&per_page=1&q=" + url.QueryEscape(`identities.connection:"google-oauth2"`):      "[]",
		"q=" + url.QueryEscape(`email:"\a\l\a\n@example.test"`):                                "[3]",
		"include_totals=false&per_page=1&q=" + url.QueryEscape(`email:"barbara@example.test"`): "[4]",
	} {
		if got := fmt.Sprint(ids(t, get(t, sim, auth0sim.PathUserSearch+"?"+query, token))); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	want(t, get(t, sim, auth0sim.PathUserSearch+"?per_page=2&page=9&include_totals=true", token), 200,
		`{"length":0,"limit":2,"start":18,"total":5,"users":[]}`)
	one := send(t, http.MethodGet, adaURL(sim), "", "", token).body
	want(t, get(t, sim, auth0sim.PathUserSearch+"?per_page=1", token), 200, "["+one+"]")
}

func TestSearchRefusals(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers, auth0sim.ScopeReadConnections)
	token := machineBearer(t, sim)
	const limit = `{"statusCode":400,"error":"Bad Request","message":"You can only page through the first 1000 records. ` +
		`See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation"}`
	for query, body := range map[string]string{
		"users?per_page=100&page=10":             limit,
		"users?page=20":                          limit,
		"users?per_page=99&page=10":              limit,
		"users?page=9223372036854775807":         limit,
		"users?page=-1":                          "",
		"users?page=x":                           "",
		"users?per_page=101":                     "",
		"users?per_page=1&per_page=1":            "",
		"users?include_totals=maybe":             "",
		"users?search_engine=v2":                 "",
		"users?sort=email%3A1":                   "",
		"users?q=" + url.QueryEscape(`name:"x"`): "",
		"users?q=" + url.QueryEscape(`email:x`):  "",
		"users?q=" + url.QueryEscape(`email:"x`): "",
		"users?%zz":                              "",
		"users-by-email":                         "",
		"users-by-email?email=":                  "",
		"users-by-email?email=a&page=1":          "",
		"connections?id=x":                       "",
		"connections/x":                          `{"statusCode":400,"error":"Bad Request","message":"Path validation error: 'id: expected ^con_[A-Za-z0-9]{16}$'.","errorCode":"invalid_uri"}`,
	} {
		got := get(t, sim, auth0sim.PathManagement+query, token)
		if got.status != 400 || body != "" && got.body != body {
			t.Errorf("%s: got %d %s", query, got.status, got.body)
		}
	}
	if got := get(t, sim, auth0sim.PathUserSearch+"?per_page=100&page=9", token); got.status != 200 {
		t.Errorf("the last page: got %d %s", got.status, got.body)
	}
	want(t, get(t, sim, auth0sim.PathConnections+"/con_0123456789abcdef", token), 404,
		`{"statusCode":404,"error":"Not Found","message":"The connection does not exist.","errorCode":"inexistent_connection"}`)
	for _, path := range []string{"users", "users-by-email?email=a", "jobs/job_0123456789abcdef"} {
		other := startManaged(t, auth0sim.ScopeReadConnections)
		if got := get(t, other, auth0sim.PathManagement+path, machineBearer(t, other)); got.status != 403 {
			t.Errorf("%s without the scope: got %d", path, got.status)
		}
		if got := get(t, other, auth0sim.PathManagement+path); got.status != 401 {
			t.Errorf("%s without a token: got %d", path, got.status)
		}
	}
}

// The search is late, the look-up by e-mail address is not, and minds case.
func TestLateSearch(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	configure(t, sim, func(s *auth0sim.Settings) { s.SearchDelaySeconds = 5 })
	token := machineBearer(t, sim)
	if _, err := sim.AddUser(auth0sim.User{ID: "google-oauth2|9", Connection: "Username-Password-Authentication", Email: "new@example.test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.UpdateUser(auth0sim.DemoGraceID, func(u *auth0sim.User) { u.Name = "Rear Admiral" }); err != nil {
		t.Fatal(err)
	}
	search := func() string { return fmt.Sprint(ids(t, get(t, sim, auth0sim.PathUserSearch, token))) }
	byEmail := func(email string) string {
		return fmt.Sprint(ids(t, get(t, sim, auth0sim.PathUsersByEmail+"?email="+url.QueryEscape(email), token)))
	}
	if got := search() + byEmail("new@example.test") + byEmail("NEW@example.test"); got != "[1 3 4 5][9][]" {
		t.Errorf("got %s", got)
	}
	sim.Advance(4 * time.Second)
	if got := search(); got != "[1 3 4 5]" {
		t.Errorf("after 4 s: got %s", got)
	}
	sim.Advance(time.Second)
	if got := search(); got != "[1 2 3 4 5 9]" {
		t.Errorf("after 5 s: got %s", got)
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadConnections)
	for _, c := range []auth0sim.Connection{{Name: "google-oauth2", Strategy: "google-oauth2"}, {Name: "corp", Strategy: "waad", Disabled: true}} {
		if err := sim.AddConnection(c); err != nil {
			t.Fatal(err)
		}
	}
	token := machineBearer(t, sim)
	id := auth0sim.ConnectionID("corp")
	if !regexp.MustCompile(`^con_[A-Za-z0-9]{16}$`).MatchString(id) || id == auth0sim.ConnectionID("google-oauth2") {
		t.Errorf("got id %s", id)
	}
	corp := `{"id":"` + id + `","is_domain_connection":false,"name":"corp","options":{},"realms":["corp"],"strategy":"waad"}`
	want(t, get(t, sim, auth0sim.PathConnections+"?name=corp", token), 200, "["+corp+"]")
	want(t, get(t, sim, auth0sim.PathConnections+"/"+id, token), 200, corp)
	want(t, get(t, sim, auth0sim.PathConnections+"?name=none", token), 200, "[]")
	for query, names := range map[string]string{
		"":                                 "[Username-Password-Authentication corp google-oauth2]",
		"strategy=waad":                    "[corp]",
		"strategy=waad&strategy=auth0":     "[Username-Password-Authentication corp]",
		"strategy=waad&name=google-oauth2": "[]",
		"per_page=1&page=2":                "[google-oauth2]",
	} {
		var list []struct{ Name string }
		got := get(t, sim, auth0sim.PathConnections+"?"+query, token)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatal(err)
		}
		found := []string{}
		for _, c := range list {
			found = append(found, c.Name)
		}
		if fmt.Sprint(found) != names {
			t.Errorf("%s: got %s", query, got.body)
		}
	}
	want(t, get(t, sim, auth0sim.PathConnections+"?per_page=1&include_totals=true&name=corp", token), 200,
		`{"connections":[`+corp+`],"length":1,"limit":1,"start":0,"total":1}`)
}

// The limit is one for the whole Management API, and its headers are on every answer.
func TestManagementLimitIsShared(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	configure(t, sim, func(s *auth0sim.Settings) { s.Management.Enabled = true })
	token := machineBearer(t, sim)
	for i, path := range []string{"users", "connections", "users-by-email?email=a"} {
		got := get(t, sim, auth0sim.PathManagement+path, token)
		if (got.status == 429) != (i == 2) || got.header.Get("X-Ratelimit-Remaining") != fmt.Sprint(max(0, 1-i)) {
			t.Errorf("%s: got %d %v", path, got.status, got.header)
		}
	}
}
