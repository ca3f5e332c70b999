package mapping_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ferry/mapping"
)

var update = flag.Bool("update", false, "write the golden files")

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// golden compares a value's JSON with a file.
func golden(t *testing.T, name string, value any) {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := testdata(t, name); string(want) != string(text) {
		t.Errorf("%s is\n%s\nnot\n%s", name, text, want)
	}
}

func kim(tb testing.TB) mapping.Profile {
	tb.Helper()
	p, err := mapping.FromUser(testdata(tb, "user.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func person(tb testing.TB) *mapping.Schema {
	tb.Helper()
	s, err := mapping.ParseSchema(testdata(tb, "identity.schema.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestFromUser(t *testing.T) {
	golden(t, "profile.golden.json", kim(t))
}

func TestFromUserIdentities(t *testing.T) {
	for name, c := range map[string]struct {
		user                 string
		ids                  string
		connection, provider string
		source               mapping.Source
	}{
		"no identities": {
			`{"user_id":"auth0|1"}`, "auth0|1", "", "auth0", mapping.Source{Provider: "auth0"},
		},
		"a job's field": {
			`{"user_id":"auth0|1","identities[0].connection":"db"}`, "auth0|1", "db", "auth0", mapping.Source{Connection: "db", Provider: "auth0"},
		},
		"the documentation's rename": {
			`{"user_id":"auth0|1","provider":"Customers"}`, "auth0|1", "Customers", "auth0", mapping.Source{Connection: "Customers", Provider: "auth0"},
		},
		"the extension's title": {
			`{"user_id":"auth0|1","Connection":"Customers"}`, "auth0|1", "Customers", "auth0", mapping.Source{Connection: "Customers", Provider: "auth0"},
		},
		"connection": {
			`{"user_id":"auth0|1","connection":"Customers","provider":"auth0","identities":[]}`, "auth0|1", "Customers", "auth0",
			mapping.Source{Connection: "Customers", Provider: "auth0"},
		},
		"a provider that is one": {
			`{"user_id":"auth0|1","provider":"auth0"}`, "auth0|1", "", "auth0", mapping.Source{Provider: "auth0"},
		},
		"the provider of another identity": {
			`{"user_id":"google-oauth2|1","provider":"auth0"}`, "google-oauth2|1", "", "google-oauth2", mapping.Source{Provider: "google-oauth2"},
		},
		"a provider that is no name": {
			`{"user_id":"auth0|1","provider":"Kim's company"}`, "auth0|1", "", "auth0", mapping.Source{Provider: "auth0"},
		},
		"identities know better": {
			`{"user_id":"auth0|1","connection":"other","provider":"other","identities":[{"provider":"auth0","user_id":"1","connection":"db"}]}`, "auth0|1", "db", "auth0",
			mapping.Source{Connection: "db", Provider: "auth0"},
		},
		"fields of identities, and a connection": {
			`{"user_id":"auth0|1","connection":"db","identities[0].provider":"auth0"}`, "auth0|1", "db", "auth0",
			mapping.Source{Connection: "db", Provider: "auth0"},
		},
		"titles": {
			`{"Id":"auth0|1","Email":"kim@example.org","Connection":"db"}`, "auth0|1", "db", "auth0", mapping.Source{Connection: "db", Provider: "auth0"},
		},
		"social only": {
			`{"user_id":"google-oauth2|1","identities":[{"provider":"google-oauth2","user_id":"1","connection":"google"}]}`,
			"google-oauth2|1", "", "google-oauth2",
			mapping.Source{Connection: "google", Provider: "google-oauth2"},
		},
		"the password is a linked one's": {
			`{"user_id":"google-oauth2|1","identities":[{"provider":"google-oauth2","user_id":"1","connection":"google"},{"provider":"auth0","user_id":"2","connection":"db"}]}`,
			"google-oauth2|1 auth0|2", "db", "auth0",
			mapping.Source{Connection: "google", Provider: "google-oauth2"},
		},
		"an id with a bar": {
			`{"user_id":"samlp|acme|1","identities":[{"provider":"samlp","user_id":"acme|1","connection":"acme"}]}`,
			"samlp|acme|1", "", "samlp",
			mapping.Source{Connection: "acme", Provider: "samlp"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := mapping.FromUser([]byte(c.user))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(p.UserIDs, " ") != c.ids || p.Connection != c.connection || p.Provider != c.provider || p.Source != c.source {
				t.Errorf("read %+v", p)
			}
		})
	}
}

// TestTitles: the titles of other exports mean the same as the names of the API.
func TestTitles(t *testing.T) {
	for name, text := range map[string]string{
		"the API's names":  `{"user_id":"auth0|1","email":"kim@example.org","email_verified":true,"given_name":"Kim","logins_count":2,"x y":1}`,
		"the extension's":  `{"Id":"auth0|1","Email":"kim@example.org","Email Verified":true,"Given Name":"Kim","Logins Count":2,"x y":1}`,
		"the dashboard's":  `{"User ID":"auth0|1","Email":"kim@example.org","Email Verified":"TRUE","given name":"Kim","Logins-Count":2,"x y":1}`,
		"texts for truths": `{"user_id":"auth0|1","email":"kim@example.org","email_verified":"true","given_name":"Kim","logins_count":2,"x y":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, err := mapping.FromUser([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			want := `{"email":"kim@example.org","email_verified":true,"given_name":"Kim","logins_count":2,"sub":"auth0|1","x y":1}`
			if got := toJSON(t, p.Claims); p.UserID != "auth0|1" || got != want {
				t.Errorf("%s is %s", p.UserID, got)
			}
		})
	}
}

// TestTruthsAsTexts: other tools write booleans as texts.
func TestTruthsAsTexts(t *testing.T) {
	for text, want := range map[string]bool{
		`"true"`: true, `"True"`: true, `"false"`: false, `"FALSE"`: false, `true`: true, `false`: false, `null`: false, `""`: false,
	} {
		p, err := mapping.FromUser([]byte(`{"user_id":"auth0|1","blocked":` + text + `,"email_verified":` + text + `,"phone_verified":` + text + `}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		email, _ := p.Claims["email_verified"].(bool)
		phone, _ := p.Claims["phone_number_verified"].(bool)
		if p.Blocked != want || email != want || phone != want {
			t.Errorf("%s is %v, %v and %v", text, p.Blocked, email, phone)
		}
	}
}

func TestFieldNames(t *testing.T) {
	for titles, want := range map[string]string{
		"Id,Email":             "user_id,email",
		"Id,User ID":           "Id,user_id",
		"id,user_id,Email":     "id,user_id,email",
		"Email,email":          "Email,email",
		"Given Name,Last IP":   "given_name,last_ip",
		"Plan,user_metadata.x": "Plan,user_metadata.x",
	} {
		if got := strings.Join(mapping.FieldNames(strings.Split(titles, ",")), ","); got != want {
			t.Errorf("%s is %s, not %s", titles, got, want)
		}
	}
}

func TestFromUserRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":                      `kim`,
		"no object":                    `["kim"]`,
		"no user_id":                   `{"email":"kim@example.org"}`,
		"a user_id that is no text":    `{"user_id":1}`,
		"a user_id without provider":   `{"user_id":"kim"}`,
		"a user_id of no provider":     `{"user_id":"|kim"}`,
		"a user_id without an id":      `{"user_id":"kim|"}`,
		"an apostrophe before user_id": `{"user_id":"'auth0|kim"}`,
		"a user_id in quotes":          `{"user_id":"\"auth0|kim"}`,
		"a user_id with a blank":       `{"user_id":" auth0|kim"}`,
		"a user_id and a blank":        `{"user_id":"auth0|kim "}`,
		"a user_id with a tab":         `{"user_id":"auth0|k\tim"}`,
		"a provider in capitals":       `{"user_id":"Auth0|kim"}`,
		"a provider of two words":      `{"user_id":"my auth0|kim"}`,
		"a title without an id":        `{"Id":"kim","Email":"kim@example.org"}`,
		"an id that is a number":       `{"id":1}`,
		"an identity of no provider":   `{"user_id":"auth0|kim","identities":[{"provider":"'auth0","user_id":"kim"}]}`,
		"an identity of a connection":  `{"user_id":"auth0|kim","identities":[{"provider":"Customers","user_id":"kim"}]}`,
		"blocked as another text":      `{"user_id":"auth0|kim","blocked":"kim"}`,
		"verified as another text":     `{"user_id":"auth0|kim","email_verified":"yes"}`,
		"verified as a number":         `{"user_id":"auth0|kim","email_verified":1}`,
		"blocked as a number":          `{"user_id":"auth0|kim","blocked":1}`,
		"a user_id twice":              `{"user_id":"auth0|kim","user_id":"auth0|kim"}`,
		"two spellings of a key":       `{"user_id":"auth0|kim","Email":"kim@example.org","email":"a@example.org"}`,
		"identities that are no list":  `{"user_id":"auth0|kim","identities":{}}`,
		"an identity without an id":    `{"user_id":"auth0|kim","identities":[{"provider":"kim"}]}`,
		"two users":                    `{"user_id":"auth0|kim"}{"user_id":"auth0|kim"}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, err := mapping.FromUser([]byte(text))
			if err == nil {
				t.Fatalf("read %+v", p)
			}
			if strings.Contains(err.Error(), "kim") {
				t.Errorf("the error quotes the user: %v", err)
			}
		})
	}
}

func TestFromClaims(t *testing.T) {
	claims := map[string]any{
		"sub": "auth0|1", "iss": "https://tenant.example/", "email": "kim@example.org", "app_metadata": map[string]any{"a": 1.0}, "blocked": true,
	}
	p, err := mapping.FromClaims(claims)
	if err != nil {
		t.Fatal(err)
	}
	want := mapping.Profile{
		UserID: "auth0|1", UserIDs: []string{"auth0|1"}, Provider: "auth0", Source: mapping.Source{Provider: "auth0"}, Blocked: true,
		Claims:      map[string]any{"sub": "auth0|1", "iss": "https://tenant.example/", "email": "kim@example.org"},
		AppMetadata: map[string]any{"a": 1.0},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("read %+v, not %+v", p, want)
	}
	if len(claims) != 5 {
		t.Error("the caller's claims were changed")
	}
	for name, claims := range map[string]map[string]any{"none": nil, "no sub": {"email": "kim@example.org"}, "a number": {"sub": 1.0}, "empty": {"sub": ""}} {
		t.Run(name, func(t *testing.T) {
			if p, err := mapping.FromClaims(claims); err == nil {
				t.Errorf("read %+v", p)
			}
		})
	}
}

// FuzzFromUser: what is read has its id, first among all ids, and nothing that is a
// secret or stands elsewhere is among the claims.
func FuzzFromUser(f *testing.F) {
	f.Add(testdata(f, "user.json"))
	f.Add([]byte(`{"user_id":"auth0|1","identities":[{"provider":"auth0","user_id":1e3}],"password_hash":"x","blocked":"yes"}`))
	f.Add([]byte(`{"user_id":"x","user_metadata":"text","app_metadata":null,"phone_verified":"true"}`))
	f.Add([]byte(`{"Id":"auth0|1","User ID":"auth0|2","Email Verified":"True","Connection":"db","Email":"kim@example.org"}`))
	f.Add([]byte(`{"user_id":"'auth0|1","provider":"db","connection":""}`))
	f.Add([]byte(`{"user_id":"auth0|1","provider":"db","identities":[],"identities[1].provider":"ad","identities[1].user_id":"2"}`))
	schema := person(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := mapping.FromUser(text)
		if err != nil {
			return
		}
		checkProfile(t, p)
		identity, err := mapping.Default(schema).Map(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range (mapping.Rules{}).Trusted(p, identity) {
			if p.Claims["email_verified"] != true && p.Claims["phone_number_verified"] != true || a != a.Normalize() {
				t.Fatalf("believes %+v", a)
			}
		}
	})
}

// checkProfile checks what holds for every profile of a user.
func checkProfile(t *testing.T, p mapping.Profile) {
	t.Helper()
	if p.UserID == "" || p.UserIDs[0] != p.UserID || p.Claims["sub"] != p.UserID {
		t.Fatalf("read %+v", p)
	}
	for _, id := range p.UserIDs {
		if provider, _, _ := strings.Cut(id, "|"); !mapping.IsUserID(provider + "|1") {
			t.Fatalf("%q is no user id", id)
		}
	}
	for _, key := range []string{"user_id", "identities", "password_hash", "app_metadata", "user_metadata", "access_token"} {
		if _, ok := p.Claims[key]; ok {
			t.Fatalf("%s is a claim", key)
		}
	}
}
