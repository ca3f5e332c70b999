package upstream_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
)

// FuzzAnswer: for any answer, there is no panic, the password is sent once, and no
// login succeeds without a verified subject.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []struct {
		status      int
		contentType string
		body        string
	}{
		{200, "application/json", `{"access_token":"a","id_token":"e30.e30.e30"}`},
		{200, "application/json", `{"access_token":"a"}`},
		{403, "application/json", `{"error":"invalid_grant","error_description":"Wrong email or password."}`},
		{429, "application/json", `{"error":"too_many_attempts"}`},
		{500, "application/json", `{"error":"access_denied","error_description":"Global limit has been reached"}`},
		{502, "text/html", `<html>`},
		{200, "application/json", `{"access_token":"a","access_token":"b"}`},
		{302, "text/html", ``},
	} {
		f.Add(seed.status, seed.contentType, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 {
			status = 200 + (status&0x7fff)%400
		}
		tn, client := newTenant(t)
		tn.token = func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
		_, loginErr := ask(t, client)
		if loginErr == nil {
			t.Fatal("vouched for without a subject")
		}
		if loginErr.Outcome == outcome.Match || loginErr.Outcome == 0 {
			t.Fatalf("outcome %d", loginErr.Outcome)
		}
		if loginErr.Outcome == outcome.Mismatch && status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Fatalf("a mismatch with status %d", status)
		}
		if n := tn.count("/oauth/token"); n != 1 {
			t.Fatalf("the password was sent %d times", n)
		}
	})
}

// FuzzIDToken: of all signed tokens, only a valid one is accepted, and only for its
// subject.
func FuzzIDToken(f *testing.F) {
	now := time.Now().Unix()
	for _, seed := range []string{
		fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"auth0|alice","exp":%d}`, issuer, clientID, now+1<<30),
		fmt.Sprintf(`{"iss":%q,"aud":["x",%q],"azp":%q,"sub":"auth0|alice","exp":%d,"nbf":1}`, issuer, clientID, clientID, now+1<<30),
		fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"auth0|alice","Sub":"auth0|bob","exp":%d}`, issuer, clientID, now+1<<30),
		fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"auth0|alice","exp":%d,"Azp":"other","x":1e999}`, issuer, clientID, now+1<<30),
		`{"sub":1}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, claims []byte) {
		tn, client := newTenant(t)
		tn.token = sendJSON(http.StatusOK, tokens(sign(t, jose.RS256, "k1", key(), string(claims))))
		profile, loginErr := ask(t, client)
		if loginErr != nil {
			return
		}
		var read map[string]any
		dec := json.NewDecoder(bytes.NewReader(claims))
		dec.UseNumber()
		if err := dec.Decode(&read); err != nil {
			t.Fatalf("vouched by what encoding/json refuses: %v", err)
		}
		text := func(name string) string { value, _ := read[name].(string); return value }
		number, _ := read["exp"].(json.Number)
		exp, _ := number.Float64() // 0 without one
		if text("sub") == "" || profile.Subject != text("sub") || text("iss") != issuer || !strings.Contains(fmt.Sprint(read["aud"]), clientID) ||
			(text("azp") != "" && text("azp") != clientID) || exp < float64(time.Now().Add(-6*time.Minute).Unix()) {
			t.Fatalf("vouched by %s", claims)
		}
	})
}
