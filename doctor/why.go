package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/upstream"
)

// Finding is one thing about a person's login. Status is Fail where it keeps them out
// or keeps the hook from being called, Warn where it may, and OK where there is
// nothing.
type Finding = Check

// Findings are what stands in a person's way, the likeliest first.
type Findings struct {
	Findings []Finding `json:"findings"`
	// Looked is what was looked at and is as it should be, or could not be looked at.
	Looked []Finding `json:"looked_at"`
}

// Found reports whether anything is or may be in the way.
func (f Findings) Found() bool { return len(f.Findings) > 0 }

// inquiry gathers findings about one person.
type inquiry struct {
	*exam

	identifier string // as Kratos stores it
	found      []Finding
	looked     []Finding
}

// maxIdentifierBytes is the longest identifier that ferry's hook looks up.
const maxIdentifierBytes = 1024

// Why looks for what keeps a person with this identifier from crossing. It reads
// Kratos, kratos.yml and, where there are credentials for it, the person at Auth0, and
// asks for no grant.
func Why(ctx context.Context, o Options, identifier string) Findings {
	q := &inquiry{exam: newExam(o), identifier: kratos.NormalizeIdentifier(identifier)}
	ctx, cancel := context.WithTimeout(ctx, 3*q.timeout)
	defer cancel()
	q.ask(ctx)
	slices.SortStableFunc(q.found, func(a, b Finding) int { return weight(a) - weight(b) })
	return Findings{Findings: q.found, Looked: q.looked}
}

func weight(f Finding) int {
	if f.Status == Fail {
		return 0
	}
	return 1
}

// note takes what was found under its name.
func (q *inquiry) note(name string, f Finding) {
	f.Name = name
	if f.Status == Fail || f.Status == Warn {
		q.found = append(q.found, f)
		return
	}
	q.looked = append(q.looked, f)
}

func (q *inquiry) ask(ctx context.Context) {
	switch {
	case q.identifier == "":
		q.note("identifier", fail("name an e-mail address, a username or a phone number", "the identifier is empty"))
		return
	case len(q.identifier) > maxIdentifierBytes:
		q.note("identifier", fail("see what the person typed", "the identifier has more than %d bytes: ferry looks none of them up", maxIdentifierBytes))
		return
	case q.Kratos == nil:
		q.note("kratos", fail("set FERRY_KRATOS_ADMIN_URL", "Kratos cannot be asked"))
		return
	}
	owners, err := q.Kratos.Owners(ctx, q.identifier)
	if err != nil {
		q.note("kratos", q.kratosFault(err))
		return
	}
	record, found := q.holder(ctx, owners)
	if found {
		q.identity(ctx, record)
	}
	q.hook(record, found)
	if found {
		q.atAuth0(ctx, record)
	}
	q.note("password_length", ok("passwords longer than %d bytes are refused, whoever types them (FERRY_MAX_PASSWORD_BYTES)", q.Settings.MaxPasswordBytes))
}

// holder is the one identity that the identifier logs in to with a password.
func (q *inquiry) holder(ctx context.Context, owners []kratos.Record) (kratos.Record, bool) {
	if len(owners) == 0 {
		q.absent(ctx)
		return kratos.Record{}, false
	}
	holders := slices.DeleteFunc(slices.Clone(owners), func(r kratos.Record) bool { return !slices.Contains(r.Identifiers, q.identifier) })
	switch len(holders) {
	case 1:
		q.note("identity", ok("it logs in to identity %s", holders[0].ID))
		return holders[0], true
	case 0:
		q.note("another_identifier", fail(
			"let the person use the identifier that the identity's password has, or mark the trait as one: \"credentials\": {\"password\": {\"identifier\": true}}",
			"Kratos knows it, as a social login, a code or a passkey of identity %s, but no password goes with it: the hook is not called", owners[0].ID))
		return owners[0], false
	}
	q.note("several_identities", fail("keep one of them: delete the others, or take the identifier out of their traits",
		"%d identities list it for their password, %s and %s among them: ferry cannot tell whose login it is", len(holders), holders[0].ID, holders[1].ID))
	return kratos.Record{}, false
}

