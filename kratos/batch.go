package kratos

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"ferry/outcome"
)

// MaxBatch is the maximum size of a batch: the limit of Kratos 26.2.
const MaxBatch = 1000

// Created is Kratos' result for one identity of a batch.
type Created struct {
	// ID is the new identity's id; empty if it was not created. If another identity of
	// the batch conflicts, 1.3.1 returns ids of identities that do not exist: see Exist.
	ID string
	// Status is what Kratos would have answered to a single request: 409 for an
	// identifier that is taken, 400 for an identity it does not accept. 0 with an ID.
	Status int
	// Reason is Kratos' own, at most 300 bytes of it. It may quote personal data: use it
	// in the results of the run, never in logs.
	Reason string
	// Vague reports whether Reason says no more than Status.
	Vague bool
}

// CreateBatch creates up to MaxBatch identities with one request; each body is one that
// CreateIdentity.Body made. The result has an entry for each, in the same order.
//
// An *Error means that Kratos refused the whole request, for the reason in Said, which may
// be the fault of a single body; or that there was no answer, and then Kratos may have
// created the identities.
func (c *Client) CreateBatch(ctx context.Context, bodies [][]byte) ([]Created, error) {
	if len(bodies) == 0 {
		return nil, nil
	}
	asked := make([]string, len(bodies))
	for i := range asked {
		asked[i] = uuid.NewString()
	}
	body, err := batchBody(bodies, asked)
	if err != nil {
		return nil, err
	}
	got, err := c.many.send(ctx, http.MethodPatch, c.admin.JoinPath("admin", "identities"), body)
	if got.status == http.StatusConflict && len(bodies) == 1 {
		// Kratos does not answer by item if a single identity conflicts.
		if reason := said(got.body); reason != "" {
			return []Created{{Status: got.status, Reason: reason}}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return created(got, asked)
}

// CreateOne creates an identity with a request of its own; the body is one that
// CreateIdentity.Body made. Kratos 1.3.1 gives its reason for refusing an identity here, and
// not in the answer to a batch.
//
// An *Error means that the request was not answered; Kratos may have created the identity
// all the same.
func (c *Client) CreateOne(ctx context.Context, body []byte) (Created, error) {
	got, err := c.one.send(ctx, http.MethodPost, c.admin.JoinPath("admin", "identities"), body)
	var fault *Error
	switch {
	case got.status == http.StatusCreated:
		if id := idOf(got.body); id != "" {
			return Created{ID: id}, nil
		}
		return Created{}, invalidResponse("identity_id")
	case err == nil:
		return Created{}, invalidResponse("unknown_answer")
	case errors.As(err, &fault) && fault.Final() && fault.Status != http.StatusNotFound:
		return Created{Status: fault.Status, Reason: fault.Said}, nil
	}
	return Created{}, err
}

// batchBody puts the bodies unchanged into one request.
func batchBody(bodies [][]byte, patchIDs []string) ([]byte, error) {
	if len(bodies) > MaxBatch {
		return nil, &Error{Outcome: outcome.Misconfigured, Reason: "batch_size"}
	}
	var out bytes.Buffer
	for i, body := range bodies {
		if value := jsontext.Value(body); value.Kind() != '{' || !value.IsValid() {
			return nil, &Error{Outcome: outcome.InvalidResponse, Reason: "batch_body"}
		}
		before := `},{"create":`
		if i == 0 {
			before = `{"identities":[{"create":`
		}
		out.WriteString(before)
		out.Write(body)
		out.WriteString(`,"patch_id":"` + patchIDs[i] + `"`)
	}
	out.WriteString(`}]}`)
	return out.Bytes(), nil
}

// itemJSON is Kratos' answer about one identity of a batch.
type itemJSON struct {
	Action   string     `json:"action"`
	Identity string     `json:"identity"`
	PatchID  string     `json:"patch_id"`
	Error    *errorJSON `json:"error"`
}

// created reads the answer to a batch. It must have exactly one unambiguous item for each
// identity, in the order of the request.
func created(got answer, asked []string) ([]Created, error) {
	var answer struct {
		Identities []itemJSON `json:"identities"`
	}
	if err := got.decode(&answer); err != nil {
		return nil, err
	}
	if len(answer.Identities) != len(asked) {
		return nil, invalidResponse("batch_length")
	}
	all := make([]Created, len(asked))
	for i, item := range answer.Identities {
		if item.PatchID != asked[i] {
			return nil, invalidResponse("batch_order")
		}
		switch {
		case item.Action == "create" && item.Error == nil && uuid.Validate(item.Identity) == nil:
			all[i] = Created{ID: item.Identity}
		case item.Action == "error" && item.Error != nil && item.Identity == "" && item.Error.Code >= http.StatusBadRequest:
			all[i] = Created{Status: item.Error.Code, Reason: item.Error.text(), Vague: item.Error.Reason == "" || item.Error.Reason == item.Error.Message}
		default:
			return nil, invalidResponse("batch_item")
		}
	}
	return all, nil
}
