package plan

import (
	"slices"

	"ferry/kratos"
)

// Fields returns the fields that the options can give an identity, and that not every Kratos
// has.
func (o *Options) Fields() []kratos.Field {
	var fields []kratos.Field
	if o.ExternalID {
		fields = append(fields, kratos.FieldExternalID)
	}
	if len(o.Organizations) > 0 {
		fields = append(fields, kratos.FieldOrganization, kratos.FieldProviderOrganization)
	}
	if o.Providers.hasSAML() {
		fields = append(fields, kratos.FieldSAML)
	}
	if o.KeepMFA {
		fields = append(fields, kratos.FieldTOTP, kratos.FieldLookup)
		for _, field := range []kratos.Field{kratos.FieldWebAuthn, kratos.FieldPasskey} {
			if o.RelyingParties.of(field) != "" {
				fields = append(fields, field)
			}
		}
	}
	return fields
}

// fieldsOf returns the optional fields that an identity has.
func fieldsOf(n kratos.CreateIdentity) []kratos.Field {
	var fields []kratos.Field
	if n.ExternalID != "" {
		fields = append(fields, kratos.FieldExternalID)
	}
	if n.Organization != "" {
		fields = append(fields, kratos.FieldOrganization)
	}
	if slices.ContainsFunc(n.Social, func(one kratos.Social) bool { return one.Organization != "" && !one.SAML }) {
		fields = append(fields, kratos.FieldProviderOrganization)
	}
	return fields
}
