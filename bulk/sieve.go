package bulk

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ferry/kratos"
)

// sieveMost is how many requests in a row, none of them answered, show that it is not
// the rows.
const sieveMost = 16

// sieve finds the rows that Kratos breaks at, whatever is beside them: text that its
// database does not take, say. Where it breaks at all that it is asked, it is Kratos
// that is broken, and the run ends with cause.
func (r *importer) sieve(ctx context.Context, rows []planned, cause error) error {
	if len(rows) == 1 {
		return fmt.Errorf("line %d is alone in its request and may be why: %w", rows[0].Line, cause)
	}
	var bad []planned
	answered := false
	for parts, asked := halves(rows), 1; len(parts) > 0; asked++ {
		part := parts[0]
		parts = parts[1:]
		req := r.request(part)
		created, err := r.Kratos.CreateBatch(ctx, req.bodies)
		switch {
		case !isBroken(err):
			answered = true
			again, err := r.deal(ctx, req, created, err)
			if err == nil {
				err = r.create(ctx, again)
			}
			if err != nil {
				return err
			}
		case len(part) > 1:
			parts = append(parts, halves(part)...)
		default:
			bad = append(bad, part[0])
		}
		if !answered && asked >= sieveMost {
			return cause
		}
	}
	if !answered {
		return cause
	}
	failed := make([]Result, len(bad))
	for i, row := range bad {
		failed[i] = row.result(Failed, "", kratosReason(http.StatusInternalServerError, "others are created"))
	}
	return r.report(failed...)
}

func halves(rows []planned) [][]planned {
	half := len(rows) / 2
	return [][]planned{rows[:half], rows[half:]}
}

func isBroken(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status == http.StatusInternalServerError
}
