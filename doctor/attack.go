package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ferry/upstream"
)

// attackProtection looks at what Auth0 counts failed logins by. That is what a
// migration runs into first: all of its logins come from one address.
func (e *doctor) attackProtection(ctx context.Context, s *checkGroup, app upstream.Application) {
	var brute, address upstream.AttackProtection
	var err error
	bruteKnown := s.run(ctx, nameBruteForce, func(ctx context.Context) Check {
		if brute, err = e.Management.BruteForce(ctx); err != nil {
			return unread(err, scopeProtection, "brute-force protection")
		}
		return bruteForce(brute)
	}) && err == nil
	addressKnown := s.run(ctx, nameSuspicious, func(ctx context.Context) Check {
		if address, err = e.Management.SuspiciousIP(ctx); err != nil {
			return unread(err, scopeProtection, "suspicious-IP throttling")
		}
		return suspiciousIP(address)
	}) && err == nil
	s.run(ctx, nameForwardedIP, func(ctx context.Context) Check {
		if app.Grants == nil {
			return skipped("the application cannot be read: whether Auth0 believes the address that ferry names is not known")
		}
		if !bruteKnown || !addressKnown {
			return e.forwarded(ctx, app, Check{
				Status: Warn,
				Detail: "Auth0 takes every login for this machine's, and whether it blocks this machine for them is not known",
				Fix:    "add the scope " + scopeProtection + " to the Management API application",
			})
		}
		return e.forwarded(ctx, app, e.counted(brute, address))
	})
}

func bruteForce(p upstream.AttackProtection) Check {
	switch {
	case !p.Enabled || !p.Blocks:
		return ok("it does not block: Auth0 lets ferry ask as often as people try")
	case p.PerIdentifier:
		return warn("Security > Attack Protection > Brute-force Protection: while you migrate, count by identifier and IP address, not Account Lockout",
			"%s from anywhere lock an account everywhere, at the old login too", count(p.MaxAttempts, "wrong password"))
	}
	return ok("%s from one address block that address for the account", count(p.MaxAttempts, "wrong password"))
}

func suspiciousIP(p upstream.AttackProtection) Check {
	if !p.Enabled || !p.Blocks {
		return ok("it does not block: Auth0 lets this machine ask for everybody")
	}
	return ok("%s from one address block it for everybody; then one more is let through every %s",
		count(p.MaxAttempts, "wrong password"), time.Duration(p.EverySeconds)*time.Second)
}

// forwarded is ok where Auth0 counts people by their own addresses, else unforwarded.
func (e *doctor) forwarded(ctx context.Context, app upstream.Application, unforwarded Check) Check {
	const trust = "Applications > yours > Advanced Settings > OAuth: switch on Trust Token Endpoint IP Header"
	switch {
	case e.takesNoTemplate(ctx):
		return unforwarded // no setting brings ferry the address
	case e.Settings.ForwardClientIP && app.TrustsIPHeader:
		return ok("ferry names the person's address and Auth0 believes it: attack protection counts people")
	case e.Settings.ForwardClientIP:
		return fail(trust, "ferry names the person's address, and Auth0 does not believe it: the application's Trust Token Endpoint IP Header is off. %s", unforwarded.Detail)
	case app.TrustsIPHeader && unforwarded.Status == Fail:
		unforwarded.Fix = "set FERRY_AUTH0_FORWARD_CLIENT_IP=true with FERRY_TRUSTED_PROXIES (Auth0 believes the address already), or " + unforwarded.Fix
	case unforwarded.Status == Fail:
		unforwarded.Fix = trust + ", and set FERRY_AUTH0_FORWARD_CLIENT_IP=true with FERRY_TRUSTED_PROXIES; or " + unforwarded.Fix
	}
	return unforwarded
}

// counted says what becomes of a deployment whose logins all come from one address.
func (e *doctor) counted(brute, address upstream.AttackProtection) Check {
	blocks := address.Enabled && address.Blocks
	if !blocks && (!brute.Enabled || !brute.Blocks) {
		return ok("Auth0 takes every login for this machine's, but blocks no address")
	}
	const fix = "put this machine's public address on the allow lists of suspicious-IP throttling and brute-force protection (Security > Attack Protection), and name it with --egress"
	meaning := fmt.Sprintf("Auth0 takes every login for this machine's. After %s a day, all people's together, it refuses everybody, and lets one login through every %s",
		count(address.MaxAttempts, "wrong password"), time.Duration(address.EverySeconds)*time.Second)
	if !blocks {
		meaning = fmt.Sprintf("Auth0 takes every login for this machine's. %s for an account, whoever typed them, block it for everybody who logs in through ferry",
			count(brute.MaxAttempts, "wrong password"))
	}
	switch listed := e.allowlisted(address, blocks) && e.allowlisted(brute, brute.Enabled && brute.Blocks); {
	case len(e.Egress) > 0 && listed:
		return ok("Auth0 takes every login for this machine's, and its address is on the allow lists")
	case len(e.Egress) > 0:
		return fail(fix, "%s: its address is not on the allow lists", meaning)
	case blocks && len(address.Allowlist) == 0, !blocks && len(brute.Allowlist) == 0:
		return fail(fix, "%s: the allow lists are empty", meaning)
	}
	return warn("name the public address of this machine with --egress: doctor looks for it on the allow lists",
		"%s, unless its address is on the allow lists: they hold %s", meaning, plain(strings.Join(address.Allowlist, " ")))
}

// allowlisted reports whether every address of this machine is on the list, where it
// is needed there.
func (e *doctor) allowlisted(p upstream.AttackProtection, needed bool) bool {
	for _, ip := range e.Egress {
		if needed && !onList(ip, p.Allowlist) {
			return false
		}
	}
	return true
}

func onList(ip netip.Addr, list []string) bool {
	for _, entry := range list {
		if one, err := netip.ParseAddr(entry); err == nil && one.Unmap() == ip.Unmap() {
			return true
		}
		if network, err := netip.ParsePrefix(entry); err == nil && network.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}
