package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"ferry/identifier"
	"ferry/mapping"
	"ferry/strictjson"
	"ferry/upstream"
)

// Login is a login whose password Auth0 confirmed.
type Login struct {
	Profile upstream.Profile
	// Realm is the connection that confirmed it; empty: the tenant's default directory.
	Realm string
	// Identifier is normalized. The identity must have it.
	Identifier string
	// Username is the identifier as Auth0 accepted it: in a custom database its case counts.
	Username string
}

// ByLogin creates the identity of the user who logs in. An error says nothing about the
// user: Kratos or Auth0 did not answer.
func (p *Provisioner) ByLogin(ctx context.Context, login Login) (Result, error) {
	return p.once(ctx, "u "+login.Profile.Subject+"\n"+login.Identifier, func(ctx context.Context) (Result, error) {
		user, refused, err := p.loggedIn(ctx, login)
		if err != nil || refused != "" {
			return Result{UserID: login.Profile.Subject, Reason: refused}, err
		}
		return p.create(ctx, DoorLogin, user, login.Identifier)
	})
}

// ByIdentifier creates the identity of the Auth0 user with the e-mail address, which is
// normalized. Auth0 compares the case: its databases store addresses in lower case, other
// connections may not, and those users are not found.
func (p *Provisioner) ByIdentifier(ctx context.Context, door Door, normalized string) (Result, error) {
	if p.opts.Directory == nil || !strings.Contains(normalized, "@") {
		return Result{Reason: ReasonNoUser}, nil
	}
	return p.once(ctx, "i "+string(door)+normalized, func(ctx context.Context) (Result, error) {
		users, err := p.opts.Directory.LookUpEmail(ctx, normalized)
		if err != nil {
			return Result{}, err
		}
		user, refused, err := p.choose(ctx, door, users, normalized)
		if user == nil || err != nil {
			return refused, err
		}
		return p.create(ctx, door, user, normalized)
	})
}

// BySubject creates the identity of the Auth0 user, whatever identifiers it has. The result has
// those that it has, or would have. Without a Directory it creates none.
func (p *Provisioner) BySubject(ctx context.Context, subject string) (Result, error) {
	if p.opts.Directory == nil {
		return Result{UserID: subject, Reason: EnsuredNothing}, nil
	}
	return p.once(ctx, "r "+subject, func(ctx context.Context) (Result, error) {
		user, refused, err := p.lookedUp(ctx, subject)
		if err != nil || refused != "" {
			return Result{UserID: subject, Reason: refused}, err
		}
		return p.create(ctx, DoorRemint, user, "")
	})
}

// actTime bounds one act. It ends before the gateway's answer is due, so that no one waits for the
// rate limit of the Management API behind acts whose users have left.
const actTime = 20 * time.Second

// errPanicked is returned for an act that panicked.
var errPanicked = errors.New("create an identity: panic")

