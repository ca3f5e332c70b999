package kratos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	client "github.com/ory/kratos-client-go"

	"ferry/jsonpatch"
	"ferry/provenance"
	"ferry/secret"
	"ferry/strictjson"
)

// Record is a whole identity, its password's hash excepted. A patch is computed from
// one that Read has just returned.
type Record struct {
	// Identity is as a login sees it, without Identifier, Lists and Trait.
	Identity

	// State is active or inactive.
	State      string
	SchemaID   string
	ExternalID string // empty: none; Kratos 1.3.1 knows no such thing
	// Traits and both kinds of metadata have their numbers as [json.Number].
	Traits         map[string]any
	MetadataPublic map[string]any
	MetadataAdmin  map[string]any
	// Foreign is true where the traits or the metadata have a form that ferry never
	// writes and cannot read: then they and Binding are left empty. Only Walk and
	// Owners return such a Record; for Read it is an error.
	Foreign bool
	// Addresses are the verifiable addresses, in the order of this read.
	Addresses []Address
	// AddressesJSON is the whole of them as Kratos shows them; nil where there are none.
	AddressesJSON json.RawMessage
	// Identifiers are those of the password credential, which is there also where
	// there is no password.
	Identifiers []string
	// Social are the identifiers of social logins, provider:subject, sorted; SAML are those
	// of logins with SAML, in the same form.
	Social, SAML []string
	// Codes are the addresses with which the user can log in by a code, if Kratos has that
	// switched on, sorted. Kratos makes the credential itself by the identity schema.
	Codes []string
	// HasTOTP is true where Kratos has an authenticator app of the user. HasKeys is true where it
	// has the credential of security keys, which may be without keys if the identity schema
	// makes a trait its identifier.
	HasTOTP, HasKeys bool
	// HasPassword is true where Kratos has a hash. It is false while Pending.
	HasPassword bool
	// PasswordDigest is the same as long as the stored hash is: a digest of it, which does not
	// reveal the hash. (When Kratos wrote the credential tells less: every patch writes it.)
	PasswordDigest [sha256.Size]byte

	CreatedAt, UpdatedAt time.Time
	// StateChangedAt is when the state was set: on creation, or later.
	StateChangedAt time.Time
}

// Address is a verifiable address.
type Address struct {
	Value    string `json:"value"`
	Via      string `json:"via"` // email or sms
	Verified bool   `json:"verified"`
}

// FinishedAt returns when `ferry finish` ended the pending state. It reports false if finish
// did not, or if the user has set a password since: otherwise only recovery lets them in.
func (r Record) FinishedAt() (time.Time, bool) {
	note, noted := provenance.FinishOf(r.MetadataAdmin)
	return note.At, noted && r.HasHash(note.PasswordSHA256)
}

// HasHash reports whether the identity has the password hash of a [provenance.Digest].
func (r Record) HasHash(digest string) bool {
	return r.HasPassword && hex.EncodeToString(r.PasswordDigest[:]) == digest
}

// LoginIdentifiers returns the identifiers of the password and of the code, sorted and each
// once.
func (r Record) LoginIdentifiers() []string {
	all := slices.Concat(r.Identifiers, r.Codes)
	slices.Sort(all)
	return slices.Compact(all)
}

// Finished reports whether FinishedAt does.
func (r Record) Finished() bool {
	_, finished := r.FinishedAt()
	return finished
}

// IsBridge reports whether a login, provider:subject, is one at the bridge, the OIDC provider
// that is Auth0 itself: its subject is a whole Auth0 user id of the binding. At other providers
// the subject has no provider before it.
func (r Record) IsBridge(login string) bool {
	_, subject, _ := strings.Cut(login, ":")
	return r.Binding.Has(subject)
}

// HasBridge reports whether the user can log in at the bridge.
func (r Record) HasBridge() bool { return slices.ContainsFunc(r.Social, r.IsBridge) }

// BridgeOnly reports whether a login at the bridge is the only one at a provider.
func (r Record) BridgeOnly() bool {
	return len(r.Social) > 0 && len(r.SAML) == 0 && !slices.ContainsFunc(r.Social, func(one string) bool { return !r.IsBridge(one) })
}

// Read returns an identity as it is now. That it has no password, or not even the credential for
// one, is not an error: see HasPassword.
func (c *Client) Read(ctx context.Context, id string) (Record, error) {
	text, err := c.readText(ctx, id)
	if err != nil {
		return Record{}, err
	}
	return readRecord(text, id)
}

// readRecord reads the answer about the identity with the id.
func readRecord(text []byte, id string) (Record, error) {
	record, err := strictRecord(text)
	if err == nil && record.ID != id {
		err = invalidResponse("identity_changed")
	}
	if err != nil {
		return Record{}, err
	}
	return record, nil
}

