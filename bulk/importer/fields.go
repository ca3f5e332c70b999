package importer

import (
	"context"
	"slices"
	"sync"

	"ferry/kratos"
)

// lacks are the fields that Kratos does not have. Requests are sent without them.
type lacks struct {
	mu     sync.Mutex
	fields []kratos.Field // replaced, never changed
}

func (l *lacks) all() []kratos.Field {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fields
}

// without leaves an optional field out of all further requests.
func (c *creator) without(field kratos.Field) {
	c.lacks.mu.Lock()
	if !slices.Contains(c.lacks.fields, field) {
		c.lacks.fields = append(slices.Clone(c.lacks.fields), field)
	}
	c.lacks.mu.Unlock()
	c.warn("this Kratos has no " + string(field) + ": the identities are created without it")
}

// askFields asks Kratos which of the fields that the options can give an identity it does
// not have. The plan must know, because a row without its only login is skipped.
func (r *importer) askFields(ctx context.Context) error {
	fields := r.Fields()
	if r.Kratos == nil || len(fields) == 0 {
		return nil
	}
	err := r.creator.retry(ctx, func() (err error) {
		r.Lacks, err = r.Kratos.Lacks(ctx, fields...)
		return err
	})
	if err != nil {
		return err
	}
	for _, field := range r.Lacks {
		if field.IsOptional() {
			r.creator.without(field)
			continue
		}
		r.warn("this Kratos cannot import " + string(field) + ": " + without(field))
	}
	return nil
}

// without returns what becomes of users who have a field that Kratos does not have.
func without(field kratos.Field) string {
	switch field {
	case kratos.FieldTOTP, kratos.FieldWebAuthn:
		return "users with no other second factor are skipped"
	case kratos.FieldPasskey, kratos.FieldLookup:
		return "users are imported without it"
	case kratos.FieldExternalID, kratos.FieldOrganization, kratos.FieldProviderOrganization, kratos.FieldSAML:
	}
	return "users without another login are skipped"
}
