package kratos

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"

	client "github.com/ory/kratos-client-go"

	"ferry/outcome"
	"ferry/strictjson"
)

// Record is an identity as a patch is computed from: always read afresh.
type Record struct {
	Identity

	SchemaID       string
	Traits         map[string]any
	MetadataPublic map[string]any
	MetadataAdmin  map[string]any
	// Addresses are the verifiable addresses, in the order of this read.
	Addresses []Address
	// PasswordDigest is the same as long as the stored hash is: a digest of it, which
	// tells nobody the hash. (When Kratos wrote the credential tells less: every
	// patch writes it.)
	PasswordDigest [sha256.Size]byte
}

// Address is a verifiable address.
type Address struct {
	Value    string `json:"value"`
	Via      string `json:"via"` // email or sms
	Verified bool   `json:"verified"`
}

// Op is one operation of a JSON patch (RFC 6902): add or replace.
type Op struct {
	Op    string
	Path  string
	Value any
}

// Final reports whether trying again cannot help: Kratos understood and refused.
func (e *Error) Final() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// Read returns an identity as it is now.
func (c *Client) Read(ctx context.Context, id string) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var found rawJSON
	err := c.read(ctx, &found, func(ctx context.Context) error {
		_, _, err := c.api.GetIdentity(ctx, id).IncludeCredential([]string{password}).Execute() //nolint:bodyclose // reader has read it
		return err
	})
	if err != nil {
		return Record{}, err
	}
	return record(found, id)
}

// Patch changes an identity and returns it as it is then. Kratos writes the whole
// identity anew, credentials too: compute ops from a fresh Read, and compare
// PasswordDigest.
func (c *Client) Patch(ctx context.Context, id string, ops []Op) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	patch := make([]client.JsonPatch, len(ops))
	for i, op := range ops {
		patch[i] = client.JsonPatch{Op: op.Op, Path: op.Path, Value: op.Value}
	}
	var ignored struct{}
	err := c.read(ctx, &ignored, func(ctx context.Context) error {
		_, _, err := c.api.PatchIdentity(ctx, id).JsonPatch(patch).Execute() //nolint:bodyclose // reader has read it
		return err
	})
	if err != nil {
		return Record{}, err
	}
	return c.Read(ctx, id)
}

// Schema returns an identity schema as Kratos serves it. Its admin API redirects to
// the public one, 1.3.1 after a detour through itself; the token goes only to the
// admin API.
func (c *Client) Schema(ctx context.Context, schemaID string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	next := c.admin.JoinPath("schemas", schemaID)
	var got answer
	var err error
	for range schemaRedirects {
		if got, err = c.get(ctx, next); got.location == "" {
			break
		}
		if next, err = next.Parse(got.location); err != nil {
			break
		}
	}
	var schema rawJSON
	if err := got.decode(err, &schema); err != nil {
		return nil, err
	}
	return schema, nil
}

const schemaRedirects = 4

// get asks without the generated client, which follows no redirects either.
func (c *Client) get(ctx context.Context, from *url.URL) (answer, error) {
	var got answer
	req, err := http.NewRequestWithContext(context.WithValue(ctx, answerKey{}, &got), http.MethodGet, from.String(), nil)
	if err != nil {
		return answer{}, err
	}
	if from.Host == c.admin.Host && !c.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	return got, resp.Body.Close()
}

// rawJSON takes a value as it stands.
type rawJSON []byte

// UnmarshalJSON copies the text.
func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// recordJSON is the part of Kratos' identity that only a patch needs.
type recordJSON struct {
	SchemaID       string         `json:"schema_id"`
	Traits         map[string]any `json:"traits"`
	MetadataPublic map[string]any `json:"metadata_public"`
	MetadataAdmin  map[string]any `json:"metadata_admin"`
	Addresses      []Address      `json:"verifiable_addresses"`
}

// record decodes the identity twice: by the rules of a login, then the rest.
func record(text []byte, id string) (Record, error) {
	garbled := &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "answer_malformed"}
	var decided identityJSON
	var rest recordJSON
	if strictjson.Unmarshal(text, &decided, opaque()...) != nil || strictjson.Unmarshal(text, &rest, opaque()...) != nil {
		return Record{}, garbled
	}
	if decided.ID != id || decided.Credentials.Password == nil {
		return Record{}, &Error{Outcome: outcome.Garbled, Status: http.StatusOK, Reason: "identity_changed"}
	}
	known, err := decided.identity("")
	if err != nil {
		return Record{}, err
	}
	return Record{
		Identity: known, SchemaID: rest.SchemaID, Traits: rest.Traits, MetadataPublic: rest.MetadataPublic, MetadataAdmin: rest.MetadataAdmin,
		Addresses: rest.Addresses, PasswordDigest: sha256.Sum256([]byte(decided.Credentials.Password.Config.HashedPassword.Reveal())),
	}, nil
}
