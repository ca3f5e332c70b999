package kratos

import (
	"bytes"
	"context"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"ferry/outcome"
)

// MaxBatch is how many identities a batch may have: the limit of Kratos 26.2.
const MaxBatch = 1000

// Created is what Kratos says became of one identity of a batch.
type Created struct {
	// ID is the new identity's; empty: it was not created. Where another of the batch
	// conflicts, 1.3.1 names ids of identities that are not there: see Exist.
	ID string
	// Status is what Kratos would have answered to a request of its own: 409 for an
	// identifier that is taken, 400 for an identity it does not accept. 0 with an ID.
	Status int
	// Reason is Kratos' own, 300 bytes of it at most. It may quote the person's data:
	// for the results of the run, never for logs.
	Reason string
	// Vague says that Kratos gave no reason but what the status means.
	Vague bool
}

// CreateBatch creates up to MaxBatch identities with one request; each body is one that
// CreateIdentity.Body made. The result has an entry for each, in the same order.
//
// An *Error means that the request was refused as a whole, and its Said why, which may
// be the fault of a single body; or that it was not answered, and then Kratos may have
// created them all the same.
func (c *Client) CreateBatch(ctx context.Context, bodies [][]byte) ([]Created, error) {
	if len(bodies) == 0 {
		return nil, nil
	}
	ctx, cancel := c.many.bound(ctx)
	defer cancel()
	asked := make([]string, len(bodies))
	for i := range asked {
		asked[i] = uuid.NewString()
	}
	body, err := batchBody(bodies, asked)
	if err != nil {
		return nil, err
	}
	got, err := c.many.send(ctx, http.MethodPatch, c.admin.JoinPath("admin", "identities"), body)
	if err != nil {
		return nil, err
	}
	if got.status == http.StatusConflict && len(bodies) == 1 {
		// Kratos does not answer by item where there is one, and it conflicts.
		if reason := said(got.body); reason != "" {
			return []Created{{Status: got.status, Reason: reason}}, nil
		}
	}
	return created(got, asked)
}

// batchBody puts the bodies as they stand into one request.
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

// itemJSON is what Kratos says of one identity of a batch.
type itemJSON struct {
	Action   string     `json:"action"`
	Identity string     `json:"identity"`
	PatchID  string     `json:"patch_id"`
	Error    *errorJSON `json:"error"`
}

// created reads the answer to a batch. It must speak of what was asked, in that order,
// and say one thing of each.
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
