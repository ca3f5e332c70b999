package auth0sim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

func TestAnswerFaults(t *testing.T) {
	t.Parallel()
	tests := map[auth0sim.FaultName]struct {
		fault       auth0sim.Fault
		status      int
		contentType string
		location    string
		body        string // its beginning
	}{
		auth0sim.FaultAnswer: {
			auth0sim.Fault{Status: 418, Body: "<tea>", Headers: map[string]string{"Content-Type": "text/tea"}},
			418, "text/tea", "", "<tea>",
		},
		auth0sim.FaultUnavailable:     {auth0sim.Fault{}, 503, "application/json", "", `{"error":"temporarily_unavailable",`},
		auth0sim.FaultInternalError:   {auth0sim.Fault{}, 500, "text/plain; charset=utf-8", "", "Internal Server Error"},
		auth0sim.FaultGlobalLimit:     {auth0sim.Fault{}, 500, "application/json", "", globalLimitBody},
		auth0sim.FaultTooManyRequests: {auth0sim.Fault{}, 429, "application/json", "", tooManyBody},
		auth0sim.FaultHTMLPage:        {auth0sim.Fault{}, 502, "text/html", "", "<!DOCTYPE html>"},
		auth0sim.FaultRedirect301:     {auth0sim.Fault{}, 301, "text/plain; charset=utf-8", auth0sim.PathRedirected, ""},
		auth0sim.FaultRedirect302:     {auth0sim.Fault{}, 302, "text/plain; charset=utf-8", auth0sim.PathRedirected, ""},
		auth0sim.FaultRedirect303:     {auth0sim.Fault{Value: "/x"}, 303, "text/plain; charset=utf-8", "/x", ""},
		auth0sim.FaultRedirect307:     {auth0sim.Fault{}, 307, "text/plain; charset=utf-8", auth0sim.PathRedirected, ""},
		auth0sim.FaultRedirect308:     {auth0sim.Fault{}, 308, "text/plain; charset=utf-8", auth0sim.PathRedirected, ""},
	}
	for _, name := range auth0sim.FaultsOf(auth0sim.KindAnswer) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			tt, ok := tests[name]
			if !ok {
				t.Fatal("no expectation")
			}
			sim := start(t)
			tt.fault.Name = name
			setFault(t, sim, tt.fault)
			got := post(t, sim, realmForm())
			if got.status != tt.status || got.header.Get("Content-Type") != tt.contentType ||
				got.header.Get("Location") != tt.location || !strings.HasPrefix(got.body, tt.body) {
				t.Errorf("got %d %v %s", got.status, got.header, got.body)
			}
			if sim.Attempts(auth0sim.DemoAdaID) != 1 {
				t.Errorf("got %d attempts, want 1", sim.Attempts(auth0sim.DemoAdaID))
			}
		})
	}
}

// A client that follows a redirect gets what it hopes for, and is found out.
func TestRedirectTarget(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultRedirect307})
	client := newClient(t)
	client.CheckRedirect = nil
	got, err := try(t.Context(), client, http.MethodPost, sim.URL()+auth0sim.PathToken, formType, realmForm().Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustTokens(t, got)
	if sim.PathRequests(auth0sim.PathRedirected) != 1 || sim.Attempts(auth0sim.DemoAdaID) != 2 || !sim.Requests()[1].PasswordIs(adaPassword) {
		t.Errorf("got %+v", sim.Counters())
	}
}

// Every row of the table can be sent, as it stands.
func TestAnswerRows(t *testing.T) {
	t.Parallel()
	seen := map[auth0sim.AnswerName]bool{}
	for _, row := range auth0sim.AnswerRows() {
		if seen[row.Name] {
			t.Errorf("%s is listed twice", row.Name)
		}
		seen[row.Name] = true
		t.Run(string(row.Name), func(t *testing.T) {
			t.Parallel()
			sim := start(t)
			setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: row.Name})
			got := post(t, sim, realmForm())
			var body struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
				URI         string `json:"error_uri"`
				MFAToken    string `json:"mfa_token"`
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil {
				t.Fatal(err)
			}
			if got.status != row.Answer.Status || body.Error != row.Answer.Error || body.Description == "" ||
				strings.ContainsAny(body.Description, "{}") || body.URI != row.Answer.ErrorURI ||
				(body.MFAToken != "") != (row.Name == auth0sim.AnswerMFARequired) {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if sim.Requests()[0].Outcome != string(row.Name) {
				t.Errorf("got outcome %q", sim.Requests()[0].Outcome)
			}
		})
	}
}

