package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ferry/upstream"
)

// attackProtection checks how Auth0 counts failed logins. All logins of a migration come
// from one address, so these limits are usually reached first.
func (e *doctor) attackProtection(ctx context.Context, s *checkGroup, app upstream.Application) {
	var brute, address upstream.AttackProtection
	var err error
	bruteKnown := s.run(ctx, nameBruteForce, func(ctx context.Context) Check {
		if brute, err = e.Management.BruteForce(ctx); err != nil {
			return unread(err, scopeProtection, "brute-force protection")
		}
		return e.bruteForce(brute)
	}) && err == nil
	addressKnown := s.run(ctx, nameSuspicious, func(ctx context.Context) Check {
		if address, err = e.Management.SuspiciousIP(ctx); err != nil {
			return unread(err, scopeProtection, "suspicious-IP throttling")
		}
		return e.suspiciousIP(address)
	}) && err == nil
	s.run(ctx, nameForwardedIP, func(ctx context.Context) Check {
		if app.Grants == nil {
			return skipped("the application cannot be read: it is unknown whether Auth0 trusts the client address that ferry sends")
		}
		if !bruteKnown || !addressKnown {
			return e.forwarded(ctx, app, Check{
				Status: Warn,
				Detail: "Auth0 attributes every login to this machine, and it is unknown whether it blocks this machine",
				Fix:    "add the scope " + scopeProtection + " to the Management API application",
			})
		}
		return e.forwarded(ctx, app, e.counted(brute, address))
	})
}

func (e *doctor) bruteForce(p upstream.AttackProtection) Check {
	switch {
	case !p.Enabled || !p.Blocks:
		return ok("it does not block logins")
	case p.PerIdentifier:
		return warn("Security > Attack Protection > Brute-force Protection: count by identifier and IP address during the migration, not Account Lockout",
			"%s from any address lock an account for all addresses, also at the old login", count(p.MaxAttempts, "wrong password"))
	case e.Settings.BruteForceAttempts > p.MaxAttempts:
		return fail(fmt.Sprintf("set FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=%d", max(p.MaxAttempts, 2)),
			"after %s from one address, Auth0 blocks that address for the account, and ferry stops after %d only", count(p.MaxAttempts, "wrong password"), e.Settings.BruteForceAttempts-1)
	}
	return ok("after %s from one address, Auth0 blocks that address for the account", count(p.MaxAttempts, "wrong password"))
}

func (e *doctor) suspiciousIP(p upstream.AttackProtection) Check {
	if !p.Enabled || !p.Blocks {
		return ok("it does not block logins")
	}
	if e.Settings.SuspiciousIPAttempts > p.MaxAttempts {
		return fail(fmt.Sprintf("set FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=%d", p.MaxAttempts),
			"after %s a day from one address, Auth0 blocks that address for all accounts, and FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS is %d", count(p.MaxAttempts, "wrong password"), e.Settings.SuspiciousIPAttempts)
	}
	return ok("after %s from one address, Auth0 blocks that address for all accounts, except for one login every %s",
		count(p.MaxAttempts, "wrong password"), time.Duration(p.EverySeconds)*time.Second)
}

// forwarded returns ok if Auth0 counts logins by client addresses, else unforwarded.
func (e *doctor) forwarded(ctx context.Context, app upstream.Application, unforwarded Check) Check {
	const trust = "Applications > yours > Advanced Settings > OAuth: switch on Trust Token Endpoint IP Header"
	switch {
	case e.takesNoTemplate(ctx):
		return unforwarded // no setting makes Kratos send the address
	case e.Settings.ForwardClientIP && app.TrustsIPHeader:
		return ok("ferry sends the client address and Auth0 trusts it: attack protection counts by the user's address")
	case e.Settings.ForwardClientIP:
		return fail(trust, "ferry sends the client address, and Auth0 does not trust it: the application's Trust Token Endpoint IP Header is off. %s", unforwarded.Detail)
	case app.TrustsIPHeader && unforwarded.Status == Fail:
		unforwarded.Fix = "set FERRY_AUTH0_FORWARD_CLIENT_IP=true with FERRY_TRUSTED_PROXIES (Auth0 trusts the address already), or " + unforwarded.Fix
	case unforwarded.Status == Fail:
		unforwarded.Fix = trust + ", and set FERRY_AUTH0_FORWARD_CLIENT_IP=true with FERRY_TRUSTED_PROXIES; or " + unforwarded.Fix
	}
	return unforwarded
}

// counted reports what happens if all logins come from one address.
func (e *doctor) counted(brute, address upstream.AttackProtection) Check {
	blocks := address.Enabled && address.Blocks
	if !blocks && (!brute.Enabled || !brute.Blocks) {
		return ok("Auth0 attributes every login to this machine, but blocks no address")
	}
	const fix = "put this machine's public address on the allow lists of suspicious-IP throttling and brute-force protection (Security > Attack Protection), and give it with --egress"
	meaning := fmt.Sprintf("Auth0 attributes every login to this machine. After %s a day, of all users together, it refuses all logins except for one every %s",
		count(address.MaxAttempts, "wrong password"), time.Duration(address.EverySeconds)*time.Second)
	if !blocks {
		meaning = fmt.Sprintf("Auth0 attributes every login to this machine. After %s for an account it blocks all logins to it through ferry, including the owner's",
			count(brute.MaxAttempts, "wrong password"))
	}
	switch listed := e.allowlisted(address, blocks) && e.allowlisted(brute, brute.Enabled && brute.Blocks); {
	case len(e.Egress) > 0 && listed:
		return ok("Auth0 attributes every login to this machine, and its address is on the allow lists")
	case len(e.Egress) > 0:
		return fail(fix, "%s: its address is not on the allow lists", meaning)
	case blocks && len(address.Allowlist) == 0, !blocks && len(brute.Allowlist) == 0:
		return fail(fix, "%s: the allow lists are empty", meaning)
	}
	return warn("give the public address of this machine with --egress: doctor then looks for it on the allow lists",
		"%s, unless its address is on the allow lists, which contain %s", meaning, plain(strings.Join(address.Allowlist, " ")))
}

// allowlisted reports whether all addresses of this machine are on the list, or are not
// needed there.
func (e *doctor) allowlisted(p upstream.AttackProtection, needed bool) bool {
	for _, ip := range e.Egress {
		if needed && !onList(ip, p.Allowlist) {
			return false
		}
	}
	return true
}

// perDay is the time between two of so many events a day.
func perDay(n int) time.Duration { return (24 * time.Hour / time.Duration(n)).Round(time.Second) }

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
