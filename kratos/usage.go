package kratos

import (
	"context"
	"net/http"
	"time"

	"ferry/strictjson"
)

// Usage is an identity with the traces that its use leaves.
type Usage struct {
	Record

	// HasSession is true where Kratos has a session of the identity, active or not. It
	// deletes sessions in a clean-up after they expire, and when an operator deletes them.
	HasSession bool
	// Changed is true where Kratos has written the identity, a credential or an address since it
	// created them, or has sent a message to verify an address. A login with a password that Kratos
	// already has is not such a change.
	Changed bool
}

// Usage reads an identity and then its sessions, so that it sees every login that was
// complete at the time of the call.
func (c *Client) Usage(ctx context.Context, id string) (Usage, error) {
	text, err := c.readText(ctx, id)
	if err != nil {
		return Usage{}, err
	}
	record, err := readRecord(text, id)
	if err != nil {
		return Usage{}, err
	}
	var rows rowsJSON
	if strictjson.Unmarshal(text, &rows, opaque()...) != nil {
		return Usage{}, invalidResponse("answer_malformed")
	}
	got, err := ask(c.one.ListIdentitySessions(ctx, id).PageSize(1))
	if err != nil {
		return Usage{}, err
	}
	var sessions []struct {
		ID string `json:"id"`
	}
	if err := got.decode(&sessions); err != nil {
		return Usage{}, err
	}
	if sessions == nil || len(sessions) > 0 && sessions[0].ID == "" {
		return Usage{}, invalidResponse("sessions")
	}
	return Usage{Record: record, HasSession: len(sessions) > 0, Changed: rows.changed()}, nil
}

// rowsJSON is the times at which Kratos wrote the rows of an identity. Kratos 1.3.1 writes
// the credentials at every change, and not the identity's own time; later ones write the
// identity's, and of the credentials only those that change.
type rowsJSON struct {
	rowJSON

	Credentials map[string]rowJSON `json:"credentials"`
	Verifiable  []rowJSON          `json:"verifiable_addresses"`
	Recovery    []rowJSON          `json:"recovery_addresses"`
}

type rowJSON struct {
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	VerifiedAt *time.Time `json:"verified_at"`
	Status     string     `json:"status"` // of a verifiable address
}

// changed also reports a row without times. Verifying an address writes verified_at and no
// other time; an import gives a time before the row was created.
func (r rowJSON) changed() bool {
	return r.CreatedAt.IsZero() || !r.UpdatedAt.Equal(r.CreatedAt) ||
		r.VerifiedAt != nil && r.VerifiedAt.After(r.CreatedAt) || r.Status == "sent"
}

func (r rowsJSON) changed() bool {
	changed := r.rowJSON.changed()
	for _, row := range r.Credentials {
		changed = changed || row.changed()
	}
	for _, row := range r.Verifiable {
		changed = changed || row.changed()
	}
	for _, row := range r.Recovery {
		changed = changed || row.changed()
	}
	return changed
}

// Delete deletes an identity, with its credentials and sessions. After an error without an
// answer, Read tells whether the identity was deleted.
func (c *Client) Delete(ctx context.Context, id string) error {
	got, err := c.one.send(ctx, http.MethodDelete, c.admin.JoinPath("admin", "identities", id), nil)
	switch {
	case got.status == http.StatusNoContent:
		return nil
	case err == nil:
		return invalidResponse("not_deleted")
	}
	return err
}
