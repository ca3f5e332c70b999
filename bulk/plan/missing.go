package plan

import (
	"fmt"
	"slices"
	"strings"

	"ferry/mapping"
)

// The fields without which a file does not say what may become of its users.
const (
	FieldBlocked = "blocked"
	FieldFactors = "multifactor"
	FieldReset   = "last_password_reset"
	// FieldAccounts is identities, or a field that has the connection.
	FieldAccounts = "identities"
	// FieldConnection is the connection of every user with a password, where the hook may
	// ask several. Other rows may have it.
	FieldConnection = "connection"
)

// decider is a field that at least one row must have.
type decider struct {
	name  string
	told  mapping.Told
	wrong string // what would become of the users without it
}

func deciders() []decider {
	return []decider{
		{FieldBlocked, mapping.ToldBlocked, "users who are blocked at Auth0 would be active"},
		{FieldFactors, mapping.ToldFactors, "users with a second factor would be imported without it, as if they had none"},
		{FieldReset, mapping.ToldReset, "hashes of passwords that were reset since would count as fresh, and the old passwords would work"},
		{FieldAccounts, mapping.ToldAccounts, "linked accounts and the connection of the password would be unknown"},
	}
}

// Deciding returns the names that Options.AcceptMissing may have.
func Deciding() []string {
	return []string{FieldBlocked, FieldFactors, FieldReset, FieldAccounts, FieldConnection}
}

// ParseAccepted reads the values of a flag that accepts missing fields. Each may be a list
// with commas.
func ParseAccepted(values []string) (accepted []string, err error) {
	for name := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "" && len(values) == 0:
		case !slices.Contains(Deciding(), name):
			return nil, fmt.Errorf("there is no field %q to accept: name some of %s", name, strings.Join(Deciding(), ", "))
		case !slices.Contains(accepted, name):
			accepted = append(accepted, name)
		}
	}
	return accepted, nil
}

// Missing is a field that the file lacks.
type Missing struct {
	Field string
	// Wrong is what would become of the users.
	Wrong string
}

// MissingError reports fields that decide what becomes of users, and that no row has, or
// too few. Nothing was written.
type MissingError struct{ Missing []Missing }

// Error implements error.
func (e *MissingError) Error() string {
	var text strings.Builder
	text.WriteString("the users file lacks fields that decide what becomes of its users; nothing was written")
	for _, m := range e.Missing {
		text.WriteString("\n  " + m.Field + ": " + m.Wrong)
	}
	return text.String()
}

// Fields returns the names of the fields.
func (e *MissingError) Fields() []string {
	var names []string
	for _, m := range e.Missing {
		names = append(names, m.Field)
	}
	return names
}

// Has reports whether the file has a field: whether a column or at least one row has it.
func (p *Plan) Has(field string) bool {
	for _, d := range deciders() {
		if d.name == field {
			return p.told&d.told != 0
		}
	}
	return field != FieldConnection || p.WithoutConnection == 0
}

// Complete reports whether the file has all deciding fields.
func (p *Plan) Complete() bool { return p.told == mapping.ToldAll }

// Mark returns a user of the file as the first one of an export, see [mapping.Mark].
func (p *Plan) Mark(user []byte) ([]byte, error) { return mapping.Mark(user, p.tenant) }

// checkFields refuses a file without the fields that decide what becomes of its users.
func (p *Plan) checkFields() error {
	for _, name := range p.opts.Users.Columns() {
		p.told |= mapping.ToldBy(name)
	}
	if !p.opts.Strict || p.users == 0 {
		return nil
	}
	var missing []Missing
	for _, d := range deciders() {
		if !p.Has(d.name) && p.decides(d.name) && !slices.Contains(p.opts.AcceptMissing, d.name) {
			missing = append(missing, Missing{d.name, d.wrong})
		}
	}
	if realms := p.opts.Realms; p.connections[""] > 0 && len(realms) > 1 && !slices.Contains(p.opts.AcceptMissing, FieldConnection) {
		missing = append(missing, Missing{FieldConnection, fmt.Sprintf(
			"%d pending users do not have it: the hook would ask only %s about them, the first of FERRY_AUTH0_REALMS", p.connections[""], realms[0])})
	}
	if len(missing) == 0 {
		return nil
	}
	return &MissingError{missing}
}

// decides reports whether a field decides anything in this plan.
func (p *Plan) decides(field string) bool {
	switch {
	case field == FieldFactors:
		return !p.opts.DropMFA && p.opts.Factors == nil
	case field != FieldReset, p.opts.Compares:
		return true
	}
	return p.opts.Mode != ModeHook && (p.opts.Hashes != nil || p.HashesUsed > 0)
}
