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

// atAuth0 looks at the users that the identity is bound to. It reports whether Auth0 has
// verified the e-mail address of the one who logs in.
func (q *userCheck) atAuth0(ctx context.Context, r kratos.Record) (verified bool) {
	switch {
	case len(r.Binding.Subjects) == 0:
		return false // nobody to look at
	case q.Management == nil:
		q.note("auth0_user", unseen("set FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET (scope "+scopeUsers+")",
			"the person at Auth0: whether the user is there, is blocked, has a second factor"))
		return false
	}
	var users []auth0User
	for _, subject := range r.Binding.Subjects {
		text, err := q.Management.LookUpUser(ctx, subject)
		var fault *upstream.ManagementError
		switch {
		case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
			continue // linked since, or deleted; another may have the password
		case err != nil:
			q.skip("auth0_user", unread(err, scopeUsers, "the person at Auth0"))
			return false
		}
		user, err := readUser(text)
		if err != nil {
			q.skip("auth0_user", warn("look the person up in Auth0's dashboard", "ferry cannot read what Auth0 says of the person"))
			return false
		}
		users = append(users, user)
	}
	if len(users) == 0 {
		q.note("deleted_at_auth0", fail("let the person recover the account at Kratos. Where they have a new Auth0 user: `ferry rebind "+r.ID+" --to 'auth0|...' --reason ...`",
			"Auth0 has no user any more that the identity is bound to: no password can match"))
		return false
	}
	return q.users(ctx, users, r)
}

// auth0User is a user of Auth0's with the accounts that have a password.
type auth0User struct {
	mapping.Profile

	accounts []account
}

// account is an account with a password, and what it is known by at Auth0.
type account struct {
	mapping.Account

	linked      bool
	identifiers []string // empty: not told
}

// readUser reads a user object, and what each account with a password is known by: the
// user itself for the primary one, profileData for those that are linked.
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

// knownBy reports whether Auth0 finds the account by the identifier that ferry asks for.
func (a account) knownBy(typed string) bool {
	return slices.ContainsFunc(a.identifiers, func(own string) bool {
		return identifier.Normalize(own) == typed || strings.HasPrefix(own, "+") && identifier.CompactPhone(own) == identifier.CompactPhone(typed)
	})
}

// realm is the connection that ferry asks about the identity.
func (q *userCheck) realm(r kratos.Record) string {
	if r.Binding.Connection == "" && len(q.Settings.Realms) > 0 {
		return q.Settings.Realms[0]
	}
	return r.Binding.Connection
}

// users looks for the account that ferry asks about, and at the user who has it.
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
		q.note("no_password_at_auth0", fail("let the person log in as before (social login), or recover the account at Kratos",
			"the person has no password at Auth0, only social logins"))
	case !found:
		q.note("other_connection", fail("`ferry reconcile` records the connection anew; FERRY_AUTH0_REALMS must list it",
			"ferry asks %s, and the person's password at Auth0 is in another connection", connection(realm)))
	case !known && len(one.identifiers) > 0:
		q.note("other_identifier", q.otherIdentifier(one, realm))
	}
	q.state(ctx, user, realm)
	if len(q.out.Findings) == before {
		q.note("auth0_user", ok("Auth0 has the person, not blocked, with a password in %s", connection(realm)))
	}
	verified, _ = user.Claims["email_verified"].(bool)
	return verified
}

// otherIdentifier is an account that Auth0 does not know by what the person types.
func (q *userCheck) otherIdentifier(a account, realm string) Finding {
	id := plain(a.Provider + "|" + a.UserID)
	switch {
	case slices.Contains(q.Settings.CustomRealms, realm):
		return warn("let the person try what the directory knows them by, or bring the identity's traits up to date",
			"Auth0 has another identifier for the account %s than this one: the directory may refuse it", id)
	case a.linked:
		return fail("give the identity the trait that the account has at Auth0 (Users > the user > Identities); or let the person recover the account at Kratos",
			"the password belongs to the linked account %s, which has another e-mail address than the user: Auth0 refuses this identifier, whatever the password", id)
	}
	return fail("give the identity the trait that the user has at Auth0 now; or let the person recover the account at Kratos",
		"Auth0 has another identifier for the user %s than this one (changed there since the import?): it refuses this one, whatever the password", id)
}

