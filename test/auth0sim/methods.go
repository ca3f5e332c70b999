package auth0sim

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// AuthenticationMethod is a way to prove who the user is, besides or instead of the password,
// with the members that Auth0 documents for the list of a user's methods. Secrets of
// authenticator apps, recovery codes and user handles are not among them.
type AuthenticationMethod struct {
	ID   string `json:"id"`
	Type string `json:"type"` // one of authenticationTypes
	// Confirmed is false while the enrollment is not complete.
	Confirmed *bool  `json:"confirmed,omitempty"`
	Name      string `json:"name,omitempty"`
	// Methods are the ways of one enrollment, of guardian and phone.
	Methods     []MethodProperties `json:"authentication_methods,omitempty"`
	Preferred   string             `json:"preferred_authentication_method,omitempty"`
	LinkID      string             `json:"link_id,omitempty"`
	PhoneNumber string             `json:"phone_number,omitempty"`
	Email       string             `json:"email,omitempty"`
	KeyID       string             `json:"key_id,omitempty"`
	PublicKey   string             `json:"public_key,omitempty"`
	CreatedAt   time.Time          `json:"created_at"`
	EnrolledAt  time.Time          `json:"enrolled_at,omitzero"`
	LastAuthAt  time.Time          `json:"last_auth_at,omitzero"`
	// The rest is of keys and passkeys.
	DeviceType   string `json:"credential_device_type,omitempty"`
	BackedUp     *bool  `json:"credential_backed_up,omitempty"`
	Identity     string `json:"identity_user_id,omitempty"`
	UserAgent    string `json:"user_agent,omitempty"`
	AAGUID       string `json:"aaguid,omitempty"`
	RelyingParty string `json:"relying_party_identifier,omitempty"`
}

// MethodProperties name one way of an enrollment.
type MethodProperties struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// The types of authentication methods that are no second factors.
const (
	methodPassword = "password"
	methodPasskey  = "passkey"
	methodRecovery = "recovery-code"
	methodVerified = "email-verification"
)

// authenticationTypes are the types that Auth0 documents.
func authenticationTypes() []string {
	return []string{
		methodRecovery, "totp", "push", "phone", "email", methodVerified, "webauthn-roaming", "webauthn-platform", "guardian",
		methodPasskey, methodPassword,
	}
}

// isFactor reports whether the method is a second factor that is asked for.
func (m AuthenticationMethod) isFactor() bool {
	return (m.Confirmed == nil || *m.Confirmed) && !slices.Contains([]string{methodRecovery, methodVerified, methodPasskey, methodPassword}, m.Type)
}

// checkMethods refuses methods that Auth0 cannot have.
func checkMethods(methods []AuthenticationMethod) error {
	for i, m := range methods {
		switch {
		case m.ID == "" || slices.ContainsFunc(methods[:i], func(other AuthenticationMethod) bool { return other.ID == m.ID }):
			return errors.New("authentication method: want an id of its own")
		case !slices.Contains(authenticationTypes(), m.Type):
			return fmt.Errorf("authentication method: no such type: %q", m.Type)
		}
	}
	return nil
}

const (
	paramPage, paramPerPage, paramTotals = "page", "per_page", "include_totals"

	defaultPerPage = 50
	maxPerPage     = 100
)

// methodsEndpoint is GET /api/v2/users/{id}/authentication-methods.
func (s *Server) methodsEndpoint() endpoint {
	managed := s.managed("GET", ScopeReadAuthenticationMethods, s.methodsOfUser)()
	managed.identify = func(x *exchange) { x.identifiers = []string{x.req.PathValue("id")} }
	return managed
}

func (s *Server) methodsOfUser(x *exchange) response {
	query, err := readQuery(x.req.URL.RawQuery, paramPage, paramPerPage, paramTotals)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	page, err := readNumber(query, paramPage, 0, 0, 1<<20)
	perPage, errPerPage := readNumber(query, paramPerPage, defaultPerPage, 1, maxPerPage)
	totals := query.Get(paramTotals)
	if err = errors.Join(err, errPerPage); err == nil && query.Has(paramTotals) && totals != "true" && totals != "false" {
		err = errors.New(paramTotals + ": expected a boolean")
	}
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	user, ok := s.User(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoUser)
	}
	start := min(page*perPage, len(user.AuthenticationMethods))
	shown := append([]AuthenticationMethod{}, user.AuthenticationMethods[start:min(start+perPage, len(user.AuthenticationMethods))]...)
	if totals != "true" {
		return managementResponse(shown)
	}
	return managementResponse(map[string]any{"start": page * perPage, "limit": perPage, "total": len(user.AuthenticationMethods), "authenticators": shown})
}

// readNumber reads a parameter that is a whole number within bounds.
func readNumber(query url.Values, name string, missing, least, most int) (int, error) {
	if !query.Has(name) {
		return missing, nil
	}
	number, err := strconv.Atoi(query.Get(name))
	if err != nil || number < least || number > most {
		return 0, fmt.Errorf("%s: expected an integer from %d to %d", name, least, most)
	}
	return number, nil
}
