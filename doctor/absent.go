package doctor

import (
	"context"
	"slices"
	"strings"

	"ferry/identifier"
	"ferry/mapping"
)

// absent explains that Kratos has no identity with the identifier.
func (q *userCheck) absent(ctx context.Context) {
	const detail = "no identity in Kratos has this identifier: Kratos calls the hook for known identities only"
	const fix = "import the user: `ferry import`; or the user registered with another identifier, or mistyped it"
	if q.Management == nil || !strings.Contains(q.identifier, "@") {
		q.note("not_in_kratos", fail(fix, detail))
		return
	}
	users, err := q.Management.LookUpEmail(ctx, q.identifier)
	switch {
	case err != nil:
		q.note("not_in_kratos", fail(fix, detail))
		q.skip("auth0_user", unread(err, scopeUsers, "whether Auth0 has the user"))
		return
	case len(users) == 0:
		q.note("not_in_kratos", fail("ask the user which address they registered with; Auth0 has no user with this address either", detail))
		return
	}
	if id, kind := q.otherwise(ctx, users); id != "" {
		q.note("another_identifier", fail("let the user log in with the "+kind+"; or put the address into a trait of the identity that is an identifier for passwords",
			"no identity in Kratos has this identifier, so the hook is not called. The Auth0 user with this address is identity %s, whose identifier is the %s", id, kind))
		return
	}
	q.note("not_in_kratos", fail("import them: `ferry export`, then `ferry import`, which imports only missing users", "%s. Auth0 has %s with this address", detail, count(len(users), "user")))
}

// otherwise looks for an identity that is bound to one of these Auth0 users and has another
// identifier of the user. It returns the identity's id and the kind of identifier.
func (q *userCheck) otherwise(ctx context.Context, users [][]byte) (id, kind string) {
	for _, text := range users {
		user, err := mapping.FromUser(text)
		if err != nil {
			continue
		}
		for _, other := range []struct{ claim, kind string }{{"preferred_username", "username"}, {"phone_number", "phone number"}} {
			name, _ := user.Claims[other.claim].(string)
			owners, err := q.Kratos.Owners(ctx, identifier.Normalize(name))
			if err != nil {
				continue // only the absence is reported
			}
			for _, owner := range owners {
				if slices.ContainsFunc(user.UserIDs, owner.Binding.Has) {
					return owner.ID, other.kind
				}
			}
		}
	}
	return "", ""
}
