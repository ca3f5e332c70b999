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
		return fmt.Errorf("line %d is alone in its request and may be why: if every run ends here, take it out of the users file and name another results file: %w", rows[0].Line, cause)
	}
	var suspects []planned
	answered := false
	for parts, asked := halves(rows), 1; len(parts) > 0; asked++ {
		part := parts[0]
		parts = parts[1:]
		broken, err := r.part(ctx, part)
		switch {
		case err != nil:
			return err
		case !broken:
			answered = true
		case len(part) > 1:
			parts = append(parts, halves(part)...)
		default:
			suspects = append(suspects, part[0])
		}
		if !answered && asked >= sieveMost {
			return cause
		}
	}
	if !answered {
		return cause
	}
	return r.confirm(ctx, suspects)
}

// confirm asks for each row once more, now that Kratos has answered others: it may have
// been out of order when it broke at this one.
func (r *importer) confirm(ctx context.Context, suspects []planned) error {
	for _, row := range suspects {
		broken, err := r.part(ctx, []planned{row})
		if err == nil && broken {
			err = r.report(row.result(Failed, "", refused(http.StatusInternalServerError, "others are created")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// part deals with some of the rows, unless Kratos breaks at them. It is patient with
// every other reason for which there is no answer.
func (r *importer) part(ctx context.Context, rows []planned) (broken bool, err error) {
	req := r.request(rows)
	var created []kratos.Created
	err = r.patiently(ctx, func() (err error) {
		created, err = r.Kratos.CreateBatch(ctx, req.bodies)
		if broken = isBroken(err); broken {
			return nil
		}
		return err
	})
	if broken {
		return true, nil
	}
	again, err := r.deal(ctx, req, created, err)
	if err == nil {
		err = r.create(ctx, again)
	}
	return false, err
}

func halves(rows []planned) [][]planned {
	half := len(rows) / 2
	return [][]planned{rows[:half], rows[half:]}
}

func isBroken(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status == http.StatusInternalServerError
}
