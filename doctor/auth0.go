package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ferry/outcome"
	"ferry/secret"
	"ferry/upstream"
)

const (
	nameDNS       = "auth0.dns"
	nameTLS       = "auth0.tls"
	nameIssuer    = "auth0.issuer"
	nameClock     = "auth0.clock"
	nameKeys      = "auth0.keys"
	nameGrant     = "auth0.grant"
	clockWarn     = time.Minute
	grantIdentity = "ferry-doctor-%s@ferry-doctor.invalid" // RFC 2606: no such domain can be
)

// auth0 looks at what the tenant tells everybody, and asks for one grant.
func (e *doctor) auth0(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	if e.Tenant == nil {
		s.skip("FERRY_AUTH0_DOMAIN is not set", nameDNS, nameTLS, nameIssuer, nameClock, nameKeys, nameGrant)
		return s.checks
	}
	var tenant upstream.Discovery
	var err error
	s.run(ctx, nameDNS, func(ctx context.Context) Check {
		tenant, err = e.Tenant.Discovery(ctx)
		return e.reached(err)
	})
	reason, status := refusalOf(err)
	if status == 0 && err != nil && reason != upstream.ReasonTLS {
		s.skip("Auth0 was not reached", nameTLS, nameIssuer, nameClock, nameKeys, nameGrant)
		return s.checks
	}
	s.run(ctx, nameTLS, func(context.Context) Check { return e.encrypted(err) })
	if reason == upstream.ReasonTLS {
		s.skip("there is no connection to trust", nameIssuer, nameClock, nameKeys, nameGrant)
		return s.checks
	}
	s.run(ctx, nameIssuer, func(context.Context) Check { return e.checkIssuer(tenant, err) })
	s.run(ctx, nameClock, func(context.Context) Check { return e.checkClock(tenant) })
	s.run(ctx, nameKeys, e.checkKeys)
	s.run(ctx, nameGrant, e.checkGrant)
	return s.checks
}

// refusalOf is the reason and the HTTP status of a refusal; empty and 0: none.
func refusalOf(err error) (reason string, status int) {
	var refusal *upstream.LoginError
	if !errors.As(err, &refusal) {
		return "", 0
	}
	return refusal.Reason, refusal.Status
}

// reached is about the way to Auth0, up to its first answer of any kind.
func (e *doctor) reached(err error) Check {
	reason, status := refusalOf(err)
	switch {
	case err == nil, status != 0, reason == upstream.ReasonTLS:
		return ok("%s is found and answers", e.Settings.BaseURL)
	case reason == upstream.ReasonDNS:
		return fail("mend FERRY_AUTH0_DOMAIN (or FERRY_AUTH0_BASE_URL), or this machine's DNS",
			"%s has no address: no login can be asked about", e.Settings.BaseURL)
	case reason == upstream.ReasonTimeout:
		return fail("let this machine out to Auth0 on port 443: firewall, egress rules, proxy (HTTPS_PROXY)",
			"%s does not answer in time: every login of a pending person ends in an error", e.Settings.BaseURL)
	}
	return fail("let this machine out to Auth0 on port 443 (firewall, egress rules, HTTPS_PROXY), or mend FERRY_AUTH0_BASE_URL",
		"%s takes no connection (%s): every login of a pending person ends in an error", e.Settings.BaseURL, reason)
}

func (e *doctor) encrypted(err error) Check {
	reason, _ := refusalOf(err)
	switch {
	case reason == upstream.ReasonTLS:
		detail, fix := certificateFault(e.Settings.BaseURL, "FERRY_AUTH0_DOMAIN (or FERRY_AUTH0_BASE_URL)", err, e.Now(),
			"install the certificate authority that signs what answers there (a proxy that looks into TLS?), or mend FERRY_AUTH0_DOMAIN")
		return fail(fix, "%s: ferry sends no password over such a connection", detail)
	case strings.HasPrefix(e.Settings.BaseURL, "http://"):
		return ok("plain HTTP, on loopback alone: for trying out")
	}
	return ok("the certificate of %s is trusted", e.Settings.BaseURL)
}

// again is the way out of what passes by itself.
const again = "run doctor again; see status.auth0.com"

// passing: Auth0 has an outage, or its limits are reached.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

