package clients

import (
	"slices"
	"strings"
)

// The grants of Hydra.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantMachine = "client_credentials"
	// grantImplicit is not OAuth 2.1 any more; applications at Auth0 still use it.
	grantImplicit = "implicit"
	grantDevice   = "urn:ietf:params:oauth:grant-type:device_code"
)

// grantTypes registers the grants that Hydra has and the application can use, and with them the
// response types, scopes and audiences.
func (b *builder) grantTypes() {
	for _, name := range b.app.GrantTypes {
		switch {
		case slices.Contains([]string{grantCode, grantRefresh, grantMachine, grantImplicit}, name), name == grantDevice && b.opts.Features.DeviceGrant:
			b.grants = addNew(b.grants, name)
		case name == grantDevice:
			b.lose("grant_types", name, ReasonGrant, "Hydra 26.2 has it")
		default:
			b.lose("grant_types", name, ReasonGrant, "")
		}
	}
	b.withoutCallbacks()
	if b.has(grantMachine) && b.public {
		b.drop(grantMachine, "the client has no secret")
	}
	b.access()
	if len(b.grants) == 0 {
		b.refuse("grant_types", strings.Join(b.app.GrantTypes, " "), ReasonNoGrant, "")
	}
	b.plan.Client.GrantTypes = b.grants
	b.plan.Client.ResponseTypes = b.responseTypes()
}

func (b *builder) has(grant string) bool { return slices.Contains(b.grants, grant) }

// drop removes a grant that the application cannot use.
func (b *builder) drop(grant, why string) {
	b.grants = slices.DeleteFunc(b.grants, func(g string) bool { return g == grant })
	b.lose("grant_types", grant, ReasonUnusedGrant, why)
}

// withoutCallbacks handles applications without a usable redirect URI. One that has callbacks,
// none of which Hydra can match, is refused. One that never had any loses the grants that need
// one.
func (b *builder) withoutCallbacks() {
	if len(b.plan.Client.RedirectUris) > 0 {
		return
	}
	for _, grant := range []string{grantCode, grantImplicit, grantRefresh} {
		if !b.has(grant) || grant == grantRefresh && b.has(grantDevice) {
			continue
		}
		if len(b.app.Callbacks) > 0 {
			b.refuse("callbacks", "", ReasonNoCallback, "")
			continue
		}
		b.drop(grant, "the application has no callback")
	}
}

// responseTypes are those that the grants allow (OAuth 2.0 Multiple Response Type Encoding
// Practices). Hydra's default is none.
func (b *builder) responseTypes() []string {
	var types []string
	if b.has(grantCode) {
		types = append(types, "code")
	}
	if b.has(grantImplicit) {
		types = append(types, "id_token", "token", "id_token token")
	}
	if b.has(grantCode) && b.has(grantImplicit) {
		types = append(types, "code id_token", "code token", "code id_token token")
	}
	return types
}

// usesIDTokens reports whether a grant of the client gives ID tokens.
func (b *builder) usesIDTokens() bool {
	return b.has(grantCode) || b.has(grantImplicit) || b.has(grantDevice)
}
