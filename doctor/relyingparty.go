package doctor

import (
	"fmt"
	"net/url"
	"strings"

	"ferry/wiring"
)

const nameRelyingParty = "kratos_config.relying_party"

// The methods of Kratos whose keys are bound to a domain.
const (
	methodPasskey  = "passkey"
	methodWebAuthn = "webauthn"
)

// RelyingParties returns the domains that Kratos' passkeys and security keys are bound to,
// with the configuration given; empty where it names none.
func RelyingParties(kratosConfig []byte) (passkey, webAuthn string, err error) {
	config, err := parseKratosConfig(kratosConfig)
	if err != nil {
		return "", "", fmt.Errorf("read Kratos' configuration: %w", err)
	}
	passkey, webAuthn = config.text(relyingPartyKeys(methodPasskey)...), config.text(relyingPartyKeys(methodWebAuthn)...)
	if unresolved(passkey) || unresolved(webAuthn) {
		return "", "", fmt.Errorf("read Kratos' configuration: rp.id contains a variable")
	}
	return passkey, webAuthn, nil
}

func relyingPartyKeys(method string) []string {
	return []string{"selfservice", "methods", method, "config", "rp", "id"}
}

// checkRelyingParty compares the domain that Kratos' passkeys and security keys are bound to
// with the one where users enrolled theirs at Auth0: the domain of the login page, unless the
// tenant has another as relying party identifier.
func (e *doctor) checkRelyingParty() Check {
	var on []string
	for _, method := range []string{methodPasskey, methodWebAuthn} {
		if e.config.get("selfservice", "methods", method, "enabled") == true {
			on = append(on, method)
		}
	}
	issuer, err := url.Parse(e.Settings.Issuer)
	switch {
	case len(on) == 0:
		return ok("passkeys and security keys are not switched on in the file")
	case err != nil || issuer.Hostname() == "":
		return skipped("FERRY_AUTH0_DOMAIN is not set, or not valid")
	}
	auth0 := issuer.Hostname()
	for _, method := range on {
		if check := e.compareDomain(method, auth0); check.Status != OK {
			return check
		}
	}
	return ok("Kratos' passkeys and security keys are bound to %s, as those that users enrolled there at Auth0", auth0)
}

// compareDomain compares the domain of a method with Auth0's.
func (e *doctor) compareDomain(method, auth0 string) Check {
	key := strings.Join(relyingPartyKeys(method), ".")
	kind := map[string]string{methodPasskey: "passkeys", methodWebAuthn: "security keys"}[method]
	domain := e.config.text(relyingPartyKeys(method)...)
	const enroll = "users with such a key log in with their password and add a new key in Kratos' settings page"
	switch {
	case domain == "":
		return warn("make sure that Kratos has "+wiring.Variable(relyingPartyKeys(method)...)+" in its environment, or add it to the file",
			"%s is not in the file: it cannot be compared with the domain of the %s at Auth0", key, kind)
	case unresolved(domain):
		return warn("run doctor with the file that Kratos reads", "%s contains a variable: it cannot be compared", key)
	case strings.EqualFold(domain, auth0):
		return ok("")
	case strings.HasSuffix(auth0, ".auth0.com"):
		return warn("if users log in at a custom domain of Auth0, compare "+key+" with that instead; else "+enroll,
			"the %s that users enrolled at %s work only there: they cannot be imported, whatever %s is", kind, auth0, key)
	case strings.HasSuffix(auth0, "."+strings.ToLower(domain)):
		return warn("compare with the relying party identifier of the custom domain at Auth0 (Branding > Custom Domains), or with relying_party_identifier in the file of `ferry export --factors`; where they differ, "+enroll,
			"the %s of users are bound to %s, unless the custom domain at Auth0 has the relying party identifier %s, as Kratos has: without it, none can be imported", kind, auth0, domain)
	}
	return warn("if Kratos' pages are at "+auth0+" or below, and no one has a key at Kratos yet, set "+key+" to it; else "+enroll,
		"the %s of users are bound to %s, and Kratos' to %s: those enrolled at Auth0 cannot be imported, and do not work at Kratos", kind, auth0, domain)
}
