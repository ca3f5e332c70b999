package reconcile

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/results"
	"ferry/identifier"
	"ferry/kratos"
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
			r.result.hinder(of.how, of.against, 1)
			return true
		}
	}
	return false
}