func (e *doctor) checkIssuer(tenant upstream.Discovery, err error) Check {
	const fix = "set FERRY_AUTH0_DOMAIN to the domain as it stands in the issuer of your ID tokens (a custom domain where you use one)"
	reason, status := refusalOf(err)
	switch {
	case passing(status):
		return warn(again, "Auth0 does not say now by whom ID tokens are issued (status %d): every login of a pending person ends in an error while that lasts", status)
	case err != nil:
		return fail(fix, "%s is no Auth0 tenant: its discovery document cannot be read (%s, status %d)", e.Settings.BaseURL, reason, status)
	case tenant.Issuer != e.Settings.Issuer:
		return fail(fix, "ID tokens are issued by %s, and FERRY_AUTH0_DOMAIN makes ferry expect %s: every right password would count as garbled",
			plain(tenant.Issuer), e.Settings.Issuer)
	}
	return ok("ID tokens are issued by %s", e.Settings.Issuer)
}

func (e *doctor) checkClock(tenant upstream.Discovery) Check {
	const fix = "set this machine's clock: run NTP or chrony"
	if tenant.Date.IsZero() {
		return skipped("Auth0 sent no date to compare with")
	}
	off := e.Now().Sub(tenant.Date).Abs().Truncate(time.Second)
	switch {
	case off > upstream.LeewayOfTokens:
		return fail(fix, "this machine's clock and Auth0's are %s apart: ID tokens are refused, more than %s are too many", off, upstream.LeewayOfTokens)
	case off > clockWarn:
		return warn(fix, "this machine's clock and Auth0's are %s apart: from %s on, ID tokens are refused, and client assertions sooner", off, upstream.LeewayOfTokens)
	}
	return ok("this machine's clock and Auth0's agree to a minute")
}

func (e *doctor) checkKeys(ctx context.Context) Check {
	const fix = "see that https://DOMAIN/.well-known/jwks.json can be read from here, and that FERRY_AUTH0_DOMAIN is the tenant's"
	keys, err := e.Tenant.SigningKeys(ctx)
	reason, status := refusalOf(err)
	switch {
	case passing(status):
		return warn(again, "the tenant's signing keys cannot be read now (status %d): ferry asks /userinfo at every login until they can, which Auth0 limits to 5 a minute for a user", status)
	case err != nil:
		return fail(fix, "the tenant's signing keys cannot be read (%s, status %d): ferry would ask /userinfo at every login, which Auth0 limits to 5 a minute for a user", reason, status)
	case keys == 0:
		return fail(fix, "the tenant publishes no RSA key for signatures: ferry would ask /userinfo at every login, which Auth0 limits to 5 a minute for a user")
	}
	return ok("%s to verify ID tokens with", count(keys, "key"))
}

// checkGrant asks for the one grant of an examination, for a user that cannot exist.
func (e *doctor) checkGrant(ctx context.Context) Check {
	switch {
	case e.NoGrant:
		return skipped("--no-grant: the client's credentials, the grant, the realm and the audience are not tried")
	case e.Auth0 == nil:
		return skipped("the settings for Auth0's application cannot be used")
	}
	realm := ""
	if len(e.Settings.Realms) > 0 {
		realm = e.Settings.Realms[0]
	}
	trial := e.try(ctx, realm)
	if trial.Err == nil {
		return fail("ask nobody in "+connection(realm)+" until it refuses what it does not know: a custom database script, perhaps",
			"Auth0 accepted a user that cannot exist, with a made-up password: everybody could take over any pending identity")
	}
	if trial.Err.Outcome == outcome.Mismatch {
		return ok("Auth0 refused a user that cannot exist, as it should: client, its authentication, grant, %s, audience and scope are right. That was one failed login, counted against this machine's address",
			connection(realm))
	}
	return e.refusedGrant(trial, realm)
}

// try asks for a grant for a user that cannot exist: one failed login from this machine.
func (e *doctor) try(ctx context.Context, realm string) upstream.Trial {
	return e.Auth0.Try(ctx, upstream.Credentials{
		Username: fmt.Sprintf(grantIdentity, e.ID()), Password: secret.New("no-" + e.ID()), Realm: realm,
	})
}

// connection names a realm for people.
func connection(realm string) string {
	if realm == "" {
		return "the tenant's default directory"
	}
	return "the connection " + plain(realm)
}
