package kratostest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	client "github.com/ory/kratos-client-go"
)

// IdentitySpec is an identity to create, as the bulk import does. Set at most one of Pending,
// HashedPassword and Password; Kratos prefers Pending over a hash.
type IdentitySpec struct {
	SchemaID            string // empty means Kratos' default schema
	Traits              map[string]any
	MetadataAdmin       any
	MetadataPublic      any
	ExternalID          string // Kratos 25.4 and later; 1.3.1 answers 400
	State               string // active or inactive; empty means active
	Pending             bool   // its first login calls the migration hook
	HashedPassword      string
	Password            string   // in clear; Kratos hashes it
	Social              []string // social logins, provider:subject
	VerifiableAddresses []Address
}

// Address is a verifiable address of an identity.
type Address struct {
	Value    string
	Via      string // email or sms
	Verified bool
}

// Identity is an identity as the admin API shows it.
type Identity struct {
	ID                  string
	SchemaID            string
	ExternalID          string
	State               string
	Traits              map[string]any
	MetadataAdmin       any
	MetadataPublic      any
	VerifiableAddresses []Address
	Identifiers         []string // of the password credential
	Pending             bool     // the migration flag is set
	HashedPassword      string   // may be empty
	PasswordUpdatedAt   time.Time
}

// CreateIdentity imports an identity and returns its id.
func (k *Kratos) CreateIdentity(ctx context.Context, n IdentitySpec) (string, error) {
	body := client.CreateIdentityBody{
		SchemaId:       n.SchemaID,
		Traits:         n.Traits,
		MetadataAdmin:  n.MetadataAdmin,
		MetadataPublic: n.MetadataPublic,
		Credentials:    n.credentials(),
	}
	if body.Traits == nil {
		body.Traits = map[string]any{}
	}
	if n.State != "" {
		body.State = &n.State
	}
	if n.ExternalID != "" { // a field the client does not know
		body.AdditionalProperties = map[string]any{"external_id": n.ExternalID}
	}
	for _, a := range n.VerifiableAddresses {
		status := "pending"
		if a.Verified {
			status = "completed"
		}
		body.VerifiableAddresses = append(body.VerifiableAddresses,
			*client.NewVerifiableIdentityAddress(status, a.Value, a.Verified, a.Via))
	}
	created, response, err := k.admin.IdentityAPI.CreateIdentity(ctx).CreateIdentityBody(body).Execute()
	if err := finish(response, err); err != nil {
		return "", fmt.Errorf("create identity: %w", err)
	}
	return created.Id, nil
}

func (n IdentitySpec) credentials() *client.IdentityWithCredentials {
	config := client.NewIdentityWithCredentialsPasswordConfig()
	var credentials client.IdentityWithCredentials
	switch {
	case n.Pending:
		config.SetUsePasswordMigrationHook(true)
	case n.HashedPassword != "":
		config.SetHashedPassword(n.HashedPassword)
	case n.Password != "":
		config.SetPassword(n.Password)
	case len(n.Social) == 0:
		return nil
	default:
		config = nil
	}
	if config != nil {
		credentials.Password = &client.IdentityWithCredentialsPassword{Config: config}
	}
	if len(n.Social) > 0 {
		var providers []client.IdentityWithCredentialsOidcConfigProvider
		for _, social := range n.Social {
			provider, subject, _ := strings.Cut(social, ":")
			providers = append(providers, client.IdentityWithCredentialsOidcConfigProvider{Provider: provider, Subject: subject})
		}
		credentials.Oidc = &client.IdentityWithCredentialsOidc{Config: &client.IdentityWithCredentialsOidcConfig{Providers: providers}}
	}
	return &credentials
}

// Get reads an identity with its password credential.
func (k *Kratos) Get(ctx context.Context, id string) (Identity, error) {
	read, response, err := k.admin.IdentityAPI.GetIdentity(ctx, id).IncludeCredential([]string{"password"}).Execute()
	if err := finish(response, err); err != nil {
		return Identity{}, fmt.Errorf("get identity: %w", err)
	}
	return identityOf(read), nil
}

// SetState makes an identity active or inactive.
func (k *Kratos) SetState(ctx context.Context, id, state string) error {
	patch := []client.JsonPatch{{Op: "replace", Path: "/state", Value: state}}
	_, response, err := k.admin.IdentityAPI.PatchIdentity(ctx, id).JsonPatch(patch).Execute()
	if err := finish(response, err); err != nil {
		return fmt.Errorf("set identity state: %w", err)
	}
	return nil
}

// Delete removes an identity and its sessions.
func (k *Kratos) Delete(ctx context.Context, id string) error {
	response, err := k.admin.IdentityAPI.DeleteIdentity(ctx, id).Execute()
	if err := finish(response, err); err != nil {
		return fmt.Errorf("delete identity: %w", err)
	}
	return nil
}

// ErrRefused is the error of an identity that Kratos refuses, for example because of its schema.
var ErrRefused = errors.New("refused")

// finish adds Kratos' answer to an error of the client.
func finish(response *http.Response, err error) error {
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	var refused *client.GenericOpenAPIError
	if !errors.As(err, &refused) {
		return err
	}
	if response != nil && response.StatusCode == http.StatusBadRequest {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %s", err, refused.Body())
}

func identityOf(read *client.Identity) Identity {
	identity := Identity{
		ID:             read.Id,
		SchemaID:       read.SchemaId,
		State:          read.GetState(),
		MetadataAdmin:  read.MetadataAdmin,
		MetadataPublic: read.MetadataPublic,
	}
	identity.Traits, _ = read.Traits.(map[string]any)
	identity.ExternalID, _ = read.AdditionalProperties["external_id"].(string)
	for _, a := range read.VerifiableAddresses {
		identity.VerifiableAddresses = append(identity.VerifiableAddresses, Address{Value: a.Value, Via: a.Via, Verified: a.Verified})
	}
	password := read.GetCredentials()["password"]
	identity.Identifiers = password.Identifiers
	identity.PasswordUpdatedAt = password.GetUpdatedAt()
	identity.Pending, _ = password.Config["use_password_migration_hook"].(bool)
	identity.HashedPassword, _ = password.Config["hashed_password"].(string)
	return identity
}
