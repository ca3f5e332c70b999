package upstream_test

import (
	"net/http"
	"testing"

	"ferry/outcome"
)

// FuzzAnswer: whatever Auth0 answers, nothing panics, the password is sent once,
// and nobody is vouched for without a verified subject.
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
		_, refusal := ask(t, client)
		if refusal == nil {
			t.Fatal("vouched for without a subject")
		}
		if refusal.Outcome == outcome.Match || refusal.Outcome == 0 {
			t.Fatalf("outcome %d", refusal.Outcome)
		}
		if refusal.Outcome == outcome.Mismatch && status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Fatalf("a mismatch with status %d", status)
		}
		if n := tn.count("/oauth/token"); n != 1 {
			t.Fatalf("the password was sent %d times", n)
		}
	})
}
