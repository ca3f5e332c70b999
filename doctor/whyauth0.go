package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ferry/identifier"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/outcome"
	"ferry/upstream"
)

// atAuth0 checks the Auth0 users that the identity is bound to. It reports whether ferry
// marks an address of the identity as verified when the one of them who has the password
// logs in.
func (q *userCheck) atAuth0(ctx context.Context, r kratos.Record) (verified bool) {
	switch {
	case len(r.Binding.Subjects) == 0:
		return false
	case q.Management == nil:
		q.note("auth0_user", unseen("set FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET (scope "+scopeUsers+")",
			"the user at Auth0: whether it exists, is blocked, or has a second factor"))
		return false
	}
	var users []auth0User
	for _, subject := range r.Binding.Subjects {
		text, err := q.Management.LookUpUser(ctx, subject)
		var fault *upstream.ManagementError
		switch {
		case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
			continue // linked or deleted since; another user may have the password
		case err != nil:
			q.skip("auth0_user", unread(err, scopeUsers, "the user at Auth0"))
			return false
		}
		user, err := readUser(text)
		if err != nil {
			q.skip("auth0_user", warn("look up the user in Auth0's dashboard", "ferry cannot read Auth0's user"))
			return false
		}
		users = append(users, user)
	}
	if len(users) == 0 {
		q.note("deleted_at_auth0", fail("let the user recover the account at Kratos. If there is a new Auth0 user: `ferry rebind "+r.ID+" --to 'auth0|...' --reason ...`",
			"Auth0 no longer has a user that the identity is bound to: no password can match"))
		return false
	}
	return q.users(ctx, users, r)
}

// auth0User is an Auth0 user with the accounts that have a password.
type auth0User struct {
	mapping.Profile

	accounts []account
	atLogin  mapping.Profile // as an ID token describes the user
}

// account is an account with a password, and its identifiers at Auth0.
type account struct {
	mapping.Account

	linked      bool
	identifiers []string // empty: unknown
}

// readUser reads a user object, and the identifiers of each account with a password: from
// the user for the primary account, from profileData for linked ones.
func readUser(text []byte) (auth0User, error) {
	profile, err := mapping.FromUser(text)
	if err != nil {
		return auth0User{}, err
	}
	var raw any
	if err := json.Unmarshal(text, &raw); err != nil {
		return auth0User{}, err
	}
	user := auth0User{Profile: profile}
	user.atLogin, err = mapping.FromClaims(map[string]any{
		"sub": profile.UserID, "email": lookup(raw, "email"), "email_verified": lookup(raw, "email_verified"),
		"phone_number": lookup(raw, "phone_number"), "phone_number_verified": lookup(raw, "phone_verified"),
	})
	if err != nil {
		return auth0User{}, err
	}
	listed, _ := lookup(raw, "identities").([]any)
	for i, one := range profile.Accounts {
		if !one.HasPassword() {
			continue
		}
		a := account{Account: one, linked: one.Provider+"|"+one.UserID != profile.UserID}
		told := raw
		if a.linked {
			told = nil
			if i < len(listed) {
				told = lookup(listed[i], "profileData")
			}
		}
		for _, name := range []string{"email", "username", "phone_number"} {
			if identifier, _ := lookup(told, name).(string); identifier != "" {
				a.identifiers = append(a.identifiers, identifier)
			}
		}
		user.accounts = append(user.accounts, a)
	}
	return user, nil
}

// knownBy reports whether Auth0 finds the account by the identifier that ferry sends.
func (a account) knownBy(typed string) bool {
	return slices.ContainsFunc(a.identifiers, func(own string) bool {
		return identifier.Normalize(own) == typed || strings.HasPrefix(own, "+") && identifier.CompactPhone(own) == identifier.CompactPhone(typed)
	})
}

// realm returns the connection in which ferry verifies logins of the identity.
func (q *userCheck) realm(r kratos.Record) string {
	if r.Binding.Connection == "" && len(q.Settings.Realms) > 0 {
		return q.Settings.Realms[0]
	}
	return r.Binding.Connection
}

// users finds the account that ferry verifies, and checks its user.
func (q *userCheck) users(ctx context.Context, users []auth0User, r kratos.Record) (verified bool) {
	realm, before := q.realm(r), len(q.out.Findings)
	user, one := users[0], account{}
	passwords, found, known := false, false, false
	for _, candidate := range users {
		for _, a := range candidate.accounts {
			passwords = true
			if (realm != "" && a.Connection != realm) || known {
				continue
			}
			if match := a.knownBy(q.identifier); !found || match {
				user, one, found, known = candidate, a, true, match
			}
		}
	}
	switch {
	case !passwords:
		q.note("no_password_at_auth0", fail("let the user log in as before (social login), or recover the account at Kratos",
			"the user has no password at Auth0, only social logins"))
	case !found:
		q.note("other_connection", fail("`ferry reconcile` records the current connection; FERRY_AUTH0_REALMS must list it",
			"ferry uses %s, and the user's password at Auth0 is in another connection", connection(realm)))
	case !known && len(one.identifiers) > 0:
		q.note("other_identifier", q.otherIdentifier(one, realm))
	}
	q.state(ctx, user, realm)
	if len(q.out.Findings) == before {
		q.note("auth0_user", ok("Auth0 has the user, not blocked, with a password in %s", connection(realm)))
	}
	return q.marks(user, r)
}

