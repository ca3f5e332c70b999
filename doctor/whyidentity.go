package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
)

// identity looks at the state of the identity and of its password.
func (q *userCheck) identity(r kratos.Record) {
	switch {
	case r.HasPassword:
		q.password(r)
	case r.Pending:
		q.note("pending", ok("the identity is pending: Kratos asks ferry about its password"))
	case len(r.Social) > 0:
		providers := providersOf(r.Social)
		q.note("social_only", fail("let the person log in with "+providers+" as before; or recover the account, which sets a password",
			"the identity has no password, only a login with %s: every password is refused", providers))
	default:
		q.note("not_pending", fail("let the person recover the account, which sets a password",
			"the identity has no password and is not pending: Kratos does not call the hook, and every password is refused"))
	}
	if !r.Active {
		q.note("inactive", fail("activate it: PATCH /admin/identities/"+r.ID+` [{"op":"replace","path":"/state","value":"active"}]`,
			"the identity is deactivated in Kratos: Kratos and ferry refuse every login"))
	}
}

// password says where the password comes from that Kratos has.
func (q *userCheck) password(r kratos.Record) {
	const form = "2006-01-02 15:04 MST"
	at, crossed := r.MigratedAt()
	end, finished := r.FinishedAt()
	switch {
	case finished:
		q.note("finished", fail("let the person recover the account, which sets a password; or `ferry finish --undo`, while the hook is still there",
			"`ferry finish` ended the migration for this identity on %s: no password of Auth0 crosses any more", end.UTC().Format(form)))
	case crossed:
		q.note("crossed", ok("crossed on %s by the hook: the password of Auth0 works, unless it was changed at Kratos since", at.UTC().Format(form)))
	case r.ImportedAs() == "created_hash":
		q.note("imported_hash", ok("imported with the hash that Auth0 exported: the password of that day works, unless it was changed at Kratos since"))
	case r.ImportedAs() == "created_pending":
		q.note("own_password", ok("Kratos has a password, and no crossing is noted. It was set at Kratos, by recovery or in the settings: "+
			"then the password of Auth0 does not work. Or it crossed while Kratos did not tell ferry of logins (no hook after the login)"))
	default:
		q.note("own_password", ok("Kratos has a password that was set there: Auth0 is not asked"))
	}
}

// providersOf names the providers of social logins, each once.
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

// bound looks at whose password may open the identity, and where it is asked for.
func (q *userCheck) bound(r kratos.Record) {
	switch {
	case r.Foreign:
		q.note("foreign", fail("make metadata_admin and traits objects", "ferry cannot read the identity's metadata: every login ends in an error"))
	case len(r.Binding.Subjects) == 0 && q.Settings.VerifiedIdentifier:
		q.note("unbound", warn("`ferry rebind "+r.ID+" --to 'auth0|...' --reason ...` makes it certain",
			"the identity does not record which Auth0 user it is: the login works only if Auth0 has verified this identifier"))
	case len(r.Binding.Subjects) == 0:
		q.note("unbound", fail("`ferry rebind "+r.ID+" --to 'auth0|...' --reason ...`; for many, `ferry reconcile`",
			"the identity does not record which Auth0 user it is: ferry refuses every password"))
	default:
		q.note("bound", ok("the identity is bound to %s at Auth0", count(len(r.Binding.Subjects), "user")))
	}
	if c := r.Binding.Connection; c != "" && len(q.Settings.Realms) > 0 && !slices.Contains(q.Settings.Realms, c) {
		q.note("realm_not_listed", fail("add "+plain(c)+" to FERRY_AUTH0_REALMS and restart ferry",
			"the password is in the connection %s, which FERRY_AUTH0_REALMS does not list: every login ends in an error", plain(c)))
	}
}

// fits holds the traits against the schema as it is now. Kratos does so too, when it
// stores the password.
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
		q.skip("schema", warn("see that Kratos still has the identity's schema", "the schema %s of the identity cannot be read: %v", plain(r.SchemaID), err))
		return
	}
	schema, err := mapping.ParseSchema(text)
	if err != nil {
		q.skip("schema", warn("`ferry map --schema FILE` says what is wrong", "ferry cannot read the schema %s of the identity", plain(r.SchemaID)))
		return
	}
	var invalid *mapping.InvalidError
	if err := schema.Validate(r.Traits); errors.As(err, &invalid) {
		q.note("traits_not_valid", fail("correct the traits, or loosen the schema",
			"the identity is %v: Kratos refuses the login after ferry has said match, every time", invalid))
		return
	}
	q.note("traits", ok("the traits fit the schema"))
}
