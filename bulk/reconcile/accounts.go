package reconcile

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/results"
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
// standing of that identity: the import merged them, or Auth0 linked them at the time.
type accounts map[standing]*results.LineSet

// noteAccounts notes the users that the identity lists beside its own, if it has their
// address or their login at a provider. Others are users of their own by now.
func (r *reconciler) noteAccounts(record kratos.Record, of standing) {
	if len(record.Binding.Subjects) < 2 {
		return
	}
	var theirs []int
	for _, value := range slices.Concat(record.Identifiers, record.Social) {
		theirs = append(theirs, r.plan.LinesOfIdentifier(value)...)
	}
	for _, address := range record.Addresses {
		theirs = append(theirs, r.plan.LinesOfIdentifier(identifier.Normalize(address.Value))...)
	}
	for _, subject := range record.Binding.Subjects[1:] {
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

// accountBlocked reports whether one of the users that the identity lists beside its own is
// blocked at Auth0. A merged identity is inactive because of it.
func (r *reconciler) accountBlocked(record kratos.Record) (bool, error) {
	for i, subject := range record.Binding.Subjects {
		lines := r.plan.LinesOfUser(subject)
		if i == 0 || len(lines) == 0 {
			continue
		}
		row, err := r.users.get(lines[0])
		if err != nil {
			return false, err
		}
		if profile, err := mapping.FromUser(row.User); err == nil && profile.Blocked {
			return true, nil
		}
	}
	return false, nil
}