// marks reports whether ferry marks an address of the identity as verified when the user
// logs in.
func (q *userCheck) marks(user auth0User, r kratos.Record) bool {
	profile := user.atLogin
	profile.Connection = q.realm(r)
	verified := q.Rules.Verified(profile)
	return slices.ContainsFunc(r.Addresses, func(a kratos.Address) bool {
		return slices.Contains(verified, mapping.Address{Value: a.Value, Via: a.Via}.Normalize())
	})
}

// otherIdentifier explains that the account has another identifier at Auth0.
func (q *userCheck) otherIdentifier(a account, realm string) Check {
	id := plain(a.Provider + "|" + a.UserID)
	switch {
	case slices.Contains(q.Settings.CustomRealms, realm):
		return warn("let the user try the identifier in the directory, or update the identity's traits",
			"the account %s has another identifier at Auth0: the directory may refuse this one", id)
	case a.linked:
		return fail("set the trait to the value of the account at Auth0 (Users > the user > Identities); or let the user recover the account at Kratos",
			"the password belongs to the linked account %s, which has another e-mail address than the user: Auth0 refuses this identifier with any password", id)
	}
	return fail("set the trait to the current value of the user at Auth0; or let the user recover the account at Kratos",
		"the user %s has another identifier at Auth0, perhaps changed since the import: Auth0 refuses this one with any password", id)
}

// state checks for reasons why Auth0 refuses the user.
func (q *userCheck) state(ctx context.Context, u auth0User, realm string) {
	if u.Blocked {
		q.note("blocked_at_auth0", fail("unblock the user at Auth0 (Users > the user > Actions > Unblock), if the user may log in",
			"an administrator has blocked the user at Auth0: ferry refuses every password"))
	}
	q.bruteForce(ctx, u, realm)
	if len(u.Factors) > 0 {
		q.note("second_factor", warn("exempt ferry's application from the second factor in a Post-Login Action, or let the user recover the account at Kratos",
			"the user has a second factor at Auth0: unless ferry's application is exempt from it, Auth0 refuses every password"))
	}
}

// mostAddresses is how many addresses a finding lists.
const mostAddresses = 3

// bruteForce checks for blocks after too many wrong passwords.
func (q *userCheck) bruteForce(ctx context.Context, u auth0User, realm string) {
	blocks, err := q.Management.UserBlocks(ctx, u.UserID)
	if err != nil {
		q.skip("auth0_blocks", unread(err, scopeUsers, "whether Auth0 blocks the user after too many wrong passwords"))
		return
	}
	var addresses []string
	everywhere := false
	for _, block := range blocks {
		if block.Connection != "" && realm != "" && block.Connection != realm || block.Identifier != "" && !(account{identifiers: []string{block.Identifier}}).knownBy(q.identifier) {
			continue // a block of another login of the same user
		}
		everywhere = everywhere || block.IP == ""
		addresses = append(addresses, plain(block.IP))
	}
	const fix = "find the source of the wrong passwords; then unblock: Users > the user > Actions > Unblock at Auth0, or DELETE /api/v2/user-blocks/"
	switch {
	case len(addresses) == 0:
		q.note("auth0_blocks", ok("Auth0 does not block the user for wrong passwords"))
	case everywhere:
		q.note("too_many_wrong_passwords", fail(fix+plain(u.UserID), "Auth0 locked the account after too many wrong passwords: it also refuses the right one"))
	default:
		if more := len(addresses) - mostAddresses; more > 0 {
			addresses = append(addresses[:mostAddresses], fmt.Sprintf("%d more", more))
		}
		q.note("too_many_wrong_passwords", fail(fix+plain(u.UserID),
			"after too many wrong passwords Auth0 blocks the user's logins from %s: from there it also refuses the right password", strings.Join(addresses, ", ")))
	}
}

// grant sends a grant to Auth0 for a user that does not exist, to check the client, the
// connection and Auth0 itself. It is one failed login, so it comes last, and only if there
// is no other reason for the login to fail.
func (q *userCheck) grant(ctx context.Context, r kratos.Record) {
	const name = "auth0_grant"
	switch {
	case q.failed():
		q.note(name, unseen("fix the findings first", "whether Auth0 answers ferry: the login fails for another reason"))
		return
	case q.NoGrant:
		q.note(name, unseen("omit --no-grant: the grant costs one failed login of a user that does not exist", "whether Auth0 answers ferry, and accepts its client and the connection"))
		return
	case q.Auth0 == nil:
		q.note(name, unseen("set FERRY_AUTH0_DOMAIN, FERRY_AUTH0_CLIENT_ID and FERRY_AUTH0_CLIENT_SECRET as the running ferry has them",
			"whether Auth0 answers ferry, and accepts its client and the connection"))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	realm := q.realm(r)
	trial := q.try(ctx, realm)
	if trial.Err == nil {
		q.note(name, fail("do not use "+connection(realm)+" until it refuses unknown users", "Auth0 accepted a user that does not exist, with a made-up password"))
		return
	}
	switch trial.Err.Outcome { //nolint:exhaustive // refusedGrant explains the rest
	case outcome.Mismatch, outcome.Denied, outcome.Blocked, outcome.Leaked, outcome.MFARequired:
		q.note(name, ok("Auth0 answers ferry, and accepts its client and %s; the grant was for a user that does not exist", connection(realm)))
	case outcome.Unavailable:
		q.note("auth0_down", fail(again, "Auth0 does not answer ferry (%s): logins of pending identities fail with an error", trial))
	default:
		q.note(name, q.refusedGrant(trial, realm))
	}
}
