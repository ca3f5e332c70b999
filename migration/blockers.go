package migration

import (
	"slices"

	"ferry/bulk/kind"
	"ferry/bulk/reconcile"
	"ferry/bulk/status"
	"ferry/verification"
)

// BlockerKind says why users cannot log in without Auth0.
type BlockerKind string

// The blockers. `ferry status` and `ferry reconcile` count them under the same names.
const (
	// Pending users need Auth0 for their next login.
	Pending = BlockerKind(kind.Pending)
	// BridgeOnly users can log in only at Auth0, over the bridge.
	BridgeOnly = BlockerKind(kind.Bridge)
	// Missing users have no identity.
	Missing = BlockerKind(reconcile.ObstacleMissing)
	// SecondFactor users have one at Auth0: they were not imported, or the hook refuses them.
	SecondFactor = BlockerKind(reconcile.ObstacleFactor)
	// SocialWithoutProvider users log in at a provider that Kratos does not have, and have no
	// identity.
	SocialWithoutProvider = BlockerKind(reconcile.ObstacleSocial)
	// NotImportable users have no identity for another reason.
	NotImportable = BlockerKind(reconcile.ObstacleUnmapped)
	// Unbound identities are pending and record no Auth0 user.
	Unbound = BlockerKind(status.Unbound)
	// NoAddress identities are pending and cannot be recovered.
	NoAddress = BlockerKind(status.NoAddress)
	// TooLong users have a password of more than FERRY_MAX_PASSWORD_BYTES.
	TooLong BlockerKind = "over_72_bytes"
	// Hindered users have an identity with which they cannot log in as at Auth0: another
	// address, a password that was reset since, no verified address, no login by code.
	Hindered = BlockerKind(reconcile.ObstacleHindered)
	// Auth0Tokens are applications that came with a refresh token of Auth0 within Rules.Quiet. It is
	// there only if such tokens are re-minted, and the migration is not closed.
	Auth0Tokens BlockerKind = "auth0_tokens" //nolint:gosec // G101: a kind of blocker, not a credential
)

// BlockerKinds returns all blockers, in the order of a plan.
func BlockerKinds() []BlockerKind {
	return []BlockerKind{Pending, Missing, SecondFactor, SocialWithoutProvider, NotImportable, BridgeOnly, Unbound, NoAddress, Hindered, TooLong, Auth0Tokens}
}

// Acceptable returns the blockers that the operator may accept. Pending identities that record
// no Auth0 user are not among them: without the hook, their logins end in an error 500.
func Acceptable() []BlockerKind {
	return []BlockerKind{Missing, SecondFactor, SocialWithoutProvider, NotImportable, BridgeOnly, NoAddress, Auth0Tokens}
}

// source is where a blocker is counted.
type source byte

const (
	fromKratos source = iota
	fromReconcile
	fromMetrics
	fromRemints
)

// rule describes a blocker.
type rule struct {
	from source
	// blocks is true if these users lose their account unless someone acts.
	blocks      bool
	command     func(Facts) []string
	explanation string
}