// once runs one act for all who need it at the same time. It goes on if the first of them
// goes away.
func (p *Provisioner) once(ctx context.Context, key string, act func(context.Context) (Result, error)) (Result, error) {
	lasting := context.WithoutCancel(ctx)
	done := p.flights.DoChan(key, func() (result any, err error) {
		defer func() {
			if fault := recover(); fault != nil { // it would end the process
				// The value may quote the user's data.
				p.opts.Log.Error("panic", zap.String("type", fmt.Sprintf("%T", fault)), zap.Stack("stack"))
				err = errPanicked
			}
		}()
		ctx, cancel := context.WithTimeout(lasting, actTime)
		defer cancel()
		return act(ctx)
	})
	select {
	case got := <-done:
		result, _ := got.Val.(Result)
		return result, got.Err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// loggedIn returns the user object of a login, or why the user may not have an identity.
func (p *Provisioner) loggedIn(ctx context.Context, login Login) (user []byte, refused string, err error) {
	if p.opts.Directory == nil {
		if !login.Profile.EmailVerified && !login.Profile.PhoneVerified && !p.opts.AskUnverified {
			return nil, ReasonUnverifiedTwin, nil
		}
		user, err = userOf(login)
		return user, "", err
	}
	return p.lookedUp(ctx, login.Profile.Subject)
}

// lookedUp returns the user object from the Management API, or why the user may not have an
// identity.
func (p *Provisioner) lookedUp(ctx context.Context, subject string) (user []byte, refused string, err error) {
	user, err = p.opts.Directory.LookUpUser(ctx, subject)
	var fault *upstream.ManagementError
	switch {
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return nil, ReasonNoUser, nil
	case err != nil:
		return nil, "", err
	}
	twin, err := p.hasVerifiedTwin(ctx, user)
	if err != nil || !twin {
		return user, "", err
	}
	return nil, ReasonUnverifiedTwin, nil
}

// hasVerifiedTwin reports whether another user has verified the address that this one has
// not. An import would give the identifier to the other.
func (p *Provisioner) hasVerifiedTwin(ctx context.Context, user []byte) (bool, error) {
	opts, err := p.planned(ctx, DoorLogin)
	if err != nil {
		return false, err
	}
	profile, err := mapping.FromUser(user)
	if err != nil {
		return false, err
	}
	email, _ := profile.Claims["email"].(string)
	normalized := identifier.Normalize(email)
	if normalized == "" || verifies(opts.Rules, profile, normalized) {
		return false, nil
	}
	for _, spelling := range slices.Compact([]string{normalized, email}) { // Auth0 compares the case
		others, err := p.opts.Directory.LookUpEmail(ctx, spelling)
		if err != nil {
			return false, err
		}
		for _, text := range others {
			other, err := mapping.FromUser(text)
			if err == nil && !slices.Contains(profile.UserIDs, other.UserID) && verifies(opts.Rules, other, normalized) {
				return true, nil
			}
		}
	}
	return false, nil
}

// choose returns the user who would get the identifier in an import of all of them: the
// first with a verified address, else the only one. If there is none, user is nil, and the
// result says why.
func (p *Provisioner) choose(ctx context.Context, door Door, users [][]byte, identifier string) (user []byte, refused Result, err error) {
	opts, err := p.planned(ctx, door)
	if err != nil {
		return nil, Result{}, err
	}
	refused.Reason = ReasonNoUser
	var unverified [][]byte
	for _, user := range users {
		row, err := opts.One(user)
		if err != nil {
			return nil, Result{}, err
		}
		profile, err := mapping.FromUser(user)
		switch {
		case !row.Creates() || err != nil:
			refused = Result{UserID: row.UserID, Reason: reasonOf(row)}
		case !slices.Contains(row.Identifiers, identifier):
			refused = Result{UserID: row.UserID, Reason: ReasonNotByIdentifier}
		case verifies(opts.Rules, profile, identifier):
			return user, Result{}, nil
		default:
			unverified = append(unverified, user)
		}
	}
	switch len(unverified) {
	case 0:
		return nil, refused, nil
	case 1:
		return unverified[0], Result{}, nil
	}
	return nil, Result{Reason: ReasonUnverifiedTwin}, nil
}

// verifies reports whether Auth0 verified that the user owns the address, as far as the
// rules trust it.
func verifies(rules mapping.Rules, profile mapping.Profile, normalized string) bool {
	return slices.ContainsFunc(rules.Verified(profile), func(a mapping.Address) bool {
		return identifier.Normalize(a.Value) == normalized
	})
}

// userOf returns a user object of what the login verified. Tokens do not have usernames: if
// Auth0 accepted an identifier that is neither an e-mail address nor a phone number, it is
// the username.
func userOf(login Login) ([]byte, error) {
	read, err := strictjson.Value([]byte(login.Profile.Claims), "app_metadata", "user_metadata")
	if err != nil {
		return nil, fmt.Errorf("read the claims of the login: %w", err)
	}
	user, ok := read.(map[string]any)
	if !ok {
		return nil, errors.New("read the claims of the login: not an object")
	}
	for _, name := range []string{"sub", "iss", "aud", "azp", "exp", "iat", "nbf", "auth_time", "nonce", "at_hash", "c_hash", "sid", "identities"} {
		delete(user, name) // of the token
	}
	provider, id, _ := strings.Cut(login.Profile.Subject, "|")
	user["user_id"] = login.Profile.Subject
	if login.Realm != "" && (mapping.Account{Provider: provider}).HasPassword() {
		user["identities"] = []any{map[string]any{"provider": provider, "user_id": id, "connection": login.Realm, "isSocial": false}}
	}
	_, isPhone := identifier.E164(login.Identifier)
	if _, told := user["username"]; !told && !isPhone && !strings.Contains(login.Identifier, "@") {
		user["username"] = cmp.Or(login.Username, login.Identifier)
	}
	return json.Marshal(user)
}
