package clients

import (
	"net/url"
	"slices"
	"strings"

	hydra "github.com/ory/hydra-client-go/v2"
)

// The policies of an API about the applications that may use it.
const (
	policyDenyAll = "deny_all"
	policyGrant   = "require_client_grant"
)

// subjectUser marks a client grant for tokens of users. Other client grants are for tokens of the
// application itself.
const subjectUser = "user"

// allowed is what the application may request at one API.
type allowed struct {
	audience      string
	user, machine []string // scopes
	forUsers      bool     // users may be there, also with no scope
	forMachine    bool     // it has a client grant, also with no scope
}

// access registers the scopes and audiences. Auth0 has no list of them for an application: users
// get the scopes of each API that its policy allows, and client_credentials those of the client
// grants.
//
// A client of Hydra has one list of scopes for all grants. A client with client_credentials must
// not get scopes there that Auth0 gives to users only, so it gets those of its client grants.
func (b *builder) access() {
	at := b.allowedAt()
	machines := slices.ContainsFunc(at, func(a allowed) bool { return a.forMachine })
	if b.has(grantMachine) && !machines {
		b.drop(grantMachine, "it has no client grant for an API of the tenant")
	}
	var scopes, audiences []string
	if b.usesIDTokens() {
		scopes = []string{"openid", "profile", "email", "address", "phone"}
		if b.has(grantRefresh) {
			scopes = append(scopes, "offline_access")
		}
	}
	for _, a := range at {
		granted := b.scopesAt(a)
		if granted == nil {
			continue
		}
		audiences = b.addAudience(audiences, a.audience)
		for _, scope := range granted {
			scopes = b.addScope(scopes, scope)
		}
	}
	b.noteMachine(at)
	if len(scopes) == 0 {
		scopes = []string{"openid"} // with none, Hydra gives its default, which is more
	}
	b.plan.Client.Scope, b.plan.Client.Audience = hydra.PtrString(strings.Join(scopes, " ")), audiences
	b.plan.Client.AccessTokenStrategy = hydra.PtrString("opaque")
	if len(audiences) > 0 {
		b.plan.Client.AccessTokenStrategy = hydra.PtrString("jwt")
	}
}

// allowedAt returns what the application may request at each API of the tenant's own.
func (b *builder) allowedAt() []allowed {
	var all []allowed
	for _, api := range b.tenant.apis {
		if api.System {
			continue
		}
		every := make([]string, 0, len(api.Scopes))
		for _, scope := range api.Scopes {
			every = append(every, scope.Value)
		}
		a := allowed{audience: api.Identifier}
		user, machine := b.grantsAt(api, every)
		if len(machine) > 0 && api.Policy.Client.Policy != policyDenyAll {
			a.forMachine, a.machine = true, slices.Concat(machine...)
		}
		switch policy := b.userPolicy(api); {
		case policy == policyDenyAll:
		case policy != policyGrant:
			a.forUsers, a.user = true, every
		case len(user) > 0:
			a.forUsers, a.user = true, slices.Concat(user...)
		}
		all = append(all, a)
	}
	return all
}

// grantsAt returns the scopes of each client grant at an API: for users, and for the application
// itself.
func (b *builder) grantsAt(at api, every []string) (user, machine [][]string) {
	for _, g := range b.tenant.grants {
		if g.ClientID != b.app.ID || g.Audience != at.Identifier {
			continue
		}
		if g.AllScopes {
			g.Scopes = every
		}
		if g.SubjectType == subjectUser {
			user = append(user, g.Scopes)
		} else {
			machine = append(machine, g.Scopes)
		}
	}
	return user, machine
}

// userPolicy is the policy of an API for tokens of users. A third party in strict mode needs a
// client grant.
func (b *builder) userPolicy(at api) string {
	if b.app.FirstParty != nil && !*b.app.FirstParty && b.app.SecurityMode == "strict" && at.Policy.User.Policy != policyDenyAll {
		return policyGrant
	}
	return at.Policy.User.Policy
}

// scopesAt returns the scopes of the client at an API; nil: it may not use the API.
func (b *builder) scopesAt(a allowed) []string {
	users, machine := b.usesIDTokens() && a.forUsers, b.has(grantMachine)
	switch {
	case !machine && users:
		return append([]string{}, a.user...)
	case !machine:
		return nil
	case users:
		if lost := slices.DeleteFunc(slices.Clone(a.user), func(s string) bool { return slices.Contains(a.machine, s) }); len(lost) > 0 || !a.forMachine {
			b.lose("grant_types", grantMachine, ReasonMachineScopes, "at "+a.audience+", users no longer get: "+listed(lost))
		}
	}
	if !a.forMachine {
		return nil
	}
	return append([]string{}, a.machine...)
}

// noteMachine records how client_credentials is different at Hydra.
func (b *builder) noteMachine(at []allowed) {
	if !b.has(grantMachine) {
		return
	}
	var first []string
	scoped, different, several := false, false, 0
	for _, a := range at {
		if !a.forMachine {
			continue
		}
		scopes := slices.Sorted(slices.Values(a.machine))
		if several++; several == 1 {
			first = scopes
		}
		scoped = scoped || len(scopes) > 0
		different = different || !slices.Equal(first, scopes)
	}
	if scoped {
		b.lose("grant_types", grantMachine, ReasonScopesRequested, "")
	}
	if different {
		b.lose("grant_types", grantMachine, ReasonScopesJoined, "")
	}
}

func (b *builder) addScope(scopes []string, scope string) []string {
	switch {
	case scope == "" || strings.ContainsAny(scope, " \t\r\n"):
		return scopes
	case slices.Contains(strings.Split(scope, "."), "*"):
		b.loseOnce("grant_types", scope, ReasonWildcardScope)
		return scopes
	}
	return addNew(scopes, scope)
}

func (b *builder) addAudience(audiences []string, audience string) []string {
	u, err := url.Parse(audience)
	switch {
	case err != nil || strings.ContainsAny(audience, " \t\r\n") || audience == "":
		b.loseOnce("grant_types", audience, ReasonAudience)
		return audiences
	case u.Opaque != "":
		b.loseOnce("grant_types", audience, ReasonLooseAudience)
	}
	return addNew(audiences, audience)
}

func (b *builder) loseOnce(field, value string, reason Reason) {
	if !slices.Contains(b.plan.Findings, Finding{field, value, reason, ""}) {
		b.lose(field, value, reason, "")
	}
}

// listed returns a short list of names.
func listed(names []string) string {
	const most = 10
	switch {
	case len(names) == 0:
		return "the audience"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