// identity holds an identity against the rules of a login, in the order in which they
// decide.
func (q *inquiry) identity(ctx context.Context, r kratos.Record) {
	switch {
	case r.HasPassword:
		q.note("has_password", fail("let the person use the password of the new system, or recover the account; the old password is of no use any more",
			"identity %s has a password of its own, by migration or by the person's choice: Kratos checks that one, and does not call the hook", r.ID))
	case !r.Pending:
		q.note("not_pending", fail("let the person recover the account; or set the credential to {\"use_password_migration_hook\": true} with a PUT of the identity, and only if the password is still at Auth0",
			"identity %s has no password and does not wait for one (social logins alone, or imported without): Kratos does not call the hook", r.ID))
	default:
		q.note("pending", ok("the identity waits for its password: Kratos calls the hook"))
	}
	if !r.Active {
		q.note("inactive", fail("activate it: PATCH /admin/identities/"+r.ID+` [{"op":"replace","path":"/state","value":"active"}]`, "the identity is deactivated in Kratos: ferry refuses it, and so does Kratos"))
	}
	if r.Pending {
		q.bound(r)
	}
	q.fits(ctx, r)
}

// bound looks at whose password may open the identity, and where it is asked for.
func (q *inquiry) bound(r kratos.Record) {
	switch {
	case r.Foreign:
		q.note("foreign", fail("give metadata_admin and traits the form of an object", "the identity's metadata have a form that ferry cannot read: every login ends in an error"))
	case len(r.Binding.Subjects) == 0 && q.Settings.VerifiedIdentifier:
		q.note("unbound", warn("`ferry rebind "+r.ID+" --to 'auth0|...' --reason ...` makes it certain", "the identity does not record which Auth0 user it is: it matches only where Auth0 verified this very address"))
	case len(r.Binding.Subjects) == 0:
		q.note("unbound", fail("`ferry rebind "+r.ID+" --to 'auth0|...' --reason ...`, or `ferry reconcile` for many", "the identity does not record which Auth0 user it is: ferry refuses it, whatever the password"))
	default:
		q.note("bound", ok("it is bound to %s at Auth0", count(len(r.Binding.Subjects), "user")))
	}
	if c := r.Binding.Connection; c != "" && len(q.Settings.Realms) > 0 && !slices.Contains(q.Settings.Realms, c) {
		q.note("realm_not_listed", fail("add "+plain(c)+" to FERRY_AUTH0_REALMS", "its password is in the connection %s, which may not be asked: every login ends in an error", plain(c)))
	}
}

// fits holds the traits against the schema as it is now.
func (q *inquiry) fits(ctx context.Context, r kratos.Record) {
	if r.Foreign {
		return
	}
	text, err := q.Kratos.Schema(ctx, r.SchemaID)
	if err != nil {
		q.note("schema", warn("see that Kratos still has the identity's schema", "the schema %s of the identity cannot be read: %v", plain(r.SchemaID), err))
		return
	}
	schema, err := mapping.ParseSchema(text)
	if err != nil {
		q.note("schema", warn("`ferry map --schema FILE` says what is wrong", "the schema %s of the identity cannot be read by ferry", plain(r.SchemaID)))
		return
	}
	var invalid *mapping.InvalidError
	if err := schema.Validate(r.Traits); errors.As(err, &invalid) {
		q.note("traits_not_valid", fail("mend the traits, or loosen the schema",
			"the identity is %v: Kratos refuses the login after ferry has said match, every time", invalid))
		return
	}
	q.note("traits", ok("its traits fit the schema"))
}

// hook looks at kratos.yml: whether the hook is called at all.
func (q *inquiry) hook(r kratos.Record, found bool) {
	switch {
	case q.KratosConfig == nil:
		q.note("kratos_config", skipped("name Kratos' configuration with --kratos-config FILE"))
		return
	case q.configFault != nil:
		q.note("kratos_config", warn("name the kratos.yml that Kratos runs with, in YAML or JSON", "the file of --kratos-config cannot be used: %v", q.configFault))
		return
	}
	for _, part := range []struct {
		name  string
		check Check
	}{{"hook_off", q.checkHook()}, {"hook_url", q.checkURL()}, {"hook_key", q.checkKey()}, {"hook_blocked", q.checkClients()}} {
		if part.check.Status == Warn && part.name != "hook_off" { // worth a thought, but it keeps nobody out: plain HTTP, for one
			part.check.Status, part.check.Fix = OK, ""
		}
		q.note(part.name, part.check)
	}
	hooks := q.config.afterLogin()
	verified := slices.ContainsFunc(r.Addresses, func(a kratos.Address) bool { return a.Verified })
	if found && !verified && slices.ContainsFunc(hooks, func(hook any) bool { return lookup(hook, "hook") == "require_verified_address" }) {
		q.note("address_not_verified", fail("let the person verify the address, or import it as verified where Auth0 had verified it",
			"Kratos lets nobody in without a verified address (require_verified_address), and the identity has none: the password crosses, the login is refused"))
	}
}

