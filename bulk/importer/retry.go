package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ferry/bulk/retry"
	"ferry/kratos"
	"ferry/outcome"
)

// retry repeats a request that Kratos did not answer, for up to RetryFor.
func (c *creator) retry(ctx context.Context, ask func() error) error {
	err := retry.Do(ctx, c.now, c.retryFor, ask, func(err error) bool {
		if !isTemporary(err) {
			return false
		}
		c.limiter.failed()
		c.warn("Kratos does not answer as it should: trying again for up to " + c.retryFor.String())
		return true
	})
	var fault *kratos.Error
	switch {
	case err == nil, !errors.As(err, &fault), fault.Final(), isRows(fault.Status):
		return err
	case fault.Outcome == outcome.InvalidResponse:
		return fmt.Errorf("the answer of Kratos is not valid; nothing is lost, the same command continues from here: %w", err)
	case isUnauthorized(fault):
		return fmt.Errorf("kratos refuses ferry's token: %w", err)
	}
	return fmt.Errorf("kratos does not answer; nothing is lost, the same command continues from here: %w", err)
}

// isTemporary reports whether a request may succeed later as it is.
func isTemporary(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && !fault.Final() && !isRows(fault.Status) && fault.Outcome != outcome.InvalidResponse && !isUnauthorized(fault)
}

func isUnauthorized(fault *kratos.Error) bool {
	return fault.Status == http.StatusUnauthorized || fault.Status == http.StatusForbidden
}

// isRows reports whether a refusal is about the rows of the request: a bad row, a conflict,
// or too many rows.
func isRows(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}
