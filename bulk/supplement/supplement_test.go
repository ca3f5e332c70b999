package supplement_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ferry/bulk/supplement"
	"ferry/bulk/userfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func packed(t *testing.T, text string) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return &out
}

// Every user is found, in a table of any size.
func TestComplete(t *testing.T) {
	t.Parallel()
	for _, users := range []int64{0, 1, 2, 3, 700, 4096} {
		var text strings.Builder
		for i := range users {
			fmt.Fprintf(&text, `{"user_id":"auth0|%d","blocked":true,"last_password_reset":"%d","identities":[]}`+"\n\n", i, i)
		}
		x, err := supplement.Open(t.Context(), packed(t, text.String()), users, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		completes(t, x, users)
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}

// completes completes each of the users, and what is none of them.
func completes(t *testing.T, x *supplement.Index, users int64) {
	t.Helper()
	for i := range users {
		got, err := x.Complete(fmt.Appendf(nil, `{"user_id":"auth0|%d","multifactor":["guardian"]}`, i))
		want := fmt.Sprintf(`{"user_id":"auth0|%d","multifactor":["guardian"],"blocked":true,"last_password_reset":"%d","identities":[]}`, i, i)
		if err != nil || string(got) != want {
			t.Fatalf("%s, %v", got, err)
		}
	}
	if _, err := x.Complete([]byte(`{"user_id":"auth0|-1"}`)); !errors.Is(err, userfile.ErrAbsent) {
		t.Errorf("of %d users: %v", users, err)
	}
	for _, text := range []string{`{"email":"a@x.test"}`, `{`, `[]`} {
		if got, err := x.Complete([]byte(text)); err != nil || string(got) != text {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	const user = `{"user_id":"auth0|1"}` + "\n"
	for name, c := range map[string]struct {
		ctx   context.Context //nolint:containedctx // a case of a table
		from  io.Reader
		users int64
		says  string
	}{
		"not gzip":       {t.Context(), strings.NewReader(user), 1, "read the export: the gzip file"},
		"cut":            {t.Context(), io.LimitReader(packed(t, strings.Repeat(user, 500)), 40), 500, "the gzip file ends too early at line"},
		"no user":        {t.Context(), packed(t, user+"{}\n"), 2, "read the export: line 2: read user: user_id is missing"},
		"more than said": {t.Context(), packed(t, strings.Repeat(user, 5)), 1, "it has more users than Auth0 said"},
		"cancelled":      {cancelled, packed(t, user), 1, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := supplement.Open(c.ctx, c.from, c.users, t.TempDir()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := supplement.Open(t.Context(), packed(t, user), 1, "/nowhere"); err == nil {
		t.Error("opened without a place for its files")
	}
}

// Later entries of the same users do not change what is found.
func TestTwice(t *testing.T) {
	t.Parallel()
	x, err := supplement.Open(t.Context(), packed(t, `{"user_id":"auth0|1","blocked":true}`+"\n"+`{"user_id":"auth0|1","blocked":false}`), 2, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	got, err := x.Complete([]byte(`{"user_id":"auth0|1"}`))
	if err != nil || !strings.Contains(string(got), `"blocked":true`) {
		t.Errorf("%s, %v", got, err)
	}
}
