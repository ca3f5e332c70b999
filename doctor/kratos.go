package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
)

const (
	nameAdmin   = "kratos.admin"
	nameSchema  = "kratos.schema"
	nameMapper  = "kratos.mapper"
	namePending = "kratos.pending"
	// sampleSize is the maximum number of pending identities that are checked, and walkSize
	// that of identities that are read to find them.
	sampleSize = 500
	walkSize   = 2000
)

// schemas are Kratos' identity schemas that can be read, by id.
type schemas map[string]*mapping.Schema

func (e *doctor) kratos(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	if e.Kratos == nil {
		s.skip("FERRY_KRATOS_ADMIN_URL is not set, or not valid", nameAdmin, nameSchema, nameMapper, namePending, nameUnverified, nameCode)
		return s.checks
	}
	if !s.run(ctx, nameAdmin, e.checkAdmin) {
		s.skip("Kratos does not answer", nameSchema, nameMapper, namePending, nameUnverified, nameCode)
		return s.checks
	}
	all := schemas{}
	s.run(ctx, nameSchema, func(ctx context.Context) Check { return e.readSchemas(ctx, all) })
	if len(all) == 0 {
		s.skip("there is no identity schema to validate against", nameMapper)
	} else {
		s.run(ctx, nameMapper, func(context.Context) Check { return e.checkMapper(all) })
	}
	t := tally{example: map[string]string{}}
	if s.run(ctx, namePending, func(ctx context.Context) Check { return e.checkPending(ctx, all, &t) }) || t.imported > 0 {
		s.run(ctx, nameUnverified, func(context.Context) Check { return e.checkUnverified(t) })
		s.run(ctx, nameCode, func(context.Context) Check { return e.checkCode(t) })
	} else {
		s.skip("identities cannot be read", nameUnverified, nameCode)
	}
	return s.checks
}

func (e *doctor) checkAdmin(ctx context.Context) Check {
	version, err := e.Kratos.Version(ctx)
	if err != nil {
		return e.kratosFault(err)
	}
	can, err := e.Kratos.Abilities(ctx)
	if err != nil {
		return e.kratosFault(err)
	}
	const without = "Kratos %s answers and shows identities; it does not support a template for the migration hook, so it sends ferry neither identity nor client address"
	switch {
	case !can.ExternalIDs && e.Settings.ForwardClientIP:
		return warn(fixAddress, without+", and FERRY_AUTH0_FORWARD_CLIENT_IP has no effect", plain(version))
	case !can.ExternalIDs:
		return ok(without, plain(version))
	}
	return ok("Kratos %s answers and shows identities; it supports a template for the migration hook, and external ids", plain(version))
}

// fixAddress is the fix if Kratos does not pass the client address on.
const fixAddress = "run Kratos 25.4 or later; or unset FERRY_AUTH0_FORWARD_CLIENT_IP, and put this machine's public address on Auth0's allow lists"

// takesNoTemplate reports whether the running Kratos is known not to support a template for
// the migration hook, as 1.3.1.
func (e *doctor) takesNoTemplate(ctx context.Context) bool {
	can, known := e.abilities(ctx)
	return known && !can.ExternalIDs
}

