package clients

import (
	"net/url"
	"strconv"
	"time"

	hydra "github.com/ory/hydra-client-go/v2"
)

// idTokenAlg refuses applications whose ID tokens Hydra cannot sign.
func (b *builder) idTokenAlg() {
	if alg := b.app.JWT.Alg; alg != "" && alg != "RS256" && b.usesIDTokens() {
		b.refuse("jwt_configuration.alg", alg, ReasonIDTokenAlg, "")
	}
}

// lifespan writes seconds as Hydra prints a duration; nil: there is none.
func lifespan(seconds float64) *string {
	if !(seconds >= 1) {
		return nil
	}
	return hydra.PtrString((time.Duration(seconds) * time.Second).String())
}

func (b *builder) idTokenLifetime() {
	lifetime, client := lifespan(b.app.JWT.LifetimeSeconds), &b.plan.Client
	if b.has(grantCode) {
		client.AuthorizationCodeGrantIdTokenLifespan = lifetime
	}
	if b.has(grantRefresh) {
		client.RefreshTokenGrantIdTokenLifespan = lifetime
	}
	if b.has(grantImplicit) {
		client.ImplicitGrantIdTokenLifespan = lifetime
	}
}

// never is a lifespan without an end: Hydra sets an expiry only for -1 or more, in nanoseconds.
const never = "-1ns"

// refreshToken sets how long refresh tokens live. Hydra rotates all of them, and each use starts
// the lifetime again, as the idle lifetime at Auth0.
func (b *builder) refreshToken() {
	r := b.app.RefreshToken
	if !b.has(grantRefresh) {
		return
	}
	if r.Rotation != "rotating" {
		b.lose("refresh_token.rotation_type", r.Rotation, ReasonAlwaysRotates, "")
	}
	if r.Leeway > 0 {
		b.lose("refresh_token.leeway", strconv.FormatFloat(r.Leeway, 'f', -1, 64), ReasonLeeway, "")
	}
	lifetime := hydra.PtrString(never)
	if r.Expiration == "expiring" {
		idle, absolute := lifespan(r.Idle), lifespan(r.Lifetime)
		if absolute != nil && !r.InfiniteLifetime {
			b.lose("refresh_token.token_lifetime", strconv.FormatFloat(r.Lifetime, 'f', -1, 64), ReasonAbsolute, "")
			lifetime = absolute
		}
		if idle != nil && !r.InfiniteIdle {
			lifetime = idle
		}
	}
	if b.has(grantCode) {
		b.plan.Client.AuthorizationCodeGrantRefreshTokenLifespan = lifetime
	}
	b.plan.Client.RefreshTokenGrantRefreshTokenLifespan = lifetime
}

func (b *builder) firstParty() {
	skip := b.app.FirstParty == nil || *b.app.FirstParty // Auth0's default
	b.plan.Client.SkipConsent, b.plan.Client.SkipLogoutConsent = &skip, &skip
}

func (b *builder) logo() {
	if b.app.LogoURI == "" {
		return
	}
	u, err := url.Parse(b.app.LogoURI)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		b.lose("logo_uri", b.app.LogoURI, ReasonInvalidURL, "")
		return
	}
	b.plan.Client.LogoUri = &b.app.LogoURI
}

// metadata keeps what says to people and programs which application the client was.
func (b *builder) metadata() {
	auth0 := map[string]any{"tenant": b.tenant.Domain}
	for _, name := range []string{"app_type", "description", "client_metadata"} {
		if value := b.app.at(name); isSet(value) {
			auth0[name] = value
		}
	}
	b.plan.Client.Metadata = map[string]any{MetadataAuth0: auth0}
}

// MetadataAuth0 is the key in the metadata of a client for what Auth0 says of the application.
const MetadataAuth0 = "auth0"

func (b *builder) pushedRequests() {
	if b.app.PushedRequests {
		b.refuse("require_pushed_authorization_requests", "true", ReasonPushedRequests, "")
	}
}

func (b *builder) possession() {
	if b.app.Possession {
		b.refuse("require_proof_of_possession", "true", ReasonProofOfPossession, "")
	}
}
