package doctor

import (
	"context"
	"slices"

	"ferry/identifier"
	"ferry/kratos"
)

// Finding is one thing about a person's login. Status is Fail where it keeps them out,
// Warn where it may, OK where it is as it should be, and Skip where it was not looked at.
type Finding = Check

// Verdict says what the next login of the person comes to.
type Verdict string

// The verdicts. Only Works and Crosses say that nothing is wrong.
const (
	// Works: Kratos has a password for the person and checks it itself.
	Works Verdict = "works"
	// Crosses: ferry asks Auth0, and the person is let in if the password is right there.
	Crosses Verdict = "crosses"
	// NothingFound: nothing is in the way as far as was looked. NotLooked says what was not.
	NothingFound Verdict = "nothing_found"
	// Perhaps: something may keep the person out.
	Perhaps Verdict = "perhaps"
	// InTheWay: something keeps the person out.
	InTheWay Verdict = "in_the_way"
)

// Findings are what was found out about one person's login.
type Findings struct {
	Verdict Verdict `json:"verdict"`
	// IdentityID is the Kratos identity; empty: there is none, or not exactly one.
	IdentityID string `json:"identity_id,omitempty"`
	// IdentifierHash is what ferry's log and recordings have for the identifier; empty:
	// the key of these hashes is not known here.
	IdentifierHash string `json:"identifier_hash,omitempty"`
	// Findings are what is in the way, the likeliest first: what keeps the person out in
	// the order in which a login meets it, then what may.
	Findings []Finding `json:"findings"`
	// Looked is what was looked at and is as it should be.
	Looked []Finding `json:"looked_at"`
	// NotLooked is what was not looked at.
	NotLooked []Finding `json:"not_looked_at"`
}

// Good reports whether everything was looked at and nothing is in the way.
func (f Findings) Good() bool { return f.Verdict == Works || f.Verdict == Crosses }

// userCheck gathers findings about one person.
type userCheck struct {
	*doctor

	identifier string  // as Kratos stores it
	trips      []Check // to ferry's hooks; nil: not made yet
	out        Findings
}

// maxIdentifierBytes is the longest identifier that ferry's hook looks up.
const maxIdentifierBytes = 1024

// Why looks for what keeps a person with this identifier from logging in. It reads
// Kratos, kratos.yml and, where there are credentials for it, the person at Auth0, and
// calls ferry's hook for somebody who does not exist. Where all of that is in order it
// asks Auth0 for one grant, for a user that cannot exist. It never tries a login of the
// person's.
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
	}
	slices.SortStableFunc(q.out.Findings, func(a, b Finding) int { return weight(a) - weight(b) })
	q.out.Verdict = q.verdict(record)
	return q.out
}

func weight(f Finding) int {
	if f.Status == Fail {
		return 0
	}
	return 1
}

// verdict is what the findings come to.
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

// failed reports whether something keeps the person out.
func (q *userCheck) failed() bool {
	return slices.ContainsFunc(q.out.Findings, func(f Finding) bool { return f.Status == Fail })
}

// note takes what was found under its name.
func (q *userCheck) note(name string, f Finding) {
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

// unseen is something that was not looked at, and what to do so that it can be.
func unseen(fix, detail string) Finding {
	return Finding{Status: Skip, Detail: detail, Fix: fix}
}

// skip notes something that could not be read as not looked at.
func (q *userCheck) skip(name string, f Finding) {
	f.Status = Skip
	q.note(name, f)
}

// find looks the identity up that the identifier logs in to.
func (q *userCheck) find(ctx context.Context) (kratos.Record, bool) {
	switch {
	case q.identifier == "":
		q.note("identifier", fail("name an e-mail address, a username or a phone number", "the identifier is empty"))
		return kratos.Record{}, false
	case len(q.identifier) > maxIdentifierBytes:
		q.note("identifier", fail("see what the person typed", "the identifier has more than %d bytes: ferry looks up no such identifier", maxIdentifierBytes))
		return kratos.Record{}, false
	case q.Kratos == nil:
		q.note("kratos", fail("set FERRY_KRATOS_ADMIN_URL", "Kratos cannot be asked"))
		return kratos.Record{}, false
	}
	owners, err := q.Kratos.Owners(ctx, q.identifier)
	if err != nil {
		q.note("kratos", q.kratosFault(err))
		return kratos.Record{}, false
	}
	return q.holder(ctx, owners)
}

// holder is the one identity that the identifier logs in to with a password.
func (q *userCheck) holder(ctx context.Context, owners []kratos.Record) (kratos.Record, bool) {
	if len(owners) == 0 {
		q.absent(ctx)
		return kratos.Record{}, false
	}
	holders := listing(owners, func(listed string) bool { return listed == q.identifier })
	if len(holders) == 0 {
		// A later Kratos finds an identity by another form of its identifier too.
		folded := identifier.Fold(q.identifier)
		holders = listing(owners, func(listed string) bool { return identifier.Fold(listed) == folded })
	}
	switch len(holders) {
	case 1:
		return holders[0], true
	case 0:
		q.note("another_identifier", fail(
			"let the person use the identifier that the identity's password has; or mark the trait as one: \"credentials\": {\"password\": {\"identifier\": true}}",
			"Kratos knows the identifier as a social login, a code or a passkey of identity %s. No password goes with it, so Kratos does not call the hook", owners[0].ID))
		return kratos.Record{}, false
	}
	q.note("several_identities", fail("keep one of them: delete the others, or take the identifier out of their traits",
		"%d identities list it for their password, %s and %s among them: ferry cannot tell whose login it is", len(holders), holders[0].ID, holders[1].ID))
	return kratos.Record{}, false
}

// listing are the owners with an identifier for their password that is the right one.
func listing(owners []kratos.Record, right func(listed string) bool) []kratos.Record {
	return slices.DeleteFunc(slices.Clone(owners), func(r kratos.Record) bool { return !slices.ContainsFunc(r.Identifiers, right) })
}

// examine follows the login of an identity through everything that decides it.
func (q *userCheck) examine(ctx context.Context, r kratos.Record) {
	q.identity(r)
	if r.Pending {
		q.hook(ctx)
		q.bound(r)
		verified := q.atAuth0(ctx, r)
		q.fits(ctx, r)
		q.afterLogin(ctx, r, verified)
		q.grant(ctx, r)
		q.note("password_length", ok("a password of more than %d bytes is refused (FERRY_MAX_PASSWORD_BYTES); nothing here can tell what the person types", q.Settings.MaxPasswordBytes))
		return
	}
	if r.HasPassword {
		q.afterLogin(ctx, r, false)
	}
}