// abilities returns what the running Kratos supports, if it answers.
func (e *doctor) abilities(ctx context.Context) (can kratos.Abilities, known bool) {
	if e.Kratos == nil {
		return can, false
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	can, err := e.Kratos.Abilities(ctx)
	return can, err == nil
}

// kratosFault explains why Kratos' admin API cannot be used.
func (e *doctor) kratosFault(err error) Check {
	var public *kratos.PublicError
	if errors.As(err, &public) {
		return fail(fixPublicURL, "%s", schemaFault(public))
	}
	var fault *kratos.Error
	_ = errors.As(err, &fault)
	switch {
	case fault != nil && (fault.Status == 401 || fault.Status == 403):
		return fail("set FERRY_KRATOS_ADMIN_TOKEN to the token that the proxy in front of Kratos' admin API requires",
			"Kratos' admin API refuses ferry: ferry cannot verify any login (%v)", err)
	case fault != nil && fault.Status != 0:
		return fail("set FERRY_KRATOS_ADMIN_URL to the admin API (usually port 4434, not the public 4433)",
			"the server at FERRY_KRATOS_ADMIN_URL is not Kratos' admin API: ferry cannot verify any login (%v)", err)
	}
	if isTLSFault(err) {
		detail, fix := certificateFault("the server at FERRY_KRATOS_ADMIN_URL", "FERRY_KRATOS_ADMIN_URL", err, e.Now(),
			"install the certificate authority that signed it (SSL_CERT_FILE)")
		return fail(fix, "%s: ferry cannot verify any login (%v)", detail, err)
	}
	return fail("set FERRY_KRATOS_ADMIN_URL to the address of the admin API, and make sure that this machine reaches it",
		"Kratos' admin API does not answer: ferry cannot verify any login (%v)", err)
}

const fixPublicURL = "set FERRY_KRATOS_PUBLIC_URL to Kratos' public API as this machine reaches it (port 4433 by default)"

// schemaFault explains that Kratos' public API, which serves the identity schemas, cannot
// be used.
func schemaFault(public *kratos.PublicError) string {
	at := "FERRY_KRATOS_PUBLIC_URL, " + plain(public.URL)
	if !public.Configured {
		at = "serve.public.base_url of Kratos, " + plain(public.URL) + ", to which its admin API redirects"
	}
	return fmt.Sprintf("the identity schemas cannot be read from %s (%v). Passwords migrate, but ferry writes no traits, and import and reconcile need --schema", at, errors.Unwrap(public))
}

func (e *doctor) readSchemas(ctx context.Context, into schemas) Check {
	ids, err := e.Kratos.Schemas(ctx)
	if err != nil {
		return e.kratosFault(err)
	}
	var unreadable, without, with, refused []string
	for _, id := range ids {
		text, err := e.Kratos.Schema(ctx, id)
		if err != nil {
			return e.kratosFault(err)
		}
		schema, err := mapping.ParseSchema(text)
		switch {
		case err != nil:
			unreadable = append(unreadable, plain(id))
			continue
		case schema.HasPasswordIdentifier():
			with = append(with, plain(id))
		default:
			without = append(without, plain(id))
		}
		into[id] = schema
		for _, v := range schema.Refused() {
			refused = append(refused, fmt.Sprintf("the identity schema %s: %s", plain(id), shortened(v.String())))
		}
	}
	const fix = `mark a trait with "ory.sh/kratos": {"credentials": {"password": {"identifier": true}}}`
	switch {
	case len(unreadable) > 0:
		return fail("keep every $ref inside the schema, and use draft 7, 2019-09 or 2020-12; `ferry map --schema FILE` says what is wrong",
			"ferry cannot read the identity schema %s: it writes no traits to identities with it", strings.Join(unreadable, ", "))
	case len(refused) > 0:
		return fail(`complete the trait's "ory.sh/kratos": a code credential needs "via", a verification by SMS needs "format": "tel" beside it`,
			"Kratos starts with this schema, but refuses every identity that has the trait. %s", strings.Join(refused, "; "))
	case len(with) == 0:
		return fail(fix, "no trait of the identity schema %s is an identifier for passwords: password logins are not possible", strings.Join(without, ", "))
	case len(without) > 0:
		return warn(fix+", or do not import users into it", "no trait of the identity schema %s is an identifier for passwords; %s has one",
			strings.Join(without, ", "), strings.Join(with, ", "))
	}
	return ok("%s with an identifier for passwords: %s", count(len(with), "identity schema"), strings.Join(with, ", "))
}

// sampleUser returns a made-up user of a database connection.
func sampleUser(connection string) []byte {
	text, err := json.Marshal(map[string]any{
		"user_id": "auth0|ferry-doctor", "email": "ferry-doctor@example.com", "email_verified": true, "username": "ferry-doctor",
		"phone_number": "+4915112345678", "phone_verified": true,
		"name": "Sam Sample", "given_name": "Sam", "family_name": "Sample", "nickname": "sam", "picture": "https://example.com/sam.png",
		"identities":   []any{map[string]any{"provider": "auth0", "user_id": "ferry-doctor", "connection": connection, "isSocial": false}},
		"app_metadata": map[string]any{}, "user_metadata": map[string]any{},
		"created_at": "2023-01-25T19:00:26.539Z", "updated_at": "2023-01-25T19:00:26.539Z",
	})
	if err != nil {
		return nil
	}
	return text
}

// checkMapper maps a made-up user with every schema.
func (e *doctor) checkMapper(all schemas) Check {
	switch {
	case e.MapperFault != nil:
		return fail("fix the file of FERRY_MAPPER; `ferry map --mapper FILE --user FILE` tests it", "the mapper is not valid, and serve does not start: %v", e.MapperFault)
	case e.Mapper == nil:
		return skipped("FERRY_MAPPER cannot be read")
	}
	realm := ""
	if len(e.Settings.Realms) > 0 {
		realm = e.Settings.Realms[0]
	}
	user, err := mapping.FromUser(sampleUser(realm))
	if err != nil {
		return skipped("the sample cannot be read")
	}
	const fix = "test with your own users: `ferry export --out users.ndjson`, then `ferry map --schema FILE --user FILE`; they may have fields that the sample lacks"
	for _, id := range slices.Sorted(maps.Keys(all)) {
		mapped, err := e.Mapper(all[id]).Map(user)
		if err != nil {
			return warn(fix, "the mapper fails on a made-up user: %v", err)
		}
		if err := all[id].Validate(mapped.Traits); err != nil {
			return warn(fix, "the mapped traits of a made-up user are not valid for the identity schema %s: %v", plain(id), err)
		}
	}
	return ok("the mapped traits of a made-up user are valid for the identity schema")
}

// errEnough stops the listing of identities.
var errEnough = errors.New("enough")

// tally counts the faults of pending identities.
type tally struct {
	read, pending                         int
	unbound, invalid, nameless, elsewhere int
	inactive                              int
	imported, unverified, codes           int               // of all identities that were read
	example                               map[string]string // the id of an identity for each fault
	rule                                  string            // a violated rule of a schema
}

// checkPending checks a sample of the pending identities.
func (e *doctor) checkPending(ctx context.Context, all schemas, t *tally) Check {
	err := e.Kratos.Walk(ctx, func(r kratos.Record) error {
		if t.read++; t.read > walkSize || t.pending >= sampleSize {
			return errEnough
		}
		if r.Pending || len(r.Binding.Subjects) > 0 {
			t.imported++
		}
		if isUnverified(r) {
			t.unverified++
		}
		if isCodeOnly(r) {
			t.codes++
		}
		if r.Pending {
			t.pending++
			e.weigh(t, r, all)
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return e.kratosFault(err)
	case t.pending == 0:
		return ok("0 of %s are pending: the migration is complete, or has not started", countIdentities(min(t.read, walkSize)))
	}
	return t.verdict(err != nil, len(all) > 0)
}

func countIdentities(n int) string {
	if n == 1 {
		return "1 identity"
	}
	return fmt.Sprintf("%d identities", n)
}

func (e *doctor) weigh(t *tally, r kratos.Record, all schemas) {
	note := func(counter *int, fault string) {
		*counter++
		if t.example[fault] == "" {
			t.example[fault] = r.ID
		}
	}
	if !r.Active {
		note(&t.inactive, "inactive")
	}
	if len(r.Identifiers) == 0 {
		note(&t.nameless, "nameless")
	}
	if len(r.Binding.Subjects) == 0 && !e.Settings.VerifiedIdentifier {
		note(&t.unbound, "unbound")
	}
	if c := r.Binding.Connection; c != "" && len(e.Settings.Realms) > 0 && !slices.Contains(e.Settings.Realms, c) {
		note(&t.elsewhere, "elsewhere")
	}
	if schema := all[r.SchemaID]; schema != nil && !r.Foreign {
		if err := schema.Validate(r.Traits); err != nil {
			note(&t.invalid, "invalid")
			var invalid *mapping.InvalidError
			if t.rule == "" && errors.As(err, &invalid) && len(invalid.Violations) > 0 {
				t.rule = plain(invalid.Violations[0].String())
			}
		}
	}
}

func (t tally) verdict(sampled, checked bool) Check {
	of := fmt.Sprintf("%d pending identities", t.pending)
	if t.pending == 1 {
		of = "1 pending identity"
	}
	if sampled {
		of = "a sample of " + of
	}
	var problems, fixes []string
	for _, fault := range []struct {
		n                  int
		name, problem, fix string
	}{
		{t.unbound, "unbound", "record no Auth0 user, so ferry refuses their logins", "`ferry reconcile` or `ferry rebind` records the Auth0 user (or set FERRY_BINDING=verified_identifier)"},
		{t.invalid, "invalid", "are not valid for their identity schema, so Kratos refuses their logins with the right password (" + t.rule + ")", "relax the schema, or fix their traits"},
		{t.nameless, "nameless", "have no identifier for a login", "set the trait that is the identifier"},
		{t.elsewhere, "elsewhere", "are in a connection that FERRY_AUTH0_REALMS does not list", "add the connection to FERRY_AUTH0_REALMS"},
	} {
		if fault.n > 0 {
			problems = append(problems, fmt.Sprintf("%d %s, such as identity %s", fault.n, fault.problem, t.example[fault.name]))
			fixes = append(fixes, fault.fix)
		}
	}
	if len(problems) > 0 {
		return fail(strings.Join(fixes, "; "), "of %s %s", of, strings.Join(problems, "; "))
	}
	text := "; their traits were not validated against an identity schema"
	if checked {
		text = " and valid for the schema"
	}
	if t.inactive > 0 {
		text += fmt.Sprintf("; %d of them are deactivated", t.inactive)
	}
	return ok("%s, bound%s", of, text)
}
