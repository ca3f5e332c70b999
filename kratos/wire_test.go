package kratos_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/outcome"
	"ferry/test/faultyhttp"
	"ferry/transport"
)

const wireID = "7f4c3b1e-0f57-4b4c-8f5e-0c5a2a1d9a01"

// wireAdmin answers every call of this test as Kratos would.
func wireAdmin(w http.ResponseWriter, r *http.Request) {
	one := `{"id":"` + wireID + `","schema_id":"person","schema_url":"","state":"active","traits":{},"metadata_admin":{"auth0":{"user_id":"auth0|kim"}},` +
		`"credentials":{"password":{"type":"password","identifiers":["kim@example.org"],"config":{"use_password_migration_hook":true}}}}`
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/admin/identities" && r.Method == http.MethodGet:
		w.Header().Set("Link", `<http://x/admin/identities?page_token=1>; rel="first"`)
		_, _ = io.WriteString(w, "["+one+"]")
	case r.URL.Path == "/schemas":
		_, _ = io.WriteString(w, `[{"id":"person"}]`)
	case r.URL.Path == "/schemas/person":
		_, _ = io.WriteString(w, `{}`)
	case r.URL.Path == "/admin/version":
		_, _ = io.WriteString(w, `{"version":"v1.3.1"}`)
	default:
		_, _ = io.WriteString(w, one)
	}
}

// TestEveryCallEnds: no call outlives its deadline, and a faulty answer is an error.
func TestEveryCallEnds(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		fault faultyhttp.Fault
		want  outcome.Outcome
	}{
		"101":                {faultyhttp.Switch, outcome.InvalidResponse},
		"body without end":   {faultyhttp.EndlessBody, outcome.Unavailable},
		"header without end": {faultyhttp.EndlessHeader, outcome.Unavailable},
		"103 without end":    {faultyhttp.EndlessInformational, outcome.Unavailable},
		"lost":               {faultyhttp.Lost, outcome.Unavailable},
		"twice":              {faultyhttp.Twice, outcome.InvalidResponse},
	}
	list := func(r *http.Request) bool { return r.URL.Path == "/admin/identities" }
	get := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/admin/identities/")
	}
	for name, c := range map[string]struct {
		hits func(*http.Request) bool
		call func(context.Context, *kratos.Client) error
	}{
		"find": {list, findKim},
		"get": {get, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Get(ctx, wireID, "kim@example.org")
			return err
		}},
		"read": {get, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Read(ctx, wireID)
			return err
		}},
		"patch": {func(r *http.Request) bool { return r.Method == http.MethodPatch }, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Patch(ctx, wireID, []jsonpatch.Op{{Op: "add", Path: "/metadata_admin/x", Value: 1}})
			return err
		}},
		"patch, the identity": {get, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Patch(ctx, wireID, []jsonpatch.Op{{Op: "add", Path: "/metadata_admin/x", Value: 1}})
			return err
		}},
		"usage": {get, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Usage(ctx, wireID)
			return err
		}},
		"usage, the sessions": {func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/sessions") }, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Usage(ctx, wireID)
			return err
		}},
		"delete": {func(r *http.Request) bool { return r.Method == http.MethodDelete }, func(ctx context.Context, c *kratos.Client) error {
			return c.Delete(ctx, wireID)
		}},
		"schemas": {func(r *http.Request) bool { return r.URL.Path == "/schemas" }, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Schemas(ctx)
			return err
		}},
		"schema": {func(r *http.Request) bool { return r.URL.Path == "/schemas/person" }, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Schema(ctx, "person")
			return err
		}},
		"version": {func(r *http.Request) bool { return r.URL.Path == "/admin/version" }, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.Version(ctx)
			return err
		}},
		"batch": {list, func(ctx context.Context, c *kratos.Client) error {
			_, err := c.CreateBatch(ctx, [][]byte{[]byte(`{"traits":{}}`)})
			return err
		}},
		"walk": {list, func(ctx context.Context, c *kratos.Client) error {
			return c.Walk(ctx, func(kratos.Record) error { return nil })
		}},
	} {
		for kind, fault := range faults {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				srv := faultyhttp.Run(t, http.HandlerFunc(wireAdmin), func(r *http.Request) faultyhttp.Fault {
					if c.hits(r) {
						return fault.fault
					}
					return faultyhttp.None
				})
				client, err := kratos.New(kratos.Options{
					AdminURL: srv.URL, Timeout: 200 * time.Millisecond, BatchTimeout: 200 * time.Millisecond, RetryPause: time.Millisecond,
					Transport: transport.New(transport.Options{}),
				})
				if err != nil {
					t.Fatal(err)
				}
				var refused *kratos.Error
				if err := c.call(t.Context(), client); !errors.As(err, &refused) || refused.Outcome != fault.want {
					t.Errorf("%v, want %s", err, fault.want)
				}
			})
		}
	}
}

func findKim(ctx context.Context, c *kratos.Client) error {
	_, err := c.Find(ctx, "kim@example.org")
	return err
}

// TestUpgradesOfOtherTransports: a call does not hang if its RoundTripper returns
// status 101.
func TestUpgradesOfOtherTransports(t *testing.T) {
	t.Parallel()
	srv := faultyhttp.Run(t, http.HandlerFunc(wireAdmin), func(*http.Request) faultyhttp.Fault { return faultyhttp.Switch })
	other := &http.Transport{}
	t.Cleanup(other.CloseIdleConnections)
	client, err := kratos.New(kratos.Options{AdminURL: srv.URL, Timeout: time.Minute, Transport: other})
	if err != nil {
		t.Fatal(err)
	}
	var refused *kratos.Error
	if err := findKim(t.Context(), client); !errors.As(err, &refused) || refused.Reason != "protocol_switch" {
		t.Errorf("%v", err)
	}
}
