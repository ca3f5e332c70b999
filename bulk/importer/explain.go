package importer

import (
	"context"
	"net/http"

	"ferry/bulk/plan"
	"ferry/kratos"
)

// maxExplained bounds the number of rows that explain asks for.
const maxExplained = 500

// explain asks Kratos for the reason if it refused a row of a batch without one, as 1.3.1
// does, by a request for this row alone. That request may create the identity.
func (c *creator) explain(ctx context.Context, row plan.Row, item kratos.Created) (kratos.Created, error) {
	if !item.Vague || item.Status != http.StatusBadRequest || c.explained.Add(1) > maxExplained {
		return item, nil
	}
	err := c.retry(ctx, func() error {
		told, err := c.client.CreateOne(ctx, kratos.Without(row.Body, c.lacks.all()...))
		if err == nil {
			item = told
		}
		return err
	})
	return item, err
}
