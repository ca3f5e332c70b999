package update

import (
	"fmt"
	"slices"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/edit"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// steps are what an identity needs, as it was read.
type steps struct {
	// replacement changes credentials, unless it is nil.
	replacement *kratos.Replacement
	// edit writes the profile, unless waits is set: the migration hook may be changing the
	// identity.
	edit  edit.Change
	waits bool
	// moves says that edit changes identifiers.
	moves bool
	// remove are logins at providers to remove, at last.
	remove []string
	// kept says why an exported hash that is newer does not become the password.
	kept string
}

// written reports whether there is anything to write. Its error is an *edit.MergeError.
func (s steps) written(record kratos.Record) (bool, error) {
	if s.replacement != nil || len(s.remove) > 0 {
		return true, nil
	}
	if s.waits {
		return false, nil
	}
	result, err := s.edit.Merge(record)
	return len(result.Ops) > 0, err
}

// idle returns the change if there is nothing to write.
func (s steps) idle() Change {
	switch {
	case s.kept != "":
		return Change{Outcome: results.Skipped, Cause: results.Because(results.ReasonPasswordKept, s.kept)}
	case s.waits:
		return Change{Outcome: results.Skipped, Cause: results.Because(results.ReasonPending, "the migration hook may be verifying its password; use --hook-off if the hook is switched off")}
	}
	return Change{Outcome: results.Skipped, Cause: results.Because(results.ReasonUnchanged, "")}
}

// steps computes what the identity needs. An error says why it cannot be written.
func (e Editor) steps(record kratos.Record, profile mapping.Profile, mapped mapping.Identity) (steps, error) {
	var s steps
	var err error
	if s.edit, err = e.change(record, profile, mapped); err != nil {
		return s, err
	}
	blocks := profile.Blocked && record.Active
	if blocks {
		s.edit.Notes.Deactivated = &provenance.Deactivation{At: e.Now(), Why: provenance.WhyBlocked}
	}
	var expected plan.Expected
	if e.Repair {
		expected = e.Plan.Expect(profile, mapped)
		if s.moves, err = e.move(&s.edit, record, expected); err != nil {
			return s, err
		}
		if note, ours := Deactivated(record); ours && !profile.Blocked && !e.NoActivate {
			note.Until = e.Now()
			s.edit.Activate, s.edit.Notes.Deactivated = true, &note
		}
		if LoginsKept(record, e.Linked) == "" {
			s.remove = Unlinked(record, e.Linked)
		}
	}
	s.waits = record.Pending && !e.HookOff && !blocks && !s.moves && !s.edit.Activate
	return s, e.credentials(&s, record, profile, mapped, expected)
}

// move lets verified addresses replace the identity's own, if it lacks an identifier that the
// user has and no one but ferry set those that it has. It reports whether that changes
// identifiers.
func (e Editor) move(change *edit.Change, record kratos.Record, expected plan.Expected) (bool, error) {
	if e.NoMove || !expected.Renamed(record) || IdentifiersKept(record) != "" {
		return false, nil
	}
	moving := *change
	moving.Rules.Move = true
	result, err := moving.Merge(record)
	if err != nil {
		return false, err
	}
	identifiers := e.Plan.LoginIdentifiers(result.Traits)
	if slices.Equal(identifiers, record.LoginIdentifiers()) {
		return false, nil
	}
	moving.Notes.IdentifiersSHA256 = provenance.IdentifiersDigest(identifiers)
	*change = moving
	return true, nil
}

// credentials decides whether credentials change.
func (e Editor) credentials(s *steps, record kratos.Record, profile mapping.Profile, mapped mapping.Identity, expected plan.Expected) error {
	to := kratos.Replacement{MetadataAdmin: record.MetadataAdmin}
	switch {
	case e.Repair:
		to.Social = expected.MissingSocial(record)
	case e.Plan != nil && e.Plan.Bridge != "":
		to.Social = e.Plan.ExpectBridge(profile, mapped).MissingSocial(record)
	}
	if e.Plan != nil && e.Plan.Hashes != nil {
		if err := e.newHash(s, &to, record, profile); err != nil {
			return err
		}
	}
	if e.Rearm && to.PasswordHash.Empty() && Stale(record, profile) != "" && PasswordKept(record) == "" {
		to.Pending, to.MetadataAdmin = true, provenance.Rearmed(record.MetadataAdmin, string(results.CreatedPending), e.Now())
	}
	if len(to.Social) > 0 {
		to.MetadataAdmin = provenance.GaveLogins(to.MetadataAdmin, e.Plan.LoginsOf(profile, to.Social))
	}
	if to.Pending || !to.PasswordHash.Empty() || len(to.Social) > 0 {
		s.replacement = &to
	}
	return nil
}

// newHash makes the exported hash the password if it is newer than the imported one.
func (e Editor) newHash(s *steps, to *kratos.Replacement, record kratos.Record, profile mapping.Profile) error {
	hash, setAt, err := e.Plan.FreshHash(profile)
	if err != nil {
		return fmt.Errorf("find the hash: %w", err)
	}
	digest := provenance.Digest(hash.Reveal())
	note := provenance.ImportOf(record.MetadataAdmin)
	since := note.PasswordSetAt
	if since.IsZero() {
		since = note.At
	}
	if hash.Empty() || note.As != string(results.CreatedHash) || digest == note.PasswordSHA256 || record.HasHash(digest) || !setAt.After(since) {
		return nil
	}
	if s.kept = PasswordKept(record); s.kept != "" {
		return nil
	}
	to.PasswordHash, to.MetadataAdmin = hash, provenance.Rehashed(record.MetadataAdmin, digest, setAt, e.Now())
	return nil
}
