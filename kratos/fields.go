package kratos

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Field is a field of the request that creates an identity which not every Kratos has. A
// Kratos that does not have it refuses the whole request.
type Field string

// The fields.
const (
	// FieldExternalID is CreateIdentity.ExternalID.
	FieldExternalID Field = "external_id"
	// FieldOrganization is CreateIdentity.Organization.
	FieldOrganization Field = "organization_id"
	// FieldProviderOrganization is Social.Organization.
	FieldProviderOrganization Field = "organization"
	// FieldSAML is Social.SAML: the credentials of a login with SAML.
	FieldSAML Field = "saml"
)

// IsOptional reports whether an identity without the field is still the same login:
// Without removes the optional fields.
func (f Field) IsOptional() bool {
	return f == FieldExternalID || f == FieldOrganization || f == FieldProviderOrganization
}

// UnknownField returns the field that Kratos does not have, if that is the error.
func UnknownField(err error) (Field, bool) {
	var fault *Error
	if !errors.As(err, &fault) || fault.Status != http.StatusBadRequest {
		return "", false
	}
	name, isUnknown := strings.CutPrefix(fault.Said, `json: unknown field "`)
	return Field(strings.TrimSuffix(name, `"`)), isUnknown
}

// Lacks returns which of the fields this Kratos does not have. It asks by requests that
// Kratos must refuse, because they name an identity schema that does not exist: Kratos
// reports an unknown field first, and creates nothing.
func (c *Client) Lacks(ctx context.Context, fields ...Field) (missing []Field, err error) {
	fields = slices.Clone(fields)
	for len(fields) > 0 {
		body, err := probeBody(fields)
		if err != nil {
			return nil, err
		}
		got, err := c.one.send(ctx, http.MethodPost, c.admin.JoinPath("admin", "identities"), body)
		var fault *Error
		field, isUnknown := UnknownField(err)
		at := slices.Index(fields, field)
		switch {
		case got.status == http.StatusCreated:
			return nil, invalidResponse("schema_ignored")
		case isUnknown && at < 0:
			return nil, err
		case isUnknown:
			missing, fields = append(missing, field), slices.Delete(fields, at, at+1)
		case errors.As(err, &fault) && fault.Final():
			return missing, nil // for the schema: it has the other fields
		default:
			return nil, err
		}
	}
	return missing, nil
}

// probeBody returns a body that has the fields.
func probeBody(fields []Field) ([]byte, error) {
	credentials := map[string]any{}
	body := map[string]any{"schema_id": "ferry-probe-" + uuid.NewString(), "traits": map[string]any{}, "credentials": credentials}
	config := func(config map[string]any) map[string]any { return map[string]any{"config": config} }
	for _, field := range fields {
		switch field {
		case FieldExternalID:
			body[string(field)] = "ferry-probe"
		case FieldOrganization:
			body[string(field)] = uuid.Nil.String()
		case FieldProviderOrganization:
			credentials["oidc"] = config(map[string]any{"providers": []any{map[string]any{"provider": "ferry-probe", "subject": "ferry-probe", string(field): uuid.Nil.String()}}})
		case FieldSAML:
			credentials[string(field)] = config(map[string]any{"providers": []any{}})
		case FieldTOTP:
			credentials[string(field)] = config(map[string]any{"totp_url": ""})
		case FieldLookup:
			credentials[string(field)] = config(map[string]any{"codes": []any{}})
		case FieldWebAuthn, FieldPasskey:
			credentials[string(field)] = config(map[string]any{"credentials": []any{}})
		default:
			return nil, errors.New("kratos: no request tells whether Kratos has the field " + string(field))
		}
	}
	return marshal(body)
}

// Without returns the body without the optional fields among these, for a Kratos that does
// not have them. Anything but a body that CreateIdentity made is returned unchanged.
func Without(body []byte, fields ...Field) []byte {
	var object map[string]json.RawMessage
	if len(fields) == 0 || json.Unmarshal(body, &object) != nil {
		return body
	}
	changed := false
	for _, field := range fields {
		switch {
		case field == FieldProviderOrganization:
			changed = withoutOrganizations(object) || changed
		case field.IsOptional() && object[string(field)] != nil:
			delete(object, string(field))
			changed = true
		}
	}
	if !changed {
		return body
	}
	without, err := marshal(object)
	if err != nil {
		return body
	}
	return without
}

// withoutOrganizations removes the organizations of the OIDC providers.
func withoutOrganizations(object map[string]json.RawMessage) (changed bool) {
	var credentials newCredentials
	if json.Unmarshal(object["credentials"], &credentials) != nil || credentials.OIDC == nil {
		return false
	}
	for i := range credentials.OIDC.Config.Providers {
		provider := &credentials.OIDC.Config.Providers[i]
		changed = changed || provider.Organization != ""
		provider.Organization = ""
	}
	text, err := marshal(credentials)
	if err != nil || !changed {
		return false
	}
	object["credentials"] = text
	return true
}