func (c *Client) readText(ctx context.Context, id string) ([]byte, error) {
	// Social logins are listed all the same; to include them makes Kratos decrypt tokens.
	to := c.admin.JoinPath("admin", "identities", url.PathEscape(id))
	to.RawQuery = "include_credential=" + password
	got, err := c.one.send(ctx, http.MethodGet, to, nil)
	return got.body, err
}

// Patch changes an identity and returns it as it is then. Kratos rewrites the whole identity,
// credentials too: compute ops from a fresh Read, and compare PasswordDigest.
func (c *Client) Patch(ctx context.Context, id string, ops []jsonpatch.Op) (Record, error) {
	patch := make([]client.JsonPatch, len(ops))
	for i, op := range ops {
		patch[i] = client.JsonPatch{Op: op.Op, Path: op.Path, Value: op.Value}
		if op.Value == nil { // the client leaves it out, and RFC 6902 (4.1) wants it
			patch[i].AdditionalProperties = map[string]any{"value": nil}
		}
	}
	got, err := ask(c.one.PatchIdentity(ctx, id).JsonPatch(patch))
	if err == nil {
		err = got.decode(&struct{}{})
	}
	if err != nil {
		return Record{}, err
	}
	return c.Read(ctx, id)
}

// recordJSON is the part of Kratos' identity that no login is decided by.
type recordJSON struct {
	SchemaID  string        `json:"schema_id"`
	Addresses addressesJSON `json:"verifiable_addresses"`
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
	StateAt   time.Time     `json:"state_changed_at"`
}

// addressesJSON is the verifiable addresses, what ferry reads of them and all of it.
type addressesJSON struct {
	list []Address
	text json.RawMessage
}

// UnmarshalJSON keeps the text beside what it says.
func (a *addressesJSON) UnmarshalJSON(text []byte) error {
	if err := strictjson.Unmarshal(text, &a.list); err != nil {
		return err
	}
	if a.list != nil {
		a.text = slices.Clone(text)
	}
	return nil
}

// strictRecord reads an identity twice: by the rules of a login, then the rest.
func strictRecord(text []byte) (Record, error) {
	var login identityJSON
	var rest struct {
		recordJSON

		Traits         own[map[string]any] `json:"traits"`
		MetadataPublic own[map[string]any] `json:"metadata_public"`
		MetadataAdmin  own[map[string]any] `json:"metadata_admin"`
	}
	if strictjson.Unmarshal(text, &login, opaque()...) != nil || strictjson.Unmarshal(text, &rest, opaque()...) != nil {
		return Record{}, invalidResponse("answer_malformed")
	}
	record, err := login.record(rest.recordJSON)
	if err != nil {
		return Record{}, err
	}
	record.Binding = login.MetadataAdmin.Binding(login.ExternalID)
	record.Traits, record.MetadataPublic, record.MetadataAdmin = rest.Traits.value, rest.MetadataPublic.value, rest.MetadataAdmin.value
	return record, nil
}

// anyRecord reads any identity that Kratos can hold, with metadata that are a text,
// say, or a list: see Record.Foreign.
func anyRecord(text []byte) (Record, error) {
	if record, err := strictRecord(text); err == nil {
		return record, nil
	}
	var foreign struct {
		coreJSON
		recordJSON
	}
	if strictjson.Unmarshal(text, &foreign, append(opaque(), "metadata_admin")...) != nil {
		return Record{}, invalidResponse("answer_malformed")
	}
	record, err := foreign.record(foreign.recordJSON)
	record.Foreign = true
	return record, err
}

// record is without what people and operators may write into an identity.
func (c coreJSON) record(rest recordJSON) (Record, error) {
	switch {
	case c.ID == "":
		return Record{}, invalidResponse("identity_id")
	case !c.hasState():
		return Record{}, invalidResponse("identity_state")
	}
	record := Record{
		Identity: Identity{ID: c.ID, Active: c.State == active},
		State:    c.State, SchemaID: rest.SchemaID, ExternalID: c.ExternalID,
		Addresses: rest.Addresses.list, AddressesJSON: rest.Addresses.text, CreatedAt: rest.CreatedAt, UpdatedAt: rest.UpdatedAt,
		StateChangedAt: rest.StateAt,
	}
	var hash secret.String
	if credential := c.Credentials.Password; credential != nil {
		if !credential.Config.shown {
			return Record{}, invalidResponse("no_credential_config")
		}
		hash = credential.Config.hashedPassword
		record.Identifiers, record.Pending = credential.Identifiers, credential.Config.pending()
	}
	record.Social, record.SAML, record.Codes = c.Credentials.OIDC.sorted(), c.Credentials.SAML.sorted(), c.Credentials.Code.sorted()
	record.HasTOTP, record.HasKeys = c.Credentials.TOTP != nil, c.Credentials.Keys != nil
	record.HasPassword = !hash.Empty()
	record.PasswordDigest = sha256.Sum256([]byte(hash.Reveal()))
	return record, nil
}
