package page

import (
	"slices"
	"strings"

	"ferry/bulk/kind"
	"ferry/migration"
	"ferry/mode"
	"ferry/outcome"
)

// stateName is the name of a state as ferry plan prints it, with a capital letter.
func stateName(s migration.State) string { return strings.TrimSuffix(sentence(s.Name()), ".") }

// stateMeaning says what a state means.
func stateMeaning(s migration.State) string {
	switch s {
	case migration.NotWired:
		return "Kratos does not call ferry."
	case migration.Wired:
		return "Kratos calls ferry, and no user has been imported."
	case migration.Imported:
		return "Users have been imported, and no user has migrated yet."
	case migration.Crossing:
		return "Users migrate when they log in."
	case migration.Draining:
		return "Few users are left, or something is in the way of the last step."
	case migration.ReadyToSwitchOff:
		return "No one needs Auth0, and that is verified."
	case migration.SwitchedOff:
		return "Kratos no longer calls ferry."
	}
	return ""
}

// blockerName is the name of a group of users who cannot migrate by themselves.
func blockerName(k migration.BlockerKind) string {
	switch k {
	case migration.Pending:
		return "Waiting for their next login"
	case migration.BridgeOnly:
		return "Log in over the bridge only"
	case migration.Missing:
		return "No identity in Kratos"
	case migration.SecondFactor:
		return "Second factor at Auth0"
	case migration.SocialWithoutProvider:
		return "Social login that Kratos does not have"
	case migration.NotImportable:
		return "Cannot be imported"
	case migration.Unbound:
		return "No Auth0 user recorded"
	case migration.NoAddress:
		return "No address to recover the account"
	case migration.TooLong:
		return "Password too long"
	case migration.Hindered:
		return "Differ from Auth0"
	case migration.Auth0Tokens:
		return "Applications with refresh tokens of Auth0"
	}
	return string(k)
}

// countName is the name of a count in the record of a command.
func countName(name string) string {
	switch name {
	case migration.CountLoseActive:
		return "need Auth0 and logged in during the 90 days before"
	case migration.CountNoIdentity:
		return "without an identity, for any reason"
	case migration.CountFromAuth0:
		return "identities from Auth0"
	case "ok":
		return "checks passed"
	case "warn":
		return "warnings"
	case "fail":
		return "checks failed"
	}
	if k := migration.BlockerKind(name); slices.Contains(migration.BlockerKinds(), k) {
		return lowered(blockerName(k))
	}
	return strings.ReplaceAll(name, "_", " ")
}

// waits reports whether the users of a kind have migrated, or are waiting to.
func waits(k kind.Kind) (migrated, waiting bool) {
	return k == kind.Migrated || k == kind.Unnoted, k == kind.Pending
}

// result is what a login came to, for its user.
type result int

const (
	loggedIn result = iota
	refused
	couldNotTell
	heldBack
)

// results are all of them, in the order of the page.
func results() []result { return []result{loggedIn, refused, couldNotTell, heldBack} }

func (r result) name() string {
	switch r {
	case loggedIn:
		return "logged in"
	case refused:
		return "refused"
	case couldNotTell:
		return "not checked"
	case heldBack:
		return "held back"
	}
	return ""
}

// class is the name in the style sheet.
func (r result) class() string {
	switch r {
	case loggedIn:
		return "good"
	case refused:
		return "plain"
	case couldNotTell:
		return "bad"
	case heldBack:
		return "warn"
	}
	return ""
}

// meaning says what a login with this outcome came to, and what the outcome means.
func meaning(o outcome.Outcome) (result, string) {
	switch o {
	case outcome.Match:
		return loggedIn, "the password was right, and Kratos stored it"
	case outcome.Mismatch:
		return refused, "Auth0 rejected the password"
	case outcome.MFARequired:
		return refused, "Auth0 wants a second factor"
	case outcome.Blocked:
		return refused, "the user is blocked at Auth0"
	case outcome.Denied:
		return refused, "an Action or Rule at Auth0 refused the login"
	case outcome.Leaked:
		return refused, "Auth0 knows the password from a breach"
	case outcome.Throttled:
		return refused, "Auth0 blocked this user after wrong passwords"
	case outcome.Locked:
		return refused, "ferry's limit of wrong passwords for this user"
	case outcome.SubjectMismatch:
		return refused, "the password is of another Auth0 user than the recorded one"
	case outcome.Unbound:
		return refused, "the identity records no Auth0 user"
	case outcome.Inactive:
		return refused, "the identity is inactive in Kratos"
	case outcome.Oversize:
		return refused, "the password is too long"
	case outcome.Closed:
		return heldBack, "the migration is closed"
	case outcome.Paused:
		return heldBack, "ferry is off, or the user is not in the cohort"
	case outcome.Observed:
		return heldBack, "would have matched; mode observe gives no match"
	case outcome.NotPending:
		return refused, "another login of this user was faster"
	case outcome.Suspicious:
		return couldNotTell, "Auth0's bot detection wants a captcha"
	case outcome.Limited:
		return couldNotTell, "a limit of the tenant or of an address is used up"
	case outcome.Unavailable:
		return couldNotTell, "Auth0 or Kratos did not answer"
	case outcome.Misconfigured:
		return couldNotTell, "Auth0 or Kratos refuses ferry itself"
	case outcome.InvalidResponse:
		return couldNotTell, "an answer that ferry does not understand or trust"
	}
	return couldNotTell, ""
}

// modeMeaning says what users see in a mode.
func modeMeaning(m mode.Mode) string {
	switch m {
	case mode.On:
		return "Users log in with the password that they had at Auth0, and migrate."
	case mode.Observe:
		return "Users who are waiting see an outage. Their logins are checked and counted, but no one is logged in. Users who have migrated notice nothing."
	case mode.Off:
		return "Users who are waiting see an outage, and Auth0 is not asked. Users who have migrated notice nothing."
	}
	return ""
}
