package kratos

import (
	"context"
	"errors"
	"net/http"
)

// CreateOne creates an identity with a request of its own; the body is one that
// CreateIdentity.Body made. Kratos 1.3.1 says of an identity that it refuses why, which it
// does not in the answer to a batch.
//
// An *Error means that the request was not answered; Kratos may have created the identity
// all the same.
func (c *Client) CreateOne(ctx context.Context, body []byte) (Created, error) {
	ctx, cancel := c.bound(ctx, c.timeout)
	defer cancel()
	got, err := c.send(ctx, http.MethodPost, c.admin.JoinPath("admin", "identities"), body, maxAnswerBytes)
	if err == nil && got.status == http.StatusCreated {
		if id := idOf(got.body); id != "" {
			return Created{ID: id}, nil
		}
		return Created{}, invalidResponse("identity_id")
	}
	err = got.fault(err)
	var fault *Error
	switch {
	case err == nil:
		return Created{}, invalidResponse("unknown_answer")
	case errors.As(err, &fault) && fault.Final() && fault.Status != http.StatusNotFound:
		return Created{Status: fault.Status, Reason: fault.Said}, nil
	}
	return Created{}, err
}
