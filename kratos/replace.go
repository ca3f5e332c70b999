package kratos

import (
	"context"
	"net/http"

	"ferry/outcome"
	"ferry/secret"
)

// Replacement is the change that Replace makes to an identity.
type Replacement struct {
	// Pending makes the next login call the migration hook for the password. Otherwise
	// PasswordHash becomes the password and must be in a format that Kratos can check.
	Pending      bool
	PasswordHash secret.String
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

// Replace writes an identity's password and metadata_admin, and returns the resulting
// identity. Everything else is written as in before, which must be the result of a very
// recent Read: Kratos has no conditional write, so a change made in between is lost. After
// an error without an answer, Read tells whether the identity was written.
func (c *Client) Replace(ctx context.Context, before Record, to Replacement) (Record, error) {
	if before.Foreign || to.Pending != to.PasswordHash.Empty() {
		return Record{}, &Error{Outcome: outcome.Misconfigured, Reason: "replacement"}
	}
	body, err := marshal(replaceJSON{
		Credentials: newCredentials{Password: &newCredential[newPassword]{newPassword{Hash: to.PasswordHash.Reveal(), UseHook: to.Pending}}},
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
