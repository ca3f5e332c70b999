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
	grantIdentity = "ferry-doctor-%s@ferry-doctor.invalid" // RFC 2606: the domain cannot exist
)

// auth0 checks the tenant's public endpoints, and sends one grant.
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
		s.skip("the connection is not trusted", nameIssuer, nameClock, nameKeys, nameGrant)
		return s.checks
	}
	s.run(ctx, nameIssuer, func(context.Context) Check { return e.checkIssuer(tenant, err) })
	s.run(ctx, nameClock, func(context.Context) Check { return e.checkClock(tenant) })
	s.run(ctx, nameKeys, e.checkKeys)
	s.run(ctx, nameGrant, e.checkGrant)
	return s.checks
}

// refusalOf returns the reason and the HTTP status of a refusal, or "" and 0.
func refusalOf(err error) (reason string, status int) {
	var refusal *upstream.LoginError
	if !errors.As(err, &refusal) {
		return "", 0
	}
	return refusal.Reason, refusal.Status
}

// reached checks whether Auth0 answers at all.
func (e *doctor) reached(err error) Check {
	reason, status := refusalOf(err)
	switch {
	case err == nil, status != 0, reason == upstream.ReasonTLS:
		return ok("%s answers", e.Settings.BaseURL)
	case reason == upstream.ReasonDNS:
		return fail("correct FERRY_AUTH0_DOMAIN (or FERRY_AUTH0_BASE_URL), or this machine's DNS",
			"the host of %s has no address: ferry cannot verify any login", e.Settings.BaseURL)
	case reason == upstream.ReasonTimeout:
		return fail("allow connections from this machine to Auth0 on port 443: firewall, egress rules, proxy (HTTPS_PROXY)",
			"%s does not answer in time: logins of pending identities fail with an error", e.Settings.BaseURL)
	}
	return fail("allow connections from this machine to Auth0 on port 443 (firewall, egress rules, HTTPS_PROXY), or correct FERRY_AUTH0_BASE_URL",
		"%s accepts no connection (%s): logins of pending identities fail with an error", e.Settings.BaseURL, reason)
}

func (e *doctor) encrypted(err error) Check {
	reason, _ := refusalOf(err)
	switch {
	case reason == upstream.ReasonTLS:
		detail, fix := certificateFault(e.Settings.BaseURL, "FERRY_AUTH0_DOMAIN (or FERRY_AUTH0_BASE_URL)", err, e.Now(),
			"install the certificate authority that signed the certificate (perhaps that of a TLS proxy), or correct FERRY_AUTH0_DOMAIN")
		return fail(fix, "%s: ferry sends no password over such a connection", detail)
	case strings.HasPrefix(e.Settings.BaseURL, "http://"):
		return ok("plain HTTP on loopback, for testing only")
	}
	return ok("the certificate of %s is trusted", e.Settings.BaseURL)
}

// again is the fix for temporary faults.
const again = "run doctor again; see status.auth0.com"

// passing reports whether a status is temporary: an outage, or a reached limit.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

func (e *doctor) checkIssuer(tenant upstream.Discovery, err error) Check {
	const fix = "set FERRY_AUTH0_DOMAIN to the domain in the issuer of your ID tokens (your custom domain if you use one)"
	reason, status := refusalOf(err)
	switch {
	case passing(status):
		return warn(again, "the issuer of ID tokens cannot be read now (status %d): logins of pending identities fail with an error meanwhile", status)
	case err != nil:
		return fail(fix, "%s is not an Auth0 tenant: its discovery document cannot be read (%s, status %d)", e.Settings.BaseURL, reason, status)
	case tenant.Issuer != e.Settings.Issuer:
		return fail(fix, "the issuer of ID tokens is %s, and with FERRY_AUTH0_DOMAIN ferry expects %s: logins with right passwords fail as garbled",
			plain(tenant.Issuer), e.Settings.Issuer)
	}
	return ok("the issuer of ID tokens is %s", e.Settings.Issuer)
}