func rules() map[BlockerKind]rule {
	noCommand := func(Facts) []string { return nil }
	return map[BlockerKind]rule{
		Pending: {fromKratos, false, stragglersCommand, "they migrate at their next login; write to them"},
		Missing: {fromReconcile, true, importCommand, "users of the export without an identity: import them"},
		SecondFactor: {
			fromReconcile, true, func(f Facts) []string { return append(importCommand(f), "--mfa", "drop") },
			"they have a second factor at Auth0: exempt ferry's application from it there, and import them with --mfa drop or keep (docs/import.md)",
		},
		SocialWithoutProvider: {
			fromReconcile, true, func(f Facts) []string { return append(importCommand(f), "--provider", "AUTH0=KRATOS") },
			"they log in at a provider that Kratos does not have: add it in kratos.yml, and import them with --provider, or with the bridge",
		},
		NotImportable: {
			fromReconcile, true, func(f Facts) []string { return append(reconcileCommand(f), "--findings", findingsFile) },
			"they cannot have an identity; the findings say why for each",
		},
		BridgeOnly: {fromKratos, true, noCommand, "they log in only at Auth0, over the bridge: ask them to set a password or a passkey in Kratos' settings (docs/bridge.md)"},
		Unbound: {
			fromKratos, true, func(Facts) []string {
				return []string{"ferry", "rebind", "IDENTITY", "--to", "SUBJECT", "--reason", "TEXT"}
			},
			"pending identities that record no Auth0 user: ferry refuses their logins; bind them to their users, or delete them",
		},
		NoAddress: {fromKratos, true, noCommand, "pending identities without an address: without Auth0 they cannot recover the account; they must log in before that, or get an address"},
		Hindered: {
			fromReconcile, false, func(f Facts) []string { return append(reconcileCommand(f), "--fix", "--rearm") },
			"their identity has another address or an older password than Auth0, or lacks a verified address; --fix --rearm repairs what is safe",
		},
		TooLong: {fromMetrics, false, noCommand, "logins since ferry started with a password longer than Kratos takes (FERRY_MAX_PASSWORD_BYTES): these users must recover the account"},
		Auth0Tokens: {
			fromRemints, true, func(Facts) []string { return []string{"ferry", "status", "--metrics", metricsURL} },
			"applications that used an Auth0 refresh token recently: without Auth0 their users have to log in again; wait until they stop, and fix those that do not store the new token (docs/remint.md)",
		},
	}
}

// metricsURL is the admin listener of a ferry on this machine.
const metricsURL = "http://127.0.0.1:4481"

// unknown begins the explanation of a blocker that is not known.
const unknown = "not known: "

// blockers returns all blockers.
func blockers(f Facts) []Blocker {
	all := make([]Blocker, 0, len(BlockerKinds()))
	table := rules()
	for _, kind := range BlockerKinds() {
		if kind == Auth0Tokens && !f.remints() {
			continue
		}
		r := table[kind]
		b := Blocker{Kind: kind, Explanation: r.explanation}
		switch r.from {
		case fromKratos:
			b.count(kind, f.Status)
		case fromReconcile:
			b.read(kind, f.Records)
		case fromMetrics:
			if b.Known = f.Status.Observed != nil; b.Known {
				b.Count, b.From = f.Status.Observed.LongPasswords, "metrics"
			}
		case fromRemints:
			b.cameLately(f)
		}
		accepted := slices.Contains(f.Rules.Accepted, kind) && slices.Contains(Acceptable(), kind)
		switch {
		case b.Known && b.Count > 0:
			b.Accepted = accepted
			b.Blocks = r.blocks && !accepted
			b.Command = r.command(f)
		case !b.Known && r.from == fromReconcile:
			b.Command, b.Explanation = reconcileCommand(f), unknown+"no reconciliation is recorded"
		case !b.Known && r.from == fromRemints:
			b.Blocks, b.Accepted = !accepted, accepted
			b.Command, b.Explanation = unknownRemints(f)
		case !b.Known:
			b.Command, b.Explanation = []string{"ferry", "plan", "--metrics", metricsURL}, unknown+"only a running ferry knows which logins had a password of more than FERRY_MAX_PASSWORD_BYTES; --metrics names its admin listener, once for each ferry"
		}
		all = append(all, b)
	}
	return all
}

// remints reports whether applications may need Auth0 for their next refresh.
func (f Facts) remints() bool { return f.Remint && !f.Closed }

// cameLately counts the applications that came with a refresh token of Auth0 within Rules.Quiet. It
// is not known if none ever came: they may still come.
func (b *Blocker) cameLately(f Facts) {
	b.Known = len(f.Remints) > 0
	for _, one := range f.Remints {
		if one.Last.IsZero() || f.Now.Sub(one.Last) < f.Rules.Quiet {
			b.Count++
		}
	}
	if b.Known {
		b.From = f.RemintsFrom
	}
}

// unknownRemints says why it is not known whether applications come with tokens of Auth0, and which
// command finds out.
func unknownRemints(f Facts) (command []string, why string) {
	if f.Remints == nil {
		return []string{"ferry", "plan", "--metrics", metricsURL}, unknown + "only a running ferry knows which applications use Auth0 refresh tokens; --metrics names its admin listener, once for each ferry"
	}
	return []string{"ferry", "status", "--metrics", metricsURL}, unknown + "no application has used an Auth0 refresh token yet: does the host of the login point to the token front (docs/hydra.md)?"
}

