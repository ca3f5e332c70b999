// Package importer makes Auth0 applications clients of Ory Hydra.
//
//	for each application of the file:
//	    map it (package clients); if it is refused or skipped, say so
//	    read the client of its id
//	    none: create it
//	    one that ferry made: compare field by field with what ferry wrote last
//	        changed at Auth0: take it; changed at Hydra: keep it; both: refuse, unless Overwrite
//	    one that ferry did not make: refuse, unless Overwrite
//	    read back what was written and compare it: Hydra ignores what it does not know
//	    try the credentials with a refresh token that cannot exist
//	    write a result line
//
// A client is created and changed by one request, which the end of the context does not cut
// short. If it does not come back as it was sent, or its credentials do not hold, the write is
// undone. So a run that ends at any point leaves whole clients, and the same run again changes
// nothing that is done.
package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"ferry/bulk/progress"
	"ferry/clients"
	"ferry/secret"
)

// Options say what to import, and where. Tenant, Progress and Results are required; AdminURL,
// Transport and Probe are, unless DryRun is set.
type Options struct {
	Tenant *clients.Tenant
	// IDs are the client ids of the applications to import; none: all.
	IDs []string
	// Map says how applications become clients. Run sets its Features, if it can ask Hydra.
	Map clients.Options
	// AdminURL is Hydra's admin API. If it is empty, a dry run makes no request.
	AdminURL string
	// AdminToken is sent to the admin API as a bearer token. It may be empty.
	AdminToken secret.String
	// Transport sends the requests to the admin API.
	Transport http.RoundTripper
	// Probe tries the credentials of a client without any effect. It returns false if Hydra
	// refuses them, and an error if Hydra did not say.
	Probe func(context.Context, Credentials) (holds bool, err error)
	// DryRun does everything but write to Hydra.
	DryRun bool
	// Overwrite writes clients that ferry did not make, fields that someone changed at Hydra,
	// and secrets.
	Overwrite bool
	// Results gets a line for each application, as soon as it is done.
	Results  io.Writer
	Progress progress.Reporter
	Now      func() time.Time
}

// Credentials are those of a client.
type Credentials struct {
	ClientID string
	Secret   secret.String
	// Method is its token_endpoint_auth_method.
	Method string
}

// Outcome is what became of an application; in a dry run, what would become of it.
type Outcome string

// The outcomes.
const (
	// Created is a new client.
	Created Outcome = "created"
	// Updated is a client that has changed.
	Updated Outcome = "updated"
	// Unchanged is a client that was as it should be.
	Unchanged Outcome = "unchanged"
	// Skipped is an application that needs no client.
	Skipped Outcome = "skipped"
	// Refused is an application that gets no client, or whose client was left alone.
	Refused Outcome = "refused"
	// Failed is an application whose client could not be written.
	Failed Outcome = "failed"
)

// The reasons of this package; the others are those of package clients.
const (
	// ReasonExists means that ferry did not make the client.
	ReasonExists clients.Reason = "exists"
	// ReasonChanged means that fields changed both at Auth0 and at Hydra.
	ReasonChanged clients.Reason = "changed_at_hydra"
	// ReasonOtherSecret means that the client has another secret.
	ReasonOtherSecret clients.Reason = "other_secret"
	// ReasonHydra means that Hydra refused the client.
	ReasonHydra clients.Reason = "hydra"
	// ReasonNotAsSent means that the client did not come back as it was sent.
	ReasonNotAsSent clients.Reason = "not_as_sent"
	// ReasonCredentials means that the credentials do not hold after the write.
	ReasonCredentials clients.Reason = "credentials"
	// ReasonUnavailable means that Hydra did not answer.
	ReasonUnavailable clients.Reason = "unavailable"
)

// Result is the line about an application.
type Result struct {
	ClientID string  `json:"client_id"`
	Name     string  `json:"name"`
	AppType  string  `json:"app_type,omitempty"`
	Result   Outcome `json:"result"`
	// Reason is one of the words listed in docs/clients.md.
	Reason clients.Reason `json:"reason,omitempty"`
	Detail string         `json:"detail,omitempty"`
	// Verified reports that Hydra accepted the credentials of the client.
	Verified bool `json:"verified"`
	// Fields are the fields and values of the application that cannot be moved.
	Fields []clients.Finding `json:"fields"`
	// Changed are the fields of the client that the run changed.
	Changed []string `json:"changed,omitempty"`
	// Kept are fields of the client that someone set at Hydra, and that stay.
	Kept []string `json:"kept,omitempty"`
}

