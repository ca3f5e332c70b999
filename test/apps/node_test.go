//go:build apps

package apps

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"ferry/test/auth0sim"
)

// TestNode takes npm's auth0 and openid-client across, as TestOAuth2 does golang.org/x/oauth2.
// Both check the ID tokens against the host's issuer and keys.
func TestNode(t *testing.T) {
	s := newStack(t)
	ada := s.identity(t, auth0sim.DemoAdaID)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.host.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	// auth0 is for applications with a secret, which it sends in the body.
	for library, client := range map[string]string{"auth0": server, "openid-client": mobile} {
		t.Run(library, func(t *testing.T) {
			s.leadsTo(t, s.sim.URL(), false)
			step := func(name string, with map[string]string) map[string]any {
				t.Helper()
				with["library"], with["step"], with["client"], with["callback"] = library, name, client, callback
				with["secret"] = webSecret
				with["host"] = strings.TrimPrefix(s.host.URL, "https://")
				return node(t, ca, with)
			}
			verifier := oauth2.GenerateVerifier()
			begin, _ := step("begin", map[string]string{"verifier": verifier})["url"].(string)
			first := step("exchange", map[string]string{"verifier": verifier, "back": s.logIn(t, begin, "ada@example.test", password)})
			asked := s.sim.GrantRequests(auth0sim.GrantRefreshToken)
			s.leadsTo(t, s.ferry.TokenFrontURL(), false)
			second := step("refresh", map[string]string{"refresh": text(first, "refresh_token")})
			s.leadsTo(t, s.hydra.PublicURL(), true)
			third := step("refresh", map[string]string{"refresh": text(second, "refresh_token")})
			for want, tokens := range map[string]map[string]any{"Auth0": first, "the front": second, "Hydra": third} {
				subject := ada
				if want == "Auth0" {
					subject = auth0sim.DemoAdaID
				}
				if got := subjectOf(t, text(tokens, "id_token")); got != subject {
					t.Errorf("%s: tokens for %q, want %q", want, got, subject)
				}
			}
			if n := s.sim.GrantRequests(auth0sim.GrantRefreshToken) - asked; n != 1 {
				t.Errorf("Auth0 was asked %d times", n)
			}
		})
	}
}

// node runs one step of the application, which trusts the host's certificate.
func node(t *testing.T, ca string, with map[string]string) map[string]any {
	t.Helper()
	argument, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "client.mjs", string(argument))
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", with["step"], err, stderr.String())
	}
	var result map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatalf("%s: %v", with["step"], err)
	}
	return result
}

func text(tokens map[string]any, name string) string {
	value, _ := tokens[name].(string)
	return value
}

// subjectOf returns the subject of an ID token, which the library has checked.
func subjectOf(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not an ID token", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Subject
}