// count counts the blocker in Kratos.
func (b *Blocker) count(which BlockerKind, s status.Status) {
	b.Known, b.From, b.At = true, "Kratos", &s.At
	for name, one := range s.Connections {
		n := 0
		switch which { //nolint:exhaustive // those that Kratos knows
		case Pending:
			n = one.Kinds[kind.Pending]
		case BridgeOnly:
			n = one.Kinds[kind.Bridge]
		case Unbound:
			n = one.Obstacles[status.Unbound]
		case NoAddress:
			n = one.Obstacles[status.NoAddress]
		}
		b.add(name, n)
	}
}

// read reads the blocker in the record of the last reconciliation.
func (b *Blocker) read(which BlockerKind, records verification.Records) {
	record, found := records[verification.Reconcile]
	if !found {
		return
	}
	b.Known, b.From, b.At = true, string(record.Command), &record.Ended
	b.Count = record.Counts[string(which)]
	for name, counts := range record.Connections {
		if n := counts[string(which)]; n > 0 {
			b.connection(name, n)
		}
	}
}

func (b *Blocker) add(connection string, n int) {
	if n == 0 {
		return
	}
	b.Count += n
	b.connection(connection, n)
}

func (b *Blocker) connection(name string, n int) {
	if b.Connections == nil {
		b.Connections = map[string]int{}
	}
	b.Connections[name] += n
}

// The counts in records that are not blockers.
const (
	// CountNoIdentity is the number of users of the export who have no identity, whatever the
	// reason.
	CountNoIdentity = "no_identity"
	// CountLoseActive is the number of users of the export who can log in only while Auth0
	// answers, or have no identity, and logged in during the last 90 days.
	CountLoseActive = "lose_access_active_90_days"
	// CountFromAuth0 is the number of identities that record an Auth0 user.
	CountFromAuth0 = "from_auth0"
	// CountUndo is 1 in the record of a finish --undo.
	CountUndo = "undo"
)

// ifOff says what would happen if Auth0 went off.
func ifOff(f Facts) IfOff {
	var off IfOff
	for name, one := range f.Status.Connections {
		if name == status.NotFromAuth0 {
			off.LoseAccess += one.Kinds[kind.Pending]
			off.Total += one.Kinds[kind.Pending]
			continue
		}
		off.Total += one.Total - one.Kinds[kind.Inactive]
		off.LoseAccess += one.Kinds[kind.Pending] + one.Kinds[kind.Bridge]
	}
	record, reconciled := f.Records[verification.Reconcile]
	active, dated := record.Counts[CountLoseActive]
	switch export := f.Status.Export; {
	case export != nil:
		off.add(export.NoIdentity)
		off.ActiveLast90Days, off.From, off.At = &export.LoseActive, "users file", f.UsersAt
	case reconciled:
		if !f.changedSince(record) {
			off.add(record.Counts[CountNoIdentity])
		}
		if active = min(active, off.LoseAccess); dated { // some may have migrated since
			off.ActiveLast90Days, off.From, off.At = &active, string(record.Command), &record.Ended
		}
	}
	if f.remints() {
		var b Blocker
		b.cameLately(f)
		off.Applications = &Applications{b.Known, b.Count}
	}
	return off
}

// changedSince reports whether an import, or an undo of one, has ended since a reconciliation began.
// Others have no identity now than those whom it found.
func (f Facts) changedSince(reconciliation verification.Record) bool {
	return f.Records[verification.Import].Ended.After(reconciliation.Started) || f.Records[verification.Undo].Ended.After(reconciliation.Started)
}

// add adds the users without an identity.
func (o *IfOff) add(missing int) {
	o.MissingKnown = true
	o.Total += missing
	o.LoseAccess += missing
}

// blocking returns the first blockers that block.
func blocking(all []Blocker) []Blocker {
	return slices.DeleteFunc(slices.Clone(all), func(b Blocker) bool { return !b.Blocks })
}
