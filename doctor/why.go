package doctor

import (
	"context"
	"slices"

	"ferry/identifier"
	"ferry/kratos"
	"ferry/wire"
)

// Verdict is the expected result of the user's next login.
type Verdict string

// The verdicts. Only Works and Crosses mean that nothing is wrong.
const (
	// Works: Kratos has a password for the user and checks it itself.
	Works Verdict = "works"
	// Crosses: ferry asks Auth0, and the login succeeds if the password is right there.
	Crosses Verdict = "crosses"
	// NothingFound: no problem was found, but NotLooked was not checked.
	NothingFound Verdict = "nothing_found"
	// Perhaps: a finding may make the login fail.
	Perhaps Verdict = "perhaps"
	// InTheWay: a finding makes the login fail.
	InTheWay Verdict = "in_the_way"
)

// Findings are the results of checking one user's login.
type Findings struct {
	Verdict Verdict `json:"verdict"`
	// IdentityID is the Kratos identity. It is empty if there is not exactly one.
	IdentityID string `json:"identity_id,omitempty"`
	// IdentifierHash is the hash of the identifier in ferry's log and recordings. It is
	// empty if the key of these hashes is unknown.
	IdentifierHash string `json:"identifier_hash,omitempty"`
	// Findings are the problems: first those with Status Fail, in the order of a login, then
	// those with Warn, which may make a login fail.
	Findings []Check `json:"findings"`
	// Looked are the checks with Status OK.
	Looked []Check `json:"looked_at"`
	// NotLooked are the checks with Status Skip.
	NotLooked []Check `json:"not_looked_at"`
}

// Good reports whether everything was checked and no problem was found.
func (f Findings) Good() bool { return f.Verdict == Works || f.Verdict == Crosses }

// userCheck collects findings about one user.
type userCheck struct {
	*doctor

	identifier string  // as Kratos stores it
	trips      []Check // calls of ferry's hooks; nil: not made yet
	out        Findings
}

// Why checks why a user with this identifier cannot log in. It reads Kratos, kratos.yml
// and, with credentials for the Management API, the user at Auth0, and calls ferry's hook
// for an unknown identity. If all of that is in order, it sends one grant to Auth0, for a
// user that does not exist. It never tries a login of the user.
func Why(ctx context.Context, o Options, typed string) Findings {
	q := &userCheck{doctor: newDoctor(o), identifier: identifier.Normalize(typed)}
	ctx, cancel := context.WithTimeout(ctx, 4*q.timeout)
	defer cancel()
	if q.HashIdentifier != nil && q.identifier != "" {
		q.out.IdentifierHash = q.HashIdentifier(q.identifier)
	}
	record, found := q.find(ctx)
	if found {
		q.out.IdentityID = record.ID
		q.examine(ctx, record)
		q.addBridge(record)
	}
	slices.SortStableFunc(q.out.Findings, func(a, b Check) int { return weight(a) - weight(b) })
	q.out.Verdict = q.verdict(record)
	return q.out
}

func weight(f Check) int {
	if f.Status == Fail {
		return 0
	}
	return 1
}

// verdict returns the result of the findings.
func (q *userCheck) verdict(r kratos.Record) Verdict {
	switch {
	case q.failed():
		return InTheWay
	case len(q.out.Findings) > 0:
		return Perhaps
	case len(q.out.NotLooked) > 0:
		return NothingFound
	case r.HasPassword:
		return Works
	}
	return Crosses
}

// failed reports whether a finding makes the login fail.
func (q *userCheck) failed() bool {
	return slices.ContainsFunc(q.out.Findings, func(f Check) bool { return f.Status == Fail })
}

// note adds a check under a name.
func (q *userCheck) note(name string, f Check) {
	f.Name = name
	switch f.Status {
	case Fail, Warn:
		q.out.Findings = append(q.out.Findings, f)
	case OK:
		q.out.Looked = append(q.out.Looked, f)
	case Skip:
		q.out.NotLooked = append(q.out.NotLooked, f)
	}
}

// unseen returns a check that did not run, and how it can run.
func unseen(fix, detail string) Check {
	return Check{Status: Skip, Detail: detail, Fix: fix}
}

// skip adds a check that could not run.
func (q *userCheck) skip(name string, f Check) {
	f.Status = Skip
	q.note(name, f)
}

// find looks up the identity with the identifier.
func (q *userCheck) find(ctx context.Context) (kratos.Record, bool) {
	switch {
	case q.identifier == "":
		q.note("identifier", fail("give an e-mail address, a username or a phone number", "the identifier is empty"))
		return kratos.Record{}, false
	case len(q.identifier) > wire.MaxIdentifierBytes:
		q.note("identifier", fail("check what the user typed", "the identifier has more than %d bytes: ferry does not look it up", wire.MaxIdentifierBytes))
		return kratos.Record{}, false
	case q.Kratos == nil:
		q.note("kratos", fail("set FERRY_KRATOS_ADMIN_URL", "there is no address of Kratos"))
		return kratos.Record{}, false
	}
	owners, err := q.Kratos.Owners(ctx, q.identifier)
	if err != nil {
		q.note("kratos", q.kratosFault(err))
		return kratos.Record{}, false
	}
	return q.holder(ctx, owners)
}

// holder returns the only identity with the identifier for a password.
func (q *userCheck) holder(ctx context.Context, owners []kratos.Record) (kratos.Record, bool) {
	if len(owners) == 0 {
		q.absent(ctx)
		return kratos.Record{}, false
	}
	holders := listing(owners, func(listed string) bool { return listed == q.identifier })
	if len(holders) == 0 {
		// A later Kratos also finds an identity by another form of its identifier.
		folded := identifier.Fold(q.identifier)
		holders = listing(owners, func(listed string) bool { return identifier.Fold(listed) == folded })
	}
	switch len(holders) {
	case 1:
		return holders[0], true
	case 0:
		q.note("another_identifier", fail(
			"let the user use the identifier of the identity's password; or mark the trait as one: \"credentials\": {\"password\": {\"identifier\": true}}",
			"the identifier belongs to a social login, a code or a passkey of identity %s, and not to a password, so Kratos does not call the hook", owners[0].ID))
		return kratos.Record{}, false
	}
	q.note("several_identities", fail("keep one of them: delete the others, or remove the identifier from their traits",
		"%d identities have the identifier for their password, including %s and %s: ferry cannot tell them apart", len(holders), holders[0].ID, holders[1].ID))
	return kratos.Record{}, false
}

// listing returns the owners whose password has a matching identifier.
func listing(owners []kratos.Record, right func(listed string) bool) []kratos.Record {
	return slices.DeleteFunc(slices.Clone(owners), func(r kratos.Record) bool { return !slices.ContainsFunc(r.Identifiers, right) })
}

// examine checks everything that decides the login of an identity.
func (q *userCheck) examine(ctx context.Context, r kratos.Record) {
	q.identity(r)
	if r.Pending {
		q.hook(ctx)
		q.mode(r)
		q.bound(r)
		q.locked(ctx, r.ID)
		verified := q.atAuth0(ctx, r)
		q.fits(ctx, r)
		q.afterLogin(ctx, r, verified)
		q.grant(ctx, r)
		q.note("password_length", ok("ferry refuses passwords of more than %d bytes (FERRY_MAX_PASSWORD_BYTES); doctor does not know the password", q.Settings.MaxPasswordBytes))
		return
	}
	if r.HasPassword {
		q.afterLogin(ctx, r, false)
	}
}
