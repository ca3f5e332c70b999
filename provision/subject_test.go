package provision_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"ferry/provision"
)

// TestBySubject: a refresh token names a user and no identifier. The identity is the one that an
// import would create, or the result says why there is none, and by which identifiers Kratos may
// have the user.
func TestBySubject(t *testing.T) {
	t.Parallel()
	const email = "kim@example.org"
	for name, c := range map[string]struct {
		change func(*provision.Options)
		users  []map[string]any
		before func(*desk)
		reason string // empty: created
		err    error
		finds  []string
	}{
		"created":               {users: []map[string]any{user(kim, "Kim@Example.org", true, nil)}, finds: []string{email}},
		"by username":           {users: []map[string]any{user(kim, "", false, map[string]any{"username": "kim"})}, finds: []string{"kim"}},
		"no user":               {reason: provision.ReasonNoUser},
		"a second factor":       {users: []map[string]any{user(kim, email, true, map[string]any{"multifactor": []any{"guardian"}})}, reason: "mfa"},
		"an unverified twin":    {users: []map[string]any{user(kim, email, false, nil), user(lee, email, true, nil)}, reason: provision.ReasonUnverifiedTwin},
		"Kratos has it":         {users: []map[string]any{user(kim, email, true, nil)}, before: func(d *desk) { d.people.known[email] = true }, reason: provision.ReasonKnown, finds: []string{email}},
		"Kratos refuses it":     {users: []map[string]any{user(kim, email, true, nil)}, before: func(d *desk) { d.people.status = http.StatusBadRequest }, reason: provision.ReasonRefused, finds: []string{email}},
		"the directory is down": {before: func(d *desk) { d.directory.err = errDown }, err: errDown},
		"without a directory":   {change: withoutDirectory, reason: provision.EnsuredNothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, c.change, c.users...)
			if c.before != nil {
				c.before(d)
			}
			result, err := d.BySubject(t.Context(), kim)
			created := c.reason == "" && c.err == nil
			if !errors.Is(err, c.err) || result.Reason != c.reason || result.Created != created || len(d.people.created) > 0 != created {
				t.Fatalf("%+v, %v", result, err)
			}
			if c.finds != nil && !slices.Equal(result.Identifiers, c.finds) {
				t.Errorf("identifiers %v", result.Identifiers)
			}
			if created && d.people.created[0].Metadata.Auth0.Import.Run != "provision-remint" {
				t.Errorf("%+v", d.people.created[0])
			}
		})
	}
}
