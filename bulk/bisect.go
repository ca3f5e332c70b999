package bulk

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ferry/bulk/results"
	"ferry/kratos"
)

// maxUnanswered is how many requests bisect sends without any answer before it blames
// Kratos and not the rows.
const maxUnanswered = 16

// bisect finds the rows that make Kratos answer 500 whatever other rows are in the
// request, such as text that its database rejects. If Kratos answers 500 to every subset,
// Kratos itself is broken, and bisect returns cause.
func (r *importer) bisect(ctx context.Context, rows []planRow, cause error) error {
	if len(rows) == 1 {
		return fmt.Errorf("line %d is alone in its request and may be why: if every run ends here, take it out of the users file and name another results file: %w", rows[0].Line, cause)
	}
	var suspects []planRow
	answered := false
	for subsets, asked := halves(rows), 1; len(subsets) > 0; asked++ {
		subset := subsets[0]
		subsets = subsets[1:]
		broken, err := r.trySubset(ctx, subset)
		switch {
		case err != nil:
			return err
		case !broken:
			answered = true
		case len(subset) > 1:
			subsets = append(subsets, halves(subset)...)
		default:
			suspects = append(suspects, subset[0])
		}
		if !answered && asked >= maxUnanswered {
			return cause
		}
	}
	if !answered {
		return cause
	}
	return r.recheck(ctx, suspects)
}

// recheck tries each suspect once more after Kratos has answered other requests, because
// Kratos may have been down when it failed the first time.
func (r *importer) recheck(ctx context.Context, suspects []planRow) error {
	for _, row := range suspects {
		broken, err := r.trySubset(ctx, []planRow{row})
		if err == nil && broken {
			err = r.report(row.result(results.Failed, "", results.Refused(http.StatusInternalServerError, "others are created")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trySubset creates some of the rows. broken means that Kratos answered 500; every other
// temporary failure is retried.
func (r *importer) trySubset(ctx context.Context, rows []planRow) (broken bool, err error) {
	req := r.request(rows)
	var created []kratos.Created
	err = r.retry(ctx, func() (err error) {
		created, err = r.Kratos.CreateBatch(ctx, req.bodies)
		if broken = isBroken(err); broken {
			return nil
		}
		return err
	})
	if broken {
		return true, nil
	}
	again, err := r.handleAnswer(ctx, req, created, err)
	if err == nil {
		err = r.create(ctx, again)
	}
	return false, err
}

func halves(rows []planRow) [][]planRow {
	half := len(rows) / 2
	return [][]planRow{rows[:half], rows[half:]}
}

func isBroken(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status == http.StatusInternalServerError
}