// Run imports the applications. The summary counts the applications that have a result, also if
// there is an error: Hydra cannot be reached, or the context has ended.
func Run(ctx context.Context, opts Options) (Summary, error) {
	r, err := newRun(opts)
	if err != nil {
		return Summary{}, err
	}
	started := opts.Now()
	if err := r.prepare(ctx); err != nil {
		return Summary{}, fmt.Errorf("import applications: %w", err)
	}
	opts.Progress.Start("applications", int64(len(r.selected)))
	defer opts.Progress.Done()
	seen := map[string]bool{}
	for _, app := range r.selected {
		if err = ctx.Err(); err != nil {
			break
		}
		var result Result
		if result, err = r.one(ctx, app, seen); result.Result != "" {
			err = errors.Join(err, r.write(result))
		}
		opts.Progress.Add(1)
		if err != nil {
			break
		}
	}
	r.summary.Seconds = opts.Now().Sub(started).Seconds()
	if err != nil {
		err = fmt.Errorf("import applications: %w", err)
	}
	return r.summary, err
}

// run is one import.
type run struct {
	Options

	store    *store // nil: a dry run without Hydra
	selected []clients.Application
	summary  Summary
}

func newRun(opts Options) (*run, error) {
	if opts.Tenant == nil || opts.Progress == nil || opts.Results == nil || opts.Now == nil {
		return nil, errors.New("import applications: tenant, results, progress and clock are required")
	}
	if opts.AdminURL == "" && !opts.DryRun || opts.AdminURL != "" && (opts.Transport == nil || opts.Probe == nil) {
		return nil, errors.New("import applications: the admin API, its transport and a probe are required")
	}
	r := &run{Options: opts, summary: newSummary(opts.DryRun)}
	if opts.AdminURL != "" {
		store, err := newStore(opts.AdminURL, opts.AdminToken, opts.Transport)
		if err != nil {
			return nil, err
		}
		r.store = store
	}
	missing := slices.Clone(opts.IDs)
	for _, app := range opts.Tenant.Applications {
		if len(opts.IDs) == 0 || slices.Contains(opts.IDs, app.ID) {
			r.selected = append(r.selected, app)
			missing = slices.DeleteFunc(missing, func(id string) bool { return id == app.ID })
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("import applications: the file has no application %s", strings.Join(missing, ", "))
	}
	return r, checkNamed(opts, r.selected)
}

// checkNamed finds expansions and keys that belong to no application, which are typing errors.
func checkNamed(opts Options, selected []clients.Application) error {
	for pattern := range opts.Map.Expansions {
		if !slices.ContainsFunc(selected, func(app clients.Application) bool {
			return slices.Contains(app.Callbacks, pattern) || slices.Contains(app.LogoutURLs, pattern)
		}) {
			return fmt.Errorf("import applications: no application has the callback %s", pattern)
		}
	}
	for id := range opts.Map.Keys {
		if !slices.ContainsFunc(selected, func(app clients.Application) bool { return app.ID == id }) {
			return fmt.Errorf("import applications: keys for %s, which is not an application to import", id)
		}
	}
	return nil
}

// prepare asks Hydra what it can do, and with that whether it can be reached.
func (r *run) prepare(ctx context.Context) error {
	if r.store == nil {
		return nil
	}
	version, err := r.store.version(ctx)
	if err != nil {
		return err
	}
	r.Map.Features = clients.FeaturesOf(version)
	return nil
}

// one imports one application. The error ends the run; the result is about the application all
// the same, unless it is empty.
func (r *run) one(ctx context.Context, app clients.Application, seen map[string]bool) (Result, error) {
	plan := clients.Map(app, r.Tenant, r.Map)
	j := &job{run: r, plan: plan, result: Result{ClientID: plan.ID, Name: plan.Name, AppType: plan.AppType, Fields: plan.Findings}}
	if j.result.Fields == nil {
		j.result.Fields = []clients.Finding{}
	}
	switch {
	case seen[app.ID]:
		return j.end(Refused, clients.ReasonDuplicate, ""), nil
	case plan.Skipped != "":
		return j.end(Skipped, plan.Skipped, ""), nil
	case plan.Refused != nil:
		return j.end(Refused, plan.Refused.Reason, plan.Refused.Text()), nil
	}
	seen[app.ID] = true
	// From here on the end of ctx must not leave half of the work.
	return j.do(context.WithoutCancel(ctx))
}

// write writes the line of a result.
func (r *run) write(result Result) error {
	r.summary.add(result)
	line, err := json.Marshal(result)
	if err != nil {
		return err
	}
	if _, err := r.Results.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
