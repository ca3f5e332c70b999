package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
)

// CheckBridge refuses an id that cannot be that of an OIDC provider of Kratos, or that is one of
// the providers.
func CheckBridge(id string, providers Providers) error {
	if strings.ContainsAny(id, ":= /") {
		return fmt.Errorf("bridge %q: want the id of an OIDC provider of Kratos", id)
	}
	if id != "" && slices.Contains(slices.Collect(maps.Values(providers)), id) {
		return errors.New("bridge: the provider " + id + " has other subjects, those of --provider")
	}
	return nil
}

// logins are the ways to log in that an identity gets besides its password.
type logins struct {
	social, bridge []kratos.Social
	factors        factors
	// only says why nothing but the bridge lets the user in; empty: something else does.
	only results.Cause
}

// bridgeOnly reports whether the bridge alone lets the user in.
func (l logins) bridgeOnly() bool { return l.only.Reason != "" }

// none reports whether nothing lets the user in.
func (l logins) none() bool { return l.bridgeOnly() && len(l.bridge) == 0 }

// logins finds the ways to log in. A user with a second factor that Kratos cannot take has the
// bridge alone, where Auth0 asks for the factor.
func (o *Options) logins(s *draft, profile mapping.Profile, handles []mapping.Handle) logins {
	l := logins{social: o.social(profile, s), factors: o.factors(profile), bridge: o.bridge(profile, handles)}
	why := "Auth0 did not verify an address"
	detail, in := o.weighFactors(s, profile, l.factors)
	switch {
	case !in:
		l.social, l.factors, l.only = nil, factors{}, results.Because(results.ReasonMFA, detail)
		if len(l.bridge) > 0 && slices.ContainsFunc(handles, func(h mapping.Handle) bool { return h.Code != "" }) {
			l.bridge, why = nil, "Kratos could send a code for the login, which asks for no second factor"
		}
	case !s.database && len(l.social) == 0 && !s.code:
		l.only = results.Because(results.ReasonNoLogin, "no password at Auth0, and "+o.unnamed(profile))
	}
	if s.bridgeLeftOut = o.Bridge != "" && len(l.bridge) == 0; s.bridgeLeftOut && l.bridgeOnly() {
		l.only = l.only.Also("no login at the bridge: " + why)
	}
	return l
}

// bridge returns the logins at the bridge: one for each subject that Auth0 can name.
//
// A user whose login Auth0 itself checks gets one only if Auth0 verified every address of the
// identity. Else the owner of the address could recover the identity, and would share it with
// whoever signed up at Auth0 with it: unlike the pending state, which ends with the recovery,
// the login at the bridge stays. Where others check the login, the rule is that of social.
func (o *Options) bridge(profile mapping.Profile, handles []mapping.Handle) []kratos.Social {
	if o.Bridge == "" || slices.ContainsFunc(profile.Accounts, isLocal) && !allVerified(profile, handles) {
		return nil
	}
	var all []kratos.Social
	for _, subject := range profile.Subjects() {
		all = append(all, kratos.Social{Provider: o.Bridge, Subject: subject})
	}
	return all
}

// allVerified reports whether Auth0 calls every address among the handles verified, as social
// asks of the e-mail address: whether the rules trust its source does not matter.
func allVerified(profile mapping.Profile, handles []mapping.Handle) bool {
	verified := append(everySource().Verified(profile), profile.Codes...)
	return !slices.ContainsFunc(handles, func(h mapping.Handle) bool {
		return h.Via != "" && !slices.Contains(verified, mapping.Address{Value: h.Value, Via: h.Via}.Normalize())
	})
}