func (e *doctor) checkClock(tenant upstream.Discovery) Check {
	const fix = "set this machine's clock: run NTP or chrony"
	if tenant.Date.IsZero() {
		return skipped("Auth0 sent no date")
	}
	off := e.Now().Sub(tenant.Date).Abs().Truncate(time.Second)
	switch {
	case off > upstream.LeewayOfTokens:
		return fail(fix, "this machine's clock and Auth0's differ by %s, more than %s: ferry refuses ID tokens", off, upstream.LeewayOfTokens)
	case off > clockWarn:
		return warn(fix, "this machine's clock and Auth0's differ by %s: ferry refuses ID tokens from %s on, and Auth0 refuses client assertions earlier", off, upstream.LeewayOfTokens)
	}
	return ok("this machine's clock and Auth0's differ by less than a minute")
}

func (e *doctor) checkKeys(ctx context.Context) Check {
	const fix = "make sure that https://DOMAIN/.well-known/jwks.json can be read from here, and that FERRY_AUTH0_DOMAIN is the tenant's domain"
	keys, err := e.Tenant.SigningKeys(ctx)
	reason, status := refusalOf(err)
	switch {
	case passing(status):
		return warn(again, "the tenant's signing keys cannot be read now (status %d): until then ferry calls /userinfo at every login, which Auth0 limits to 5 calls a minute for a user", status)
	case err != nil:
		return fail(fix, "the tenant's signing keys cannot be read (%s, status %d): ferry would call /userinfo at every login, which Auth0 limits to 5 calls a minute for a user", reason, status)
	case keys == 0:
		return fail(fix, "the tenant publishes no RSA signing key: ferry would call /userinfo at every login, which Auth0 limits to 5 calls a minute for a user")
	}
	return ok("%s to verify ID tokens with", count(keys, "key"))
}

// checkGrant sends the only grant of the checks, for a user that does not exist.
func (e *doctor) checkGrant(ctx context.Context) Check {
	switch {
	case e.NoGrant:
		return skipped("--no-grant: the client's credentials, the grant, the realm and the audience are not tested")
	case e.Auth0 == nil:
		return skipped("the settings for Auth0's application are not valid")
	}
	realm := ""
	if len(e.Settings.Realms) > 0 {
		realm = e.Settings.Realms[0]
	}
	trial := e.try(ctx, realm)
	if trial.Err == nil {
		return fail("do not use "+connection(realm)+" until it refuses unknown users; the cause may be a custom database script",
			"Auth0 accepted a user that does not exist, with a made-up password: anyone could take over any pending identity")
	}
	if trial.Err.Outcome == outcome.Mismatch {
		if trial.Limit > 0 && int64(e.Settings.RequestsPerSecond) > trial.Limit {
			return warn(fmt.Sprintf("set FERRY_AUTH0_REQUESTS_PER_SECOND below %d, or to 0", trial.Limit),
				"client, grant and %s are right, but FERRY_AUTH0_REQUESTS_PER_SECOND is %d, and Auth0 says that its rate limit is %d requests: in a rush of logins Auth0 would refuse some of them",
				connection(realm), e.Settings.RequestsPerSecond, trial.Limit)
		}
		return ok("Auth0 refused a user that does not exist, as expected: client, client authentication, grant, %s, audience and scope are right. Auth0 counts this as one failed login from this machine's address",
			connection(realm))
	}
	return e.refusedGrant(trial, realm)
}

// try sends a grant for a user that does not exist: one failed login from this machine.
func (e *doctor) try(ctx context.Context, realm string) upstream.Trial {
	return e.Auth0.Try(ctx, upstream.Credentials{
		Username: fmt.Sprintf(grantIdentity, e.ID()), Password: secret.New("no-" + e.ID()), Realm: realm,
	})
}

// connection describes a realm.
func connection(realm string) string {
	if realm == "" {
		return "the tenant's default directory"
	}
	return "the connection " + plain(realm)
}
