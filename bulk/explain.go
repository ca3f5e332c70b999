package bulk

import (
	"context"
	"net/http"

	"ferry/kratos"
)

// maxExplained bounds how many refused rows of a run Kratos is asked about once more.
const maxExplained = 500

// explain asks Kratos for its reason where it refused a row of a batch without one, as
// 1.3.1 does: a request of the row's own tells it. That request may create the identity.
func (r *importer) explain(ctx context.Context, row planRow, item kratos.Created) (kratos.Created, error) {
	if !item.Vague || item.Status != http.StatusBadRequest || !r.mayExplain() {
		return item, nil
	}
	err := r.retry(ctx, func() error {
		told, err := r.Kratos.CreateOne(ctx, row.body(r.external()))
		if err == nil {
			item = told
		}
		return err
	})
	return item, err
}

func (r *importer) mayExplain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.explained++
	return r.explained <= maxExplained
}
