package e2e

import (
	"fmt"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// pair is the address of an identity's owner, and a look-alike that is another mailbox.
type pair struct{ owner, other string }

// folded are look-alikes that Kratos 1.3.1 and 26.2 take for the owner's address, because they
// have the same lower case.
func folded() map[string]pair {
	return map[string]pair{
		"Kelvin sign":              {"kim@fold.example.org", "\u212aim@fold.example.org"},
		"Kelvin sign in the trait": {"\u212aay@fold.example.org", "kay@fold.example.org"},
		"dotted capital I":         {"irem@fold.example.org", "\u0130rem@fold.example.org"},
		"dotted I in the trait":    {"\u0130da@fold.example.org", "ida@fold.example.org"},
		"theta symbol":             {"θ@fold.example.org", "\u03f4@fold.example.org"},
		"Angstrom sign":            {"åsa@fold.example.org", "\u212bsa@fold.example.org"},
		"capital sharp s":          {"straße@fold.example.org", "STRA\u1e9eE@fold.example.org"},
		"Kelvin sign, the domain":  {"kim@kelvin.example.org", "kim@\u212aelvin.example.org"},
	}
}

// apart are look-alikes that both take for another address.
func apart() map[string]pair {
	return map[string]pair{
		"long s":           {"sam@apart.example.org", "\u017fam@apart.example.org"},
		"dotless i":        {"kim@apart.example.org", "k\u0131m@apart.example.org"},
		"i and a dot":      {"irem@apart.example.org", "i\u0307rem@apart.example.org"},
		"full width":       {"kay@apart.example.org", "ｋａｙ@apart.example.org"},
		"combining accent": {"josé@apart.example.org", "jose\u0301@apart.example.org"},
		"sharp s":          {"weiss@apart.example.org", "weiß@apart.example.org"},
		"ligature":         {"finn@apart.example.org", "ﬁnn@apart.example.org"},
		"final sigma":      {"σοσ@apart.example.org", "σος@apart.example.org"},
		"Cyrillic":         {"kit@apart.example.org", "k\u0456t@apart.example.org"},
		"zero-width space": {"kai@apart.example.org", "k\u200bai@apart.example.org"},
		"byte order mark":  {"ken@apart.example.org", "\ufeffken@apart.example.org"},
	}
}

// refused are look-alikes that both refuse as an e-mail address.
func refused() map[string]pair {
	return map[string]pair{
		"IDN and Punycode":    {"kim@xn--mller-kva.example.org", "kim@müller.example.org"},
		"full width, domain":  {"kim@a.example.org", "kim@ａ.example.org"},
		"ideographic stop":    {"kim@b.example.org", "kim@b。example.org"},
		"dot at the end":      {"kim@c.example.org", "kim@c.example.org."},
		"zero width, the end": {"kim@d.example.org", "kim@d.example.org\u200b"},
	}
}

// TestLookAlikes: with the address of another mailbox nobody gets into an identity, whatever
// Kratos takes the address for. In the worst case Auth0 knows the other mailbox by the address
// that ferry sends, and the password is right.
func TestLookAlikes(t *testing.T) {
	s := start(t, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_AUTH0_REALMS="+legacy+","+users, "FERRY_GATEWAY_REALMS="+users,
		"FERRY_AUTH0_CUSTOM_REALMS="+legacy, "FERRY_BINDING=verified_identifier", "FERRY_GATEWAY_PER_MINUTE=1000")
	if err := s.sim.AddConnection(auth0sim.Connection{Name: legacy, Custom: true}); err != nil { // keeps the case
		t.Fatal(err)
	}
	s.gatewayReady(t)
	for name, p := range folded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testFolded(t, s, p)
		})
	}
	for name, p := range apart() {
		t.Run(name, func(t *testing.T) { testApart(t, s, p, kratostest.SeesSession) })
	}
	for name, p := range refused() {
		t.Run(name, func(t *testing.T) { testApart(t, s, p, kratostest.SeesInvalidCredentials) })
	}
	t.Run("blanks", func(t *testing.T) {
		p := s.person(t, inUsers)
		p.check(t, s.kratos.LoginAPI, "\u3000\u00a0"+p.email+"\u2003\u0085", p.password, expect{kratostest.SeesSession, 1, 1, true})
	})
}

