package auth0sim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// userResponse answers with one user.
func userResponse(u User) response { return managementResponse(apiUser(u)) }

// managementResponse is a success of the Management API.
func managementResponse(v any) response {
	resp := jsonResponse(http.StatusOK, v)
	resp.header.Set("Content-Type", typeJSONUTF8)
	return resp
}

// apiUsers are users as the Management API shows them; never nil.
func apiUsers(users []User) []map[string]any {
	shown := make([]map[string]any, 0, len(users))
	for _, u := range users {
		shown = append(shown, apiUser(u))
	}
	return shown
}

// apiUser is a user as the Management API and the export show it: what only the
// simulator uses is left out, and the user's own identity comes first.
func apiUser(u User) map[string]any {
	shown := map[string]any{"user_id": u.ID, "identities": u.apiIdentities()}
	for name, text := range map[string]string{
		"email": u.Email, "username": u.Username, "phone_number": u.Phone, "name": u.Name, "given_name": u.GivenName,
		"family_name": u.FamilyName, "middle_name": u.MiddleName, "nickname": u.Nickname, "picture": u.Picture, "last_ip": u.LastIP,
	} {
		if text != "" {
			shown[name] = text
		}
	}
	for name, date := range map[string]time.Time{
		"created_at": u.CreatedAt, "updated_at": u.UpdatedAt, "last_login": u.LastLogin, "last_password_reset": u.LastPasswordReset,
	} {
		if !date.IsZero() {
			shown[name] = date.Format(time.RFC3339Nano)
		}
	}
	for name, metadata := range map[string]map[string]any{memberAppMetadata: u.AppMetadata, memberUserMetadata: u.UserMetadata} {
		if len(metadata) > 0 {
			shown[name] = metadata
		}
	}
	if u.Email != "" || u.EmailVerified {
		shown["email_verified"] = u.EmailVerified
	}
	if u.PhoneVerified {
		shown["phone_verified"] = true
	}
	if u.Blocked {
		shown["blocked"] = true
	}
	if u.LoginsCount > 0 {
		shown["logins_count"] = u.LoginsCount
	}
	if factors := u.factors(); len(factors) > 0 {
		shown["multifactor"] = factors
	}
	return shown
}

// factors are the second factors as the Management API shows them.
func (u User) factors() []any {
	if u.MFA && len(u.Multifactor) == 0 {
		return []any{"google-authenticator"}
	}
	var factors []any
	for _, provider := range u.Multifactor {
		factors = append(factors, provider)
	}
	return factors
}

// apiIdentity is an identity as the Management API shows it.
type apiIdentity struct {
	Connection string      `json:"connection"`
	UserID     string      `json:"user_id"`
	Provider   string      `json:"provider"`
	IsSocial   bool        `json:"isSocial"`
	Profile    *apiProfile `json:"profileData,omitempty"`
}

// apiProfile is the profile of a linked identity in the Management API.
type apiProfile struct {
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
	Username      string `json:"username,omitempty"`
	Phone         string `json:"phone_number,omitempty"`
	Name          string `json:"name,omitempty"`
}

func (u User) apiIdentities() []apiIdentity {
	provider, id, _ := strings.Cut(u.ID, "|")
	identities := []apiIdentity{{Connection: u.Connection, UserID: id, Provider: provider, IsSocial: isSocial(provider)}}
	for _, linked := range u.Identities {
		profile := &apiProfile{Email: linked.Email, Username: linked.Username, Phone: linked.Phone, Name: linked.Name}
		if linked.Email != "" {
			profile.EmailVerified = &linked.EmailVerified
		}
		identities = append(identities, apiIdentity{
			Connection: linked.Connection, UserID: linked.UserID, Provider: linked.Provider,
			IsSocial: linked.IsSocial || isSocial(linked.Provider), Profile: profile,
		})
	}
	return identities
}

// isSocial reports whether Auth0 calls a provider a social one; only the most
// common are known.
func isSocial(provider string) bool {
	return slices.Contains([]string{
		StrategyGoogle, StrategyFacebook, "apple", "github", "linkedin", "twitter", "windowslive",
	}, provider)
}

// enrolled reports whether the user has a second factor.
func (u User) enrolled() bool {
	return u.MFA || len(u.Multifactor) > 0 || slices.ContainsFunc(u.AuthenticationMethods, AuthenticationMethod.isFactor)
}

// livesIn reports whether the user has an identity in a connection.
func (u User) livesIn(connection string) bool {
	return u.Connection == connection || slices.ContainsFunc(u.Identities, func(i Identity) bool {
		return i.Connection == connection
	})
}
