package kratos

import (
	"context"
	"net/http"

	"ferry/outcome"
	"ferry/secret"
)

// Replacement is what Replace changes of an identity.
type Replacement struct {
	// Pending makes the next login ask the migration hook for the password. Otherwise
	// PasswordHash, which must then be one that Kratos can check, becomes the password.
	Pending      bool
	PasswordHash secret.String
	// MetadataAdmin is the whole metadata_admin afterwards.
	MetadataAdmin map[string]any
}

// replaceJSON is the body of PUT /admin/identities/{id}. Kratos deletes the metadata and
// the external id that it leaves out, and keeps every credential that it leaves out.
type replaceJSON struct {
	Credentials    newCredentials `json:"credentials"`
	ExternalID     string         `json:"external_id,omitempty"`
	MetadataAdmin  map[string]any `json:"metadata_admin,omitzero"`
	MetadataPublic map[string]any `json:"metadata_public,omitzero"`
	SchemaID       string         `json:"schema_id"`
	State          string         `json:"state"`
	Traits         map[string]any `json:"traits"`
}

// Replace writes an identity's password and metadata_admin, and returns the identity as
// it is then. Everything else is written as it is in before, which must be the result of
// a Read a moment ago: Kratos has no conditional write, so a change made in between is
// lost. After an error without an answer the identity may have been written: Read tells.
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
	if err := c.put(ctx, before.ID, body); err != nil {
		return Record{}, err
	}
	return c.Read(ctx, before.ID)
}

func (c *Client) put(ctx context.Context, id string, body []byte) error {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	got, err := c.one.send(ctx, http.MethodPut, c.admin.JoinPath("admin", "identities", id), body)
	if err != nil {
		return err
	}
	return got.ok()
}
