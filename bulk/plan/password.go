package plan

import (
	"strings"
	"time"

	"ferry/bulk/hashfile"
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
)

// password says how the person proves his password to Kratos: by the hash that Auth0
// exported, or through the hook.
func (o *Options) password(s *draft, identity *kratos.CreateIdentity, profile mapping.Profile, mark map[string]any, crosses bool) error {
	found, why, err := o.hash(profile)
	if err != nil {
		return err
	}
	s.hashed = why != results.ReasonNoHash
	switch {
	case o.Mode != ModeHash && !crosses && (o.Mode == ModeHook || why != ""):
		linkedElsewhere(s, identity)
	case o.Mode == ModeHook:
		s.Outcome, identity.Pending = results.CreatedPending, true
	case why == "":
		s.Outcome, identity.PasswordHash = results.CreatedHash, found.Hash
		if !found.SetAt.IsZero() {
			mark["password_set_at"] = found.SetAt.UTC().Format(time.RFC3339Nano)
		}
	case o.Mode == ModeHash:
		s.Outcome, s.Reason = results.Failed, results.Because(why, "")
	default:
		s.Outcome, s.Reason, identity.Pending = results.CreatedPending, results.Because(why, ""), true
	}
	return nil
}

// linkedElsewhere is a row whose password the hook cannot verify: Auth0 takes it with the
// names of a linked account only, and none of them is an identifier of the identity.
func linkedElsewhere(s *draft, identity *kratos.CreateIdentity) {
	s.Outcome = results.Skipped
	if len(identity.Social) > 0 {
		s.Outcome = results.CreatedSocial
	}
	s.Reason = results.Because(results.ReasonLinkedEmail, "the password belongs to a linked account with another e-mail address, which is not verified: it cannot cross by the hook")
}

// hash finds the hash of one of the user's database identities; why there is none
// that can be used is one of the words for it.
func (o *Options) hash(profile mapping.Profile) (found hashfile.Hash, why string, err error) {
	if o.Hashes == nil {
		return hashfile.Hash{}, results.ReasonNoHash, nil
	}
	for _, subject := range profile.UserIDs {
		if !strings.HasPrefix(subject, "auth0|") {
			continue
		}
		hash, ok, err := o.Hashes.Find(subject)
		switch {
		case err != nil:
			return hashfile.Hash{}, "", err
		case !ok:
			continue
		case hash.Twice || !usable(hash.Hash):
			return hash, results.ReasonUnusableHash, nil
		case stale(hash.SetAt, profile):
			return hash, results.ReasonStaleHash, nil
		}
		return hash, "", nil
	}
	return hashfile.Hash{}, results.ReasonNoHash, nil
}

// stale reports whether the password was reset after the hash was taken; a hash that
// does not say when it was is, once there was a reset. A reset of before there was any
// Auth0 is in other units, seconds perhaps, so it does not tell when it was.
func stale(setAt time.Time, profile mapping.Profile) bool {
	value, told := profile.Claims["last_password_reset"]
	if !told || value == nil {
		return false
	}
	reset, ok := mapping.Time(value)
	return !ok || reset.Year() < auth0Began || setAt.Before(reset)
}

// auth0Began is the first year in which a password can have been reset there.
const auth0Began = 2013
