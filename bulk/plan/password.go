package plan

import (
	"strings"
	"time"

	"ferry/bulk/hashfile"
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// password decides how the password crosses: with the hash that Auth0 exported, or by the
// hook.
func (o *Options) password(s *draft, identity *kratos.CreateIdentity, profile mapping.Profile, note *provenance.Import, crosses bool) error {
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
		note.PasswordSetAt, note.PasswordSHA256 = found.SetAt, provenance.Digest(found.Hash.Reveal())
	case o.Mode == ModeHash:
		s.Outcome, s.Reason = results.Failed, results.Because(why, "")
	default:
		s.Outcome, s.Reason, identity.Pending = results.CreatedPending, results.Because(why, ""), true
	}
	return nil
}

// linkedElsewhere handles a row whose password the hook cannot verify: Auth0 accepts it only
// with the identifiers of a linked account, and the identity has none of them.
func linkedElsewhere(s *draft, identity *kratos.CreateIdentity) {
	s.Outcome = results.Skipped
	if len(identity.Social) > 0 {
		s.Outcome = results.CreatedSocial
	}
	s.Reason = results.Because(results.ReasonLinkedEmail, "the password belongs to a linked account with another e-mail address, which is not verified: it cannot cross by the hook")
}

// hash finds the hash of one of the user's database identities. why is the reason if there is
// no usable hash.
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

// stale reports whether the password was reset after the hash was exported. A hash without a
// date is stale if there was any reset. A reset before auth0Began is in another unit, such
// as seconds, and counts as unknown.
func stale(setAt time.Time, profile mapping.Profile) bool {
	value, told := profile.Claims["last_password_reset"]
	if !told || value == nil {
		return false
	}
	reset, ok := mapping.Time(value)
	return !ok || reset.Year() < auth0Began || setAt.Before(reset)
}

// auth0Began is the first year in which a password can have been reset at Auth0.
const auth0Began = 2013
