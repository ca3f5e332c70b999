package plan

import "ferry/kratos"

// Fields returns the fields that the options can give an identity, and that not every Kratos
// has.
func (o *Options) Fields() []kratos.Field {
	var fields []kratos.Field
	if o.ExternalID {
		fields = append(fields, kratos.FieldExternalID)
	}
	return fields
}

// fieldsOf returns the optional fields that an identity has.
func fieldsOf(n kratos.CreateIdentity) []kratos.Field {
	var fields []kratos.Field
	if n.ExternalID != "" {
		fields = append(fields, kratos.FieldExternalID)
	}
	return fields
}