// state looks at what Auth0 holds against the user.
func (q *userCheck) state(ctx context.Context, u auth0User, realm string) {
	if u.Blocked {
		q.note("blocked_at_auth0", fail("unblock the user at Auth0 (Users > the user > Actions > Unblock), if they are to log in",
			"an administrator has blocked the user at Auth0: ferry refuses every password"))
	}
	q.bruteForce(ctx, u, realm)
	if len(u.Factors) > 0 {
		q.note("second_factor", warn("exempt ferry's application from the second factor in a Post-Login Action, or let the person recover the account at Kratos",
			"the person has a second factor at Auth0: unless ferry's application is exempt from it, Auth0 refuses every password"))
	}
}

// mostAddresses are named at most.
const mostAddresses = 3

// bruteForce looks at Auth0's blocks after too many wrong passwords.
func (q *userCheck) bruteForce(ctx context.Context, u auth0User, realm string) {
	blocks, err := q.Management.UserBlocks(ctx, u.UserID)
	if err != nil {
		q.skip("auth0_blocks", unread(err, scopeUsers, "whether Auth0 blocks the person after too many wrong passwords"))
		return
	}
	var addresses []string
	everywhere := false
	for _, block := range blocks {
		if block.Connection != "" && realm != "" && block.Connection != realm || block.Identifier != "" && !(account{identifiers: []string{block.Identifier}}).knownBy(q.identifier) {
			continue // of another login of the same user
		}
		everywhere = everywhere || block.IP == ""
		addresses = append(addresses, plain(block.IP))
	}
	const fix = "see who types the wrong passwords; then unblock: Users > the user > Actions > Unblock at Auth0, or DELETE /api/v2/user-blocks/"
	switch {
	case len(addresses) == 0:
		q.note("auth0_blocks", ok("Auth0 blocks no login of the person's for wrong passwords"))
	case everywhere:
		q.note("too_many_wrong_passwords", fail(fix+plain(u.UserID), "Auth0 has locked the account after too many wrong passwords: it refuses the right one too"))
	default:
		if more := len(addresses) - mostAddresses; more > 0 {
			addresses = append(addresses[:mostAddresses], fmt.Sprintf("%d more", more))
		}
		q.note("too_many_wrong_passwords", fail(fix+plain(u.UserID),
			"after too many wrong passwords Auth0 blocks the person's logins from %s: from there it refuses the right password too", strings.Join(addresses, ", ")))
	}
}

// grant asks Auth0 for a grant for a user that cannot exist: the client, the connection
// and Auth0 itself have to be in order. It is one failed login, so it comes last, and only
// where nothing else keeps the person out.
func (q *userCheck) grant(ctx context.Context, r kratos.Record) {
	const name = "auth0_grant"
	switch {
	case q.failed():
		q.note(name, unseen("see to the findings first", "whether Auth0 answers ferry: something else is in the way"))
		return
	case q.NoGrant:
		q.note(name, unseen("leave out --no-grant: it costs one failed login, of a user that cannot exist", "whether Auth0 answers ferry, and takes its client and the connection"))
		return
	case q.Auth0 == nil:
		q.note(name, unseen("set FERRY_AUTH0_DOMAIN, FERRY_AUTH0_CLIENT_ID and FERRY_AUTH0_CLIENT_SECRET as the running ferry has them",
			"whether Auth0 answers ferry, and takes its client and the connection"))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	realm := q.realm(r)
	trial := q.try(ctx, realm)
	if trial.Err == nil {
		q.note(name, fail("ask about nobody in "+connection(realm)+" until it refuses users that it does not have", "Auth0 accepted a user that cannot exist, with a made-up password"))
		return
	}
	switch trial.Err.Outcome { //nolint:exhaustive // the rest is told as doctor tells it
	case outcome.Mismatch, outcome.Denied, outcome.Blocked, outcome.Leaked, outcome.MFARequired:
		q.note(name, ok("Auth0 answers ferry, and takes its client and %s; asked for a user that cannot exist", connection(realm)))
	case outcome.Unavailable:
		q.note("auth0_down", fail(again, "Auth0 gives ferry no answer (%s): every login of a pending person ends in an error", trial))
	default:
		q.note(name, q.refusedGrant(trial, realm))
	}
}
