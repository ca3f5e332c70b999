package importer

import (
	"io"
	"maps"
	"slices"

	"ferry/bulk/results"
)

// Print prints a human-readable summary. cut says that the run was interrupted.
func (s Summary) Print(w io.Writer, cut bool) {
	line := results.Liner(w)
	if s.DryRun {
		line("dry run: nothing was written; this is what a run would do")
	}
	if s.SeveralAccounts > 0 {
		line("%9d people have several accounts with one verified address: %d are merged, %d get an identity for one account, %d get none",
			s.SeveralAccounts, s.PeopleMerged, s.SeveralAccounts-s.PeopleMerged-s.PeopleLeftOut, s.PeopleLeftOut)
	}
	line("%9d rows in %.1f s, %.0f a second", s.Rows, s.Seconds, s.Rate)
	for _, outcome := range []results.Outcome{results.CreatedHash, results.CreatedPending, results.CreatedSocial, results.CreatedCode, results.CreatedBridge, results.Merged, results.Updated, results.Skipped, results.Failed} {
		if (outcome == results.Merged || outcome == results.CreatedBridge) && s.Outcomes[outcome] == 0 {
			continue
		}
		outcome.Print(line, s.Outcomes, s.Reasons)
	}
	if s.HashesTotal > 0 {
		line("%9d of %d hashes belong to a user in the file", s.HashesUsed, s.HashesTotal)
	}
	for _, c := range []struct {
		n    int
		text string
	}{
		{s.Unverified, "of the users have addresses, none of which Auth0 verified (--unverified skip leaves them out)"},
		{s.NoVerifiedAddress, "of the identities with a password have no verified address: Kratos' require_verified_address does not let them log in"},
		{s.WithoutConnection, "of the users with a password have no connection in the file"},
		{s.PhonesLeftOut, "phone numbers are left out: they are not valid for Kratos"},
		{s.Folding, "identifiers of several users would become one at a Kratos later than 26.2"},
		{s.MFADropped, "users lose the second factor they have at Auth0 (--mfa drop)"},
		{s.MFAKept, "users keep a second factor that they have at Auth0 (--mfa keep)"},
		{s.SocialLeftOut, "linked accounts are left out: no --provider names them, or the e-mail address is not verified"},
		{s.BridgeLeftOut, "users get no login at the bridge: Auth0 did not verify an address of theirs, or Kratos could send a code"},
		{s.Gone, "identities that an earlier part of this run created are gone from Kratos (--recreate-deleted creates them again)"},
	} {
		if c.n > 0 {
			line("%9d %s", c.n, c.text)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(s.FieldsLeftOut)) {
		line("%9d identities are without %s: this Kratos does not have it", s.FieldsLeftOut[field], field)
	}
	switch {
	case s.Resumed > 0 && s.Resumed == s.Rows && !cut:
		line("the run was already complete: there was nothing left to do")
	case s.Resumed > 0:
		line("%9d of the rows were done by an earlier part of this run", s.Resumed)
	}
	if !cut && !s.DryRun && s.Rows > 0 && s.Created()+s.Outcomes[results.Updated] == 0 {
		line("nothing was changed in Kratos")
	}
}