// atAuth0 looks at the users that the identity is bound to.
func (q *inquiry) atAuth0(ctx context.Context, r kratos.Record) {
	switch {
	case !r.Pending || len(r.Binding.Subjects) == 0:
		return // Auth0 has no part in it
	case q.Management == nil:
		q.note("auth0_user", skipped("set FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET: doctor then looks at the person at Auth0"))
		return
	}
	for _, subject := range r.Binding.Subjects {
		text, err := q.Management.LookUpUser(ctx, subject)
		var fault *upstream.ManagementError
		switch {
		case errors.As(err, &fault) && fault.Status == 404:
			continue // linked since, or deleted; another may hold the password
		case err != nil:
			q.note("auth0_user", unread(err, scopeUsers, "the person at Auth0"))
			return
		}
		user, err := mapping.FromUser(text)
		if err != nil {
			q.note("auth0_user", warn("look the person up in Auth0's dashboard", "what Auth0 says of the person cannot be read"))
			return
		}
		q.user(user, r)
		return
	}
	q.note("deleted_at_auth0", fail("let the person recover the account at Kratos: their old password is gone; or `ferry rebind "+r.ID+" --to 'auth0|...' --reason ...` where they have a new Auth0 user",
		"Auth0 has none of the users that the identity is bound to: no password can match"))
}

func (q *inquiry) user(u mapping.Profile, r kratos.Record) {
	before := len(q.found)
	if u.Blocked {
		q.note("blocked_at_auth0", fail("unblock the person at Auth0, if they are to cross", "an administrator blocked the person at Auth0: ferry refuses them as Auth0 does"))
	}
	realm := r.Binding.Connection
	if realm == "" && len(q.Settings.Realms) > 0 {
		realm = q.Settings.Realms[0]
	}
	inRealm := func(a mapping.Account) bool { return a.HasPassword() && (realm == "" || a.Connection == realm) }
	switch {
	case !u.HasPassword():
		q.note("no_password_at_auth0", fail("let the person log in as they did before (social login), or recover the account", "the person has no password at Auth0, social logins alone"))
	case !slices.ContainsFunc(u.Accounts, inRealm):
		q.note("other_connection", fail("`ferry reconcile` records the connection anew; or add it to FERRY_AUTH0_REALMS", "%s is asked, and the person's password at Auth0 is in another connection", connection(realm)))
	}
	if len(u.Factors) > 0 {
		q.note("second_factor", warn("exempt ferry's application from the second factor in a Post-Login Action, or let the person recover the account",
			"the person enrolled a second factor at Auth0: unless ferry's application is exempt, Auth0 gives no tokens, and ferry refuses them"))
	}
	if !q.knownAs(u) {
		q.note("changed_at_auth0", warn("let the person try what Auth0 has now, or bring the identity's traits up to date",
			"Auth0 knows the person by another identifier than this one, since a change there perhaps: it refuses this one"))
	}
	if len(q.found) == before {
		q.note("auth0_user", ok("Auth0 has the person, not blocked, with a password in %s", connection(realm)))
	}
}

// knownAs reports whether Auth0 would find the user by the identifier.
func (q *inquiry) knownAs(u mapping.Profile) bool {
	const digits = "0123456789+"
	onlyDigits := func(text string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(digits, r) {
				return r
			}
			return -1
		}, text)
	}
	for _, claim := range []string{"email", "preferred_username"} {
		if text, _ := u.Claims[claim].(string); text != "" && kratos.NormalizeIdentifier(text) == q.identifier {
			return true
		}
	}
	phone, _ := u.Claims["phone_number"].(string)
	return phone != "" && onlyDigits(phone) == onlyDigits(q.identifier) || len(u.Accounts) > 1 // a linked account may have it
}

// Print writes the findings for people.
func (f Findings) Print(w io.Writer) error {
	var text strings.Builder
	for i, finding := range f.Findings {
		certainty := ""
		if finding.Status == Warn {
			certainty = " (perhaps)"
		}
		fmt.Fprintf(&text, "%d. %s%s: %s\n   -> %s\n", i+1, finding.Name, certainty, finding.Detail, finding.Fix)
	}
	if !f.Found() {
		text.WriteString("nothing is in the way: the next login asks Auth0, and crosses if the password is right there\n")
	}
	for _, finding := range f.Looked {
		fmt.Fprintf(&text, "%-4s %s: %s\n", finding.Status, finding.Name, finding.Detail)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("print findings: %w", err)
	}
	return nil
}

// MarshalJSON writes empty lists as lists.
func (f Findings) MarshalJSON() ([]byte, error) {
	type plainFindings Findings
	f.Findings = append([]Finding{}, f.Findings...)
	f.Looked = append([]Finding{}, f.Looked...)
	return json.Marshal(plainFindings(f))
}