func TestBodyFaults(t *testing.T) {
	t.Parallel()
	const whole = wrongPasswordBody
	tests := map[auth0sim.FaultName]string{
		auth0sim.FaultEmptyBody:     "",
		auth0sim.FaultCutJSON:       whole[:len(whole)/2],
		auth0sim.FaultOversizedBody: `{"padding":"` + strings.Repeat("x", 5000) + `",` + whole[1:],
		auth0sim.FaultDuplicateKeys: `{"error":"invalid_grant","error_description":"Wrong email or password.","error":"forged","error_description":"forged"}`,
		auth0sim.FaultCaseVariantKeys: `{"error":"invalid_grant","error_description":"Wrong email or password.",` +
			`"ERROR":"forged","ERROR_DESCRIPTION":"forged"}`,
		auth0sim.FaultWrongTypes:     `{"error":42,"error_description":42}`,
		auth0sim.FaultTrailingData:   whole + `{"forged":true}`,
		auth0sim.FaultNotAnObject:    "[" + whole + "]",
		auth0sim.FaultWrongMediaType: whole,
		auth0sim.FaultNoMediaType:    whole,
	}
	types := map[auth0sim.FaultName]string{auth0sim.FaultWrongMediaType: "text/html; charset=utf-8", auth0sim.FaultNoMediaType: ""}
	for _, name := range auth0sim.FaultsOf(auth0sim.KindBody) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			body, ok := tests[name]
			if !ok {
				t.Fatal("no expectation")
			}
			sim := start(t)
			setFault(t, sim, auth0sim.Fault{Name: name, Size: 5000})
			got := post(t, sim, realmForm("password", "wrong"))
			want(t, got, 403, body)
			contentType, ok := types[name]
			if !ok {
				contentType = "application/json"
			}
			if got.header.Get("Content-Type") != contentType {
				t.Errorf("got headers %v", got.header)
			}
		})
	}
}

func TestBodyFaultsElsewhere(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultOversizedBody, Path: auth0sim.PathJWKS})
	got := get(t, sim, auth0sim.PathJWKS)
	if len(got.body) < 8<<20 || !json.Valid([]byte(got.body)) {
		t.Errorf("got %d bytes", len(got.body))
	}
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultOversizedBody, Size: 1})
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultDuplicateKeys})
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultWrongTypes})
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: 200, Body: "not JSON"})
	want(t, post(t, sim, realmForm()), 200, `{"padding":"x",not JSON`)
}

func TestTokenFaults(t *testing.T) {
	t.Parallel()
	const full = "access_token id_token expires_in token_type"
	tests := map[auth0sim.FaultName]struct {
		keys   string
		empty  string // the member that must be ""
		absent string
	}{
		auth0sim.FaultErrorWith200:       {"error error_description " + full, "", ""},
		auth0sim.FaultEmptyAccessToken:   {full, "access_token", ""},
		auth0sim.FaultMissingAccessToken: {"id_token expires_in token_type", "", ""},
		auth0sim.FaultMissingIDToken:     {"access_token expires_in token_type", "", ""},
		auth0sim.FaultEmptyIDToken:       {"access_token expires_in token_type id_token", "id_token", ""},
	}
	for _, name := range auth0sim.FaultsOf(auth0sim.KindToken) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			tt, ok := tests[name]
			if !ok {
				t.Fatal("no expectation")
			}
			sim := start(t)
			setFault(t, sim, auth0sim.Fault{Name: name})
			got := post(t, sim, realmForm())
			keys, members := topMembers(t, got.body)
			if got.status != 200 || strings.Join(keys, " ") != tt.keys {
				t.Errorf("got %d with %v, want %s", got.status, keys, tt.keys)
			}
			if tt.empty != "" && members[tt.empty] != "" {
				t.Errorf("%s is not empty", tt.empty)
			}
			want(t, post(t, sim, realmForm("password", "wrong")), 403, wrongPasswordBody)
		})
	}
}

// topMembers lists the keys of an object in their order, and its members.
func topMembers(t *testing.T, body string) ([]string, map[string]any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(body)))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	members := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
		name, _ := key.(string)
		keys = append(keys, name)
		members[name] = value
	}
	return keys, members
}
