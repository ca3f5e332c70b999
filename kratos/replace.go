package kratos

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"ferry/outcome"
	"ferry/secret"
)

// Replacement is the change that Replace makes to an identity. It has one change of
// credentials at least.
type Replacement struct {
	// Pending makes the next login call the migration hook for the password. It excludes
	// PasswordHash.
	Pending bool
	// PasswordHash becomes the password and must be in a format that Kratos can check;
	// empty: the password stays, unless Pending is set.
	PasswordHash secret.String
	// Social are added to the logins at providers. Kratos keeps the others, and refuses
	// one that another identity has.
	Social []Social
	// MetadataAdmin is the whole metadata_admin afterwards.
	MetadataAdmin map[string]any
}

// replaceJSON is the body of PUT /admin/identities/{id}. Kratos deletes metadata and an
// external id that are left out, and keeps credentials that are left out.
type replaceJSON struct {
	Credentials    newCredentials `json:"credentials"`
	ExternalID     string         `json:"external_id,omitempty"`
	MetadataAdmin  map[string]any `json:"metadata_admin,omitzero"`
	MetadataPublic map[string]any `json:"metadata_public,omitzero"`
	SchemaID       string         `json:"schema_id"`
	State          string         `json:"state"`
	Traits         map[string]any `json:"traits"`
}

func (r Replacement) credentials() (*newCredentials, error) {
	return CreateIdentity{Pending: r.Pending, PasswordHash: r.PasswordHash, Social: r.Social}.credentials()
}

// Replace writes an identity's credentials and metadata_admin, and returns the resulting
// identity. Everything else is written as in before, which must be the result of a very
// recent Read: Kratos has no conditional write, so a change made in between is lost. After
// an error without an answer, Read tells whether the identity was written.
func (c *Client) Replace(ctx context.Context, before Record, to Replacement) (Record, error) {
	credentials, err := to.credentials()
	if before.Foreign || err != nil || credentials == nil {
		return Record{}, &Error{Outcome: outcome.Misconfigured, Reason: "replacement"}
	}
	body, err := marshal(replaceJSON{
		Credentials: *credentials,
		ExternalID:  before.ExternalID, MetadataAdmin: to.MetadataAdmin, MetadataPublic: before.MetadataPublic,
		SchemaID: before.SchemaID, State: before.State, Traits: before.Traits,
	})
	if err != nil {
		return Record{}, err
	}
	if _, err := c.one.send(ctx, http.MethodPut, c.admin.JoinPath("admin", "identities", before.ID), body); err != nil {
		return Record{}, err
	}
	return c.Read(ctx, before.ID)
}

// RemoveLogin removes a login at a provider, provider:subject, from an identity, and returns the
// resulting identity. Kratos rewrites the whole identity, as for Patch. Kratos 26.2 refuses to
// remove the last login that it knows, and 1.3.1 does not: the caller makes sure that there is
// another.
func (c *Client) RemoveLogin(ctx context.Context, before Record, login string) (Record, error) {
	credential := "oidc"
	if slices.Contains(before.SAML, login) {
		credential = "saml"
	}
	to := c.admin.JoinPath("admin", "identities", before.ID, "credentials", credential)
	to.RawQuery = url.Values{"identifier": {login}}.Encode()
	got, err := c.one.send(ctx, http.MethodDelete, to, nil)
	switch {
	case got.status == http.StatusNoContent:
	case err == nil:
		return Record{}, invalidResponse("not_deleted")
	default:
		return Record{}, err
	}
	return c.Read(ctx, before.ID)
}
