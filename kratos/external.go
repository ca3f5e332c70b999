package kratos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// ByExternalID returns the identity with an external id. ok is false if there is none, and with
// a Kratos before 25.4, which has no external ids.
func (c *Client) ByExternalID(ctx context.Context, externalID string) (record Record, ok bool, err error) {
	to := c.admin.JoinPath("admin", "identities", "by", "external", url.PathEscape(externalID))
	to.RawQuery = "include_credential=" + password
	got, err := c.one.send(ctx, http.MethodGet, to, nil)
	var fault *Error
	switch {
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return Record{}, false, nil
	case err != nil:
		return Record{}, false, err
	}
	if record, err = anyRecord(got.body); err != nil {
		return Record{}, false, err
	}
	if record.ExternalID != externalID {
		return Record{}, false, invalidResponse("identity_changed")
	}
	return record, true, nil
}
