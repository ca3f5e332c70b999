package kratos

import (
	"context"
	"net/http"
)

// CreateOne creates an identity with a request of its own; the body is one that
// CreateIdentity.Body made. Kratos 1.3.1 says of an identity that it refuses why, which it
// does not in the answer to a batch.
//
// An *Error means that the request was not answered; Kratos may have created the identity
// all the same.
func (c *Client) CreateOne(ctx context.Context, body []byte) (Created, error) {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	got, err := c.one.send(ctx, http.MethodPost, c.admin.JoinPath("admin", "identities"), body)
	if err != nil {
		return Created{}, err
	}
	if got.status == http.StatusCreated {
		if id := idOf(got.body); id != "" {
			return Created{ID: id}, nil
		}
		return Created{}, invalidResponse("identity_id")
	}
	fault := refusal(got.status, got.body) // 200 is one too: nothing was created
	if fault.Final() && fault.Status != http.StatusNotFound {
		return Created{Status: fault.Status, Reason: fault.Said}, nil
	}
	return Created{}, fault
}
