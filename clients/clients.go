// Package clients says what an Auth0 application becomes as an OAuth 2.0 client of Ory Hydra,
// and what of it Hydra has no counterpart for.
//
//	read the file that `ferry clients export` writes
//	for each application: go through the table of Auth0's fields (Fields)
//	    a field with a counterpart is written into the client, checked as Hydra checks it
//	    a field without one, or a value that Hydra would register and never match, is a finding
//	    what makes the client useless is a refusal
//
// It sends nothing and reads no clock. Packages below it read applications from Auth0 and
// write clients to Hydra.
package clients

import (
	"strconv"
	"strings"

	hydra "github.com/ory/hydra-client-go/v2"

	"ferry/secret"
)

// Options say how applications become clients.
type Options struct {
	// Features are those of the Hydra that gets the clients.
	Features Features
	// Expansions are the URLs that a callback with a wildcard or a placeholder stands for, by
	// the callback as Auth0 has it (ParseExpansions).
	Expansions map[string][]string
	// Keys are the public keys of applications that authenticate with private_key_jwt, by client
	// id (ParseKeys). Auth0 does not hand them out.
	Keys map[string][]Key
}

// Features are what only some releases of Hydra have.
type Features struct {
	// DeviceGrant is the device authorization grant (RFC 8628).
	DeviceGrant bool
	// SlashInID reports whether the admin API can address a client whose id has a slash.
	SlashInID bool
}

// FeaturesOf returns the features of a release of Hydra, as GET /version names it. A name that
// is not a release, and the empty one, have none.
func FeaturesOf(version string) Features {
	const first = 26 // the first major version with both
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, err := strconv.Atoi(major)
	has := err == nil && n >= first
	return Features{DeviceGrant: has, SlashInID: has}
}

// Finding is a field of an application, or one of its values, that cannot be moved.
type Finding struct {
	// Field is its name at Auth0.
	Field string `json:"field"`
	// Value is the value in question. It is empty where the field as a whole is meant, and it
	// is never a secret.
	Value  string `json:"value,omitempty"`
	Reason Reason `json:"reason"`
	// Detail says more about this case. It may be empty.
	Detail string `json:"detail,omitempty"`
}

// Plan is what an application becomes.
type Plan struct {
	// ID, Name and AppType are those of the application.
	ID, Name, AppType string
	// Client is the client without its secret. It is incomplete if the application is refused
	// or skipped.
	Client hydra.OAuth2Client
	// Secret is the client secret. It is empty for a client that has none, and where the file
	// does not have it.
	Secret secret.String
	// NoSecret reports that the client authenticates with a secret that the file does not have.
	NoSecret bool
	// Skipped is the reason why the application needs no client; empty: it needs one.
	Skipped Reason
	// Refused is the first reason why there can be no client that works; nil: there can be one.
	Refused *Finding
	// Findings are the fields and values that cannot be moved, in the order of the table.
	Findings []Finding
}

// Map returns what an application of the tenant becomes.
func Map(app Application, tenant *Tenant, opts Options) Plan {
	b := &builder{app: app, tenant: tenant, opts: opts, plan: Plan{ID: app.ID, Name: app.Name, AppType: app.Type}}
	if app.broken {
		b.refuse("", "", ReasonUnreadable, "")
		return b.plan
	}
	if app.Global {
		b.plan.Skipped = ReasonGlobal
		return b.plan
	}
	seen := map[string]bool{}
	for _, f := range Fields() {
		seen[f.top()] = true
		switch {
		case f.apply != nil:
			f.apply(b)
		case f.lost(app.at(f.Auth0)):
			b.loseNamed(f, app.at(f.Auth0))
		}
	}
	for _, name := range app.names() {
		if !seen[name] && isSet(app.at(name)) {
			b.lose(name, "", ReasonUnknownField, "")
		}
	}
	return b.plan
}

// builder makes the plan of one application. Later steps use what earlier ones found, in the
// order of the table.
type builder struct {
	app    Application
	tenant *Tenant
	opts   Options
	plan   Plan

	method string // token_endpoint_auth_method of the client
	grants []string
	public bool // the client has no secret and no key
}

// lose records a field, or one of its values, that cannot be moved.
func (b *builder) lose(field, value string, reason Reason, detail string) {
	b.plan.Findings = append(b.plan.Findings, Finding{field, value, reason, detail})
}

// refuse records why there can be no client.
func (b *builder) refuse(field, value string, reason Reason, detail string) {
	if b.plan.Refused == nil {
		b.plan.Refused = &Finding{field, value, reason, detail}
	}
}

// loseNamed records a field of the table without a counterpart. An object that has several
// parts, such as addons, is named with each of them.
func (b *builder) loseNamed(f Field, value any) {
	if f.parts == nil {
		b.lose(f.Auth0, shown(value), ReasonNoCounterpart, f.Note)
		return
	}
	for _, part := range f.parts(value) {
		b.lose(f.Auth0+"."+part, "", ReasonNoCounterpart, f.Note)
	}
}

// Text returns what the finding is about, for people.
func (f Finding) Text() string {
	text := f.Field
	for _, more := range []string{f.Value, f.Detail} {
		switch {
		case more == "":
		case text == "":
			text = more
		default:
			text += ": " + more
		}
	}
	return text
}
