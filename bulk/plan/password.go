package plan

import (
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// password decides how the password migrates: with the hash that Auth0 exported, or by the
// hook. bridge says that the identity also gets a login at the bridge.
func (o *Options) password(s *draft, identity *kratos.CreateIdentity, profile mapping.Profile, note *provenance.Import, crosses, bridge bool) error {
	hash, err := o.hash(profile)
	if err != nil {
		return err
	}
	s.hashed = hash.Exported
	usable := !hash.Form.Empty()
	switch {
	case o.Mode != ModeHash && !crosses && (o.Mode == ModeHook || !usable):
		linkedElsewhere(s, identity, bridge)
	case o.Mode == ModeHook:
		s.Outcome, identity.Pending = results.CreatedPending, true
	case usable:
		s.Outcome, identity.PasswordHash = results.CreatedHash, hash.Form
		note.PasswordSetAt, note.PasswordSHA256 = hash.SetAt, provenance.Digest(hash.Form.Reveal())
	case o.Mode == ModeHash:
		s.Outcome, s.Reason = results.Failed, hash.Why
	default:
		s.Outcome, s.Reason, identity.Pending = results.CreatedPending, hash.Why, true
	}
	return nil
}

// linkedElsewhere handles a row whose password the hook cannot verify: Auth0 accepts it only
// with the identifiers of a linked account, and the identity has none of them.
func linkedElsewhere(s *draft, identity *kratos.CreateIdentity, bridge bool) {
	switch {
	case len(identity.Social) > 0:
		s.Outcome = results.CreatedSocial
	case s.code:
		s.Outcome = results.CreatedCode
	case bridge:
		s.Outcome = results.CreatedBridge
	default:
		s.Outcome = results.Skipped
	}
	s.Reason = results.Because(results.ReasonLinkedEmail, "the password belongs to a linked account with another e-mail address, which is not verified: it cannot migrate by the hook")
}
