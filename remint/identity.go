package remint

import (
	"context"
	"errors"
	"slices"

	"ferry/hydra"
	"ferry/identifier"
	"ferry/kratos"
	"ferry/provision"
	"ferry/strictjson"
	"ferry/upstream"
	"ferry/wire"
)

// The reasons of resultRefused that are not those of package provision.
const (
	reasonNoIdentity = "no_identity"
	reasonSeveral    = "several_identities"
	reasonInactive   = "inactive"
)

// identityOf returns the one active identity that is bound to the user, and creates it if Kratos
// has none and that is allowed. The zero end: there is one.
func (j *job) identityOf(ctx context.Context, session upstream.Session) (id string, e end) {
	bound, err := j.bound(ctx, session.Profile.Subject, append(identifiersOf(session.Profile), j.opts.Logins(session.Profile.Subject)...))
	if err != nil {
		return "", end{is: resultUnavailable, reason: "kratos", fault: err}
	}
	if len(bound) == 0 {
		return j.create(ctx, session.Profile.Subject)
	}
	return theOne(bound)
}

// theOne returns the only identity, if it is active.
func theOne(bound []kratos.Record) (id string, e end) {
	switch {
	case len(bound) > 1:
		return "", end{is: resultRefused, reason: reasonSeveral}
	case !bound[0].Active:
		return bound[0].ID, end{is: resultRefused, reason: reasonInactive}
	}
	return bound[0].ID, end{}
}

// identifiersOf returns what Kratos may know the user by, normalized.
func identifiersOf(profile upstream.Profile) []string {
	var said struct {
		Username          any `json:"username"`
		PreferredUsername any `json:"preferred_username"`
	}
	if strictjson.Unmarshal([]byte(profile.Claims), &said, "app_metadata", "user_metadata") != nil {
		said.Username, said.PreferredUsername = nil, nil
	}
	username, _ := said.Username.(string)
	preferred, _ := said.PreferredUsername.(string)
	var all []string
	for _, typed := range []string{profile.Email, profile.Phone, username, preferred} {
		if one := identifier.Normalize(typed); one != "" && len(one) <= wire.MaxIdentifierBytes && !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// bound returns the identities that are bound to the user, among those that have one of the
// identifiers, or the user as external id.
func (j *job) bound(ctx context.Context, subject string, identifiers []string) ([]kratos.Record, error) {
	var found []kratos.Record
	add := func(one kratos.Record) {
		if one.Binding.Has(subject) && !slices.ContainsFunc(found, func(other kratos.Record) bool { return other.ID == one.ID }) {
			found = append(found, one)
		}
	}
	for _, one := range identifiers {
		owners, err := j.opts.Identities.Owners(ctx, one)
		if err != nil {
			return nil, err
		}
		for _, owner := range owners {
			add(owner)
		}
	}
	named, ok, err := j.opts.Identities.ByExternalID(ctx, subject)
	if err != nil {
		return nil, err
	}
	if ok {
		add(named)
	}
	return found, nil
}

// create creates the identity of the user. Kratos may have it under identifiers that only the
// Management API tells.
func (j *job) create(ctx context.Context, subject string) (id string, e end) {
	if j.opts.Users == nil {
		return "", end{is: resultRefused, reason: reasonNoIdentity}
	}
	if err := j.opts.Users.Ready(ctx); err != nil {
		return "", end{is: resultUnavailable, reason: provision.EnsureNotReady, fault: err}
	}
	made, err := j.opts.Users.BySubject(ctx, subject)
	switch {
	case errors.Is(err, provision.ErrOff), err == nil && made.Reason == provision.ReasonObserved:
		return "", end{is: resultPaused}
	case err != nil:
		return "", end{is: resultUnavailable, reason: provision.EnsureFailed, fault: err}
	case made.Created:
		return made.IdentityID, end{}
	}
	bound, err := j.bound(ctx, subject, made.Identifiers)
	switch {
	case err != nil:
		return "", end{is: resultUnavailable, reason: "kratos", fault: err}
	case len(bound) == 0:
		return "", end{is: resultRefused, reason: made.Reason}
	}
	return theOne(bound)
}

// maxClaimsBytes bounds the claims that are passed on. Every token of the chain has them.
const maxClaimsBytes = 16 << 10

// grantFor is what Auth0 had granted. offline_access is what a refresh token stands for.
func grantFor(identity string, session upstream.Session) hydra.Grant {
	scope := session.Scope
	if !session.ScopeKnown {
		scope = []string{hydra.ScopeOpenID}
	}
	return hydra.Grant{
		Subject: identity, Scope: scope, Audience: session.Audience, AMR: session.AMR, Claims: claimsOf(session.Profile),
	}
}

// claimsOf returns the claims about the user, without those of the token. Their values are what
// Auth0 said of this user just now.
func claimsOf(profile upstream.Profile) map[string]any {
	if len(profile.Claims) > maxClaimsBytes {
		return nil
	}
	read, err := strictjson.Value([]byte(profile.Claims), "app_metadata", "user_metadata")
	claims, isObject := read.(map[string]any)
	if err != nil || !isObject {
		return nil
	}
	for _, name := range []string{
		"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "auth_time", "rat", "nonce", "at_hash", "c_hash", "s_hash", "sid", "acr", "amr",
	} {
		delete(claims, name)
	}
	return claims
}
