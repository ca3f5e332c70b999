package reconcile

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/results"
	"ferry/bulk/update"
	"ferry/identifier"
	"ferry/kratos"
	"ferry/mapping"
)

// standing says how a user can log in, and what is against it.
type standing struct {
	how     kind.Kind
	against hindrance
}

// accounts are the lines of users who are an account of another user's identity, by the
// standing of that identity: an import merged them.
type accounts map[standing]*results.LineSet

// noteAccounts notes the users whose accounts were merged into the identity, if it has their
// address or their login at a provider. Others are users of their own by now.
func (r *reconciler) noteAccounts(record kratos.Record, of standing) {
	merged := update.Merged(record)
	if len(merged) == 0 {
		return
	}
	var theirs []int
	for _, value := range slices.Concat(record.Identifiers, record.Codes, record.Social, record.SAML) {
		theirs = append(theirs, r.plan.LinesOfIdentifier(value)...)
	}
	for _, address := range record.Addresses {
		theirs = append(theirs, r.plan.LinesOfIdentifier(identifier.Normalize(address.Value))...)
	}
	for _, subject := range merged {
		for _, line := range r.plan.LinesOfUser(subject) {
			if !slices.Contains(theirs, line) {
				continue
			}
			if r.accounts[of] == nil {
				r.accounts[of] = &results.LineSet{}
			}
			r.accounts[of].Add(line)
		}
	}
}

// countAccount counts a user without an own identity who is an account of another one.
func (r *reconciler) countAccount(line int) bool {
	for of, lines := range r.accounts {
		if lines.Has(line) {
			r.result.Accounts++
			r.result.Kinds[of.how]++
			r.result.hinder(of.how, of.against)
			return true
		}
	}
	return false
}

// isAccount reports whether the file has one of the users that the identity lists beside its
// own.
func (r *reconciler) isAccount(record kratos.Record) bool {
	return slices.ContainsFunc(record.Binding.Subjects, func(subject string) bool { return len(r.plan.LinesOfUser(subject)) > 0 })
}

// readAccounts reads the accounts that were merged into the identity, as they are now.
func (r *reconciler) readAccounts(u *user, record kratos.Record) error {
	if u.profile.AccountsListed {
		u.linked = u.profile.UserIDs
	}
	for _, subject := range update.Merged(record) {
		lines := r.plan.LinesOfUser(subject)
		if len(lines) == 0 {
			u.linked = nil
			continue
		}
		row, err := r.users.get(lines[0])
		if err != nil {
			return err
		}
		profile, err := mapping.FromUser(row.User)
		if err != nil || !profile.AccountsListed || len(u.linked) == 0 {
			u.linked = nil
		} else {
			u.linked = slices.Concat(u.linked, profile.UserIDs)
		}
		if err == nil && profile.Blocked {
			u.blockedAccounts = append(u.blockedAccounts, subject)
		}
	}
	return nil
}
