package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// identity checks the state of the identity and of its password.
func (q *userCheck) identity(r kratos.Record) {
	switch {
	case r.HasPassword:
		q.password(r)
	case r.Pending:
		q.note("pending", ok("the identity is pending: Kratos asks ferry about its password"))
	case r.BridgeOnly():
		q.note("bridge_only", fail("let the user log in over the bridge, at Auth0 (provider "+bridgeOf(r)+"), and set a password in Kratos' settings; or recover the account",
			"the identity has no password, only the login at Auth0 over the bridge: Kratos refuses every password"))
	case len(r.Social) > 0:
		providers := providersOf(r.Social)
		q.note("social_only", fail("let the user log in with "+providers+" as before; or recover the account, which sets a password",
			"the identity has no password, only a login with %s: Kratos refuses every password", providers))
	default:
		q.note("not_pending", fail("let the user recover the account, which sets a password",
			"the identity has no password and is not pending: Kratos does not call the hook, and refuses every password"))
	}
	if !r.Active {
		q.note("inactive", fail("activate it: PATCH /admin/identities/"+r.ID+` [{"op":"replace","path":"/state","value":"active"}]`,
			"the identity is deactivated in Kratos: Kratos and ferry refuse every login"))
	}
}

// password reports the origin of the identity's password.
func (q *userCheck) password(r kratos.Record) {
	const form = "2006-01-02 15:04 MST"
	at, crossed := provenance.MigratedAt(r.MetadataAdmin)
	end, finished := r.FinishedAt()
	switch {
	case finished:
		q.note("finished", fail("let the user recover the account, which sets a password; or `ferry finish --undo`, while the hook still exists",
			"`ferry finish` ended the migration for this identity on %s: passwords at Auth0 no longer work", end.UTC().Format(form)))
	case crossed:
		q.note("crossed", ok("migrated on %s by the hook: the password at Auth0 works, unless it was changed at Kratos since", at.UTC().Format(form)))
	case provenance.ImportOf(r.MetadataAdmin).As == "created_hash":
		q.note("imported_hash", ok("imported with the hash that Auth0 exported: the password at that time works, unless it was changed at Kratos since"))
	case provenance.ImportOf(r.MetadataAdmin).As == "created_pending":
		q.note("own_password", ok("Kratos has a password, and no migration is recorded. Either it was set at Kratos, by recovery or in the settings: "+
			"then the password at Auth0 does not work. Or it migrated while Kratos had no after-login hook"))
	default:
		q.note("own_password", ok("Kratos has a password that was set there: ferry does not ask Auth0"))
	}
}

// providersOf lists the providers of social logins.
func providersOf(social []string) string {
	var names []string
	for _, one := range social {
		name, _, _ := strings.Cut(one, ":")
		if name = plain(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// bound checks the binding of the identity and its connection.
func (q *userCheck) bound(r kratos.Record) {
	switch {
	case r.Foreign:
		q.note("foreign", fail("make metadata_admin and traits objects", "ferry cannot read the identity's metadata: every login fails with an error"))
	case len(r.Binding.Subjects) == 0 && q.Settings.VerifiedIdentifier:
		q.note("unbound", warn("`ferry rebind "+r.ID+" --to 'auth0|...' --reason ...` records the Auth0 user",
			"the identity does not record its Auth0 user: the login works only if Auth0 has verified this identifier"))
	case len(r.Binding.Subjects) == 0:
		q.note("unbound", fail("`ferry rebind "+r.ID+" --to 'auth0|...' --reason ...`; for many, `ferry reconcile`",
			"the identity does not record its Auth0 user: ferry refuses every password"))
	default:
		q.note("bound", ok("the identity is bound to %s at Auth0", count(len(r.Binding.Subjects), "user")))
	}
	if c := r.Binding.Connection; c != "" && len(q.Settings.Realms) > 0 && !slices.Contains(q.Settings.Realms, c) {
		q.note("realm_not_listed", fail("add "+plain(c)+" to FERRY_AUTH0_REALMS and restart ferry",
			"the password is in the connection %s, which FERRY_AUTH0_REALMS does not list: every login fails with an error", plain(c)))
	}
}

// fits validates the traits against the current schema, as Kratos does when it stores the
// password.
func (q *userCheck) fits(ctx context.Context, r kratos.Record) {
	if r.Foreign {
		return
	}
	text, err := q.Kratos.Schema(ctx, r.SchemaID)
	var public *kratos.PublicError
	switch {
	case errors.As(err, &public):
		q.skip("schema", warn(fixPublicURL, "%s", schemaFault(public)))
		return
	case err != nil:
		q.skip("schema", warn("make sure that Kratos still has the identity's schema", "the schema %s of the identity cannot be read: %v", plain(r.SchemaID), err))
		return
	}
	schema, err := mapping.ParseSchema(text)
	if err != nil {
		q.skip("schema", warn("`ferry map --schema FILE` says what is wrong", "ferry cannot read the schema %s of the identity", plain(r.SchemaID)))
		return
	}
	var invalid *mapping.InvalidError
	if err := schema.Validate(r.Traits); errors.As(err, &invalid) {
		q.note("traits_not_valid", fail("correct the traits, or relax the schema",
			"the identity is %v: Kratos refuses every login, although ferry answers match", invalid))
		return
	}
	q.note("traits", ok("the traits are valid for the schema"))
}