// inUsers binds an identity to its user in the connection users.
func inUsers(u *auth0sim.User, i *kratostest.IdentitySpec) {
	i.MetadataAdmin = map[string]any{"auth0": map[string]any{"user_id": u.ID, "connection": users}}
}

// testFolded logs in with the address of another mailbox that Kratos takes for the owner's:
// first into an identity that is bound to its owner, then into one without a binding.
func testFolded(t *testing.T, s *stack, p pair) {
	t.Helper()
	attacker, victim := "auth0|attacker "+p.owner, "auth0|victim "+p.owner
	password := "canary-Passw0rd " + p.other
	// The attacker has the other mailbox, and the owner's address as a username.
	if _, err := s.sim.AddUser(auth0sim.User{ID: attacker, Connection: legacy, Email: p.other, EmailVerified: true, Username: p.owner, Password: password}); err != nil {
		t.Fatal(err)
	}
	spec := kratostest.IdentitySpec{Traits: map[string]any{"email": p.owner}, Pending: true, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": victim, "connection": legacy}}}
	bound := s.foldedIdentity(t, spec, p, password)
	asked := 0
	for _, request := range s.sim.Requests() {
		if request.PasswordIs(password) {
			asked++
			if request.Username != p.owner {
				t.Errorf("Auth0 was asked about %q: not the address in the trait", request.Username)
			}
		}
	}
	if asked == 0 {
		t.Error("Auth0 was not asked")
	}
	if err := s.sim.DeleteUser(attacker); err != nil {
		t.Fatal(err)
	}
	// The owner gets in by either form.
	if _, err := s.sim.AddUser(auth0sim.User{ID: victim, Connection: legacy, Email: p.owner, EmailVerified: true, Password: "owner " + password}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.kratos.LoginAPI(t.Context(), p.other, "owner "+password); err != nil || got.Sees() != kratostest.SeesSession || got.IdentityID != bound {
		t.Errorf("the owner sees %q, %v", got.Sees(), err)
	}
	if err := s.kratos.Delete(t.Context(), bound); err != nil {
		t.Fatal(err)
	}
	if err := s.sim.DeleteUser(victim); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sim.AddUser(auth0sim.User{ID: attacker + "2", Connection: legacy, Email: p.other, EmailVerified: true, Username: p.owner, Password: password + "2"}); err != nil {
		t.Fatal(err)
	}
	spec.MetadataAdmin = nil
	s.foldedIdentity(t, spec, p, password+"2")
}

// foldedIdentity creates the identity, and attempts to log in by both forms.
func (s *stack) foldedIdentity(t *testing.T, spec kratostest.IdentitySpec, p pair, password string) string {
	t.Helper()
	id, err := s.kratos.CreateIdentity(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{p.other, p.owner} {
		if got, err := s.kratos.LoginAPI(t.Context(), typed, password); err != nil || got.Sees() != kratostest.SeesInvalidCredentials {
			t.Errorf("%v: %q sees %q, %v", spec.MetadataAdmin, typed, got.Sees(), err)
		}
	}
	if identity, err := s.kratos.Get(t.Context(), id); err != nil || !identity.Pending {
		t.Errorf("%v: %+v, %v", spec.MetadataAdmin, identity, err)
	}
	return id
}

// testApart logs in with the address of another mailbox that Kratos does not find: the gateway
// gives it an identity of its own, or none where Kratos refuses such an address.
func testApart(t *testing.T, s *stack, p pair, sees string) {
	t.Helper()
	owner := s.person(t, func(u *auth0sim.User, i *kratostest.IdentitySpec) {
		u.Email, i.Traits = p.owner, map[string]any{"email": p.owner}
		inUsers(u, i)
	})
	other := s.unknown(t, func(u *auth0sim.User) { u.Email = p.other })
	if got, err := s.kratos.LoginAPI(t.Context(), p.other, owner.password); err != nil || got.Sees() != kratostest.SeesInvalidCredentials {
		t.Errorf("the password of the owner: %q, %v", got.Sees(), err)
	}
	got, err := s.kratos.LoginAPI(t.Context(), p.other, other.password)
	if err != nil || got.Sees() != sees || got.IdentityID == owner.identity || sees == kratostest.SeesSession && fmt.Sprint(got.Traits["email"]) != p.other {
		t.Errorf("the other sees %q, %v, %v", got.Sees(), got.Traits, err)
	}
	owner.check(t, s.kratos.LoginAPI, p.owner, owner.password, expect{kratostest.SeesSession, 1, 1, true})
}
