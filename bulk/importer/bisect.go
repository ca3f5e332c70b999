package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/kratos"
)

// maxUnanswered is how many requests bisect sends without any answer before it blames
// Kratos and not the rows.
const maxUnanswered = 16

// bisect finds the rows that make Kratos answer 500 whatever other rows are in the
// request, such as text that its database rejects. If Kratos answers 500 to every subset,
// Kratos itself is broken, and bisect returns cause.
func (c *creator) bisect(ctx context.Context, rows []plan.Row, cause error) error {
	if len(rows) == 1 {
		return fmt.Errorf("line %d is alone in its request and may be the cause: if every run ends here, take it out of the users file and name another results file: %w", rows[0].Line, cause)
	}
	var suspects []plan.Row
	answered := false
	for subsets, asked := halves(rows), 1; len(subsets) > 0; asked++ {
		subset := subsets[0]
		subsets = subsets[1:]
		broken, err := c.trySubset(ctx, subset)
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
	return c.recheck(ctx, suspects)
}

// recheck tries each suspect once more after Kratos has answered other requests, because
// Kratos may have been down when it failed the first time.
func (c *creator) recheck(ctx context.Context, suspects []plan.Row) error {
	for _, row := range suspects {
		broken, err := c.trySubset(ctx, []plan.Row{row})
		if err == nil && broken {
			err = c.report(result(row, results.Failed, "", results.Refused(http.StatusInternalServerError, "others are created")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trySubset creates some of the rows. broken means that Kratos answered 500; every other
// temporary failure is retried.
func (c *creator) trySubset(ctx context.Context, rows []plan.Row) (broken bool, err error) {
	req := c.request(rows)
	var created []kratos.Created
	err = c.retry(ctx, func() (err error) {
		created, err = c.client.CreateBatch(ctx, req.bodies)
		if broken = isBroken(err); broken {
			return nil
		}
		return err
	})
	if broken {
		return true, nil
	}
	again, err := c.handleAnswer(ctx, req, created, err)
	if err == nil {
		err = c.create(ctx, again)
	}
	return false, err
}

func halves(rows []plan.Row) [][]plan.Row {
	half := len(rows) / 2
	return [][]plan.Row{rows[:half], rows[half:]}
}

func isBroken(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status == http.StatusInternalServerError
}
