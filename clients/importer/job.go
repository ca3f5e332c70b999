package importer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ferry/clients"
)

// job is the import of one application.
type job struct {
	*run

	plan   clients.Plan
	result Result
}

// end returns the result with an outcome.
func (j *job) end(outcome Outcome, reason clients.Reason, detail string) Result {
	j.result.Result, j.result.Reason, j.result.Detail = outcome, reason, detail
	return j.result
}

// ended is end without an error.
func (j *job) ended(outcome Outcome, reason clients.Reason, detail string) (Result, error) {
	return j.end(outcome, reason, detail), nil
}

// stopped returns the result of an application at which Hydra was not available, and the error
// that ends the run.
func (j *job) stopped(err error) (Result, error) {
	return j.end(Failed, ReasonUnavailable, err.Error()), err
}

// do creates the client, or changes it.
func (j *job) do(ctx context.Context) (Result, error) {
	want, err := wanted(j.plan)
	if err != nil {
		return Result{}, err
	}
	if j.store == nil {
		return j.create(ctx, want)
	}
	switch got, err := j.store.get(ctx, j.plan.ID); {
	case err != nil:
		return j.stopped(err)
	case got == nil:
		return j.create(ctx, want)
	default:
		return j.update(ctx, want, got)
	}
}

func (j *job) create(ctx context.Context, want fields) (Result, error) {
	switch {
	case j.plan.NoSecret:
		return j.ended(Refused, clients.ReasonNoSecret, "")
	case j.DryRun:
		return j.ended(Created, "", "")
	}
	body, err := want.with(nil, marksOf(want), j.plan.Secret.Reveal())
	if err != nil {
		return Result{}, err
	}
	if err := j.store.create(ctx, body); err != nil {
		if done, result, err := j.notWritten(ctx, want, err); done {
			return result, err
		}
	}
	return j.verify(ctx, Created, want, func() error { return j.store.remove(ctx, j.plan.ID) })
}

// notWritten handles the error of a write. A write without an answer may have happened: then
// what is at Hydra decides.
func (j *job) notWritten(ctx context.Context, want fields, err error) (done bool, result Result, stop error) {
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Status != 0 && !refusal.temporary() {
		result, stop = j.ended(Failed, ReasonHydra, refusal.Said)
		return true, result, stop
	}
	got, readErr := j.store.get(ctx, j.plan.ID)
	if readErr == nil && got != nil && len(want.differ(got)) == 0 {
		return false, Result{}, nil
	}
	result, stop = j.stopped(err)
	return true, result, stop
}

func (j *job) update(ctx context.Context, want, got fields) (Result, error) {
	m := merge(want, got, j.Overwrite)
	j.result.Kept = m.kept
	if !m.ours && !j.Overwrite {
		return j.ended(Refused, ReasonExists, "these fields are different: "+strings.Join(want.differ(got), ", "))
	}
	if len(m.conflicts) > 0 {
		return j.ended(Refused, ReasonChanged, "changed at Auth0 and at Hydra: "+strings.Join(m.conflicts, ", "))
	}
	other, refusal, err := j.otherSecret(ctx, m, got)
	switch {
	case err != nil:
		return j.stopped(err)
	case refusal != "":
		return j.ended(Refused, refusal, "")
	}
	j.result.Changed = m.changed
	if other {
		j.result.Changed = append(j.result.Changed, "client_secret")
	}
	if len(j.result.Changed) == 0 {
		j.explainUnverified(m.result)
		return j.ended(Unchanged, "", j.result.Detail)
	}
	if j.DryRun {
		return j.ended(Updated, "", "")
	}
	secret := ""
	if other {
		secret = j.plan.Secret.Reveal()
	}
	body, err := m.result.with(got, m.marks, secret)
	if err != nil {
		return Result{}, err
	}
	if err := j.store.replace(ctx, j.plan.ID, body); err != nil {
		if done, result, err := j.notWritten(ctx, m.result, err); done {
			return result, err
		}
	}
	return j.verify(ctx, Updated, m.result, func() error {
		if other {
			return errors.New("the secret that the client had is not known")
		}
		return j.putBack(ctx, got)
	})
}

// putBack makes the client what it was.
func (j *job) putBack(ctx context.Context, got fields) error {
	body, err := got.writable().client()
	if err != nil {
		return err
	}
	return j.store.replace(ctx, j.plan.ID, body)
}

// otherSecret reports whether the client needs the application's secret, because it has another
// one or none. It is refused if it has another one and must not be overwritten, or if the file
// does not have the secret that the client needs.
func (j *job) otherSecret(ctx context.Context, m merged, got fields) (other bool, refusal clients.Reason, err error) {
	method, had := m.result.text("token_endpoint_auth_method"), got.text("token_endpoint_auth_method")
	switch {
	case !clients.HasSecret(method, ""):
		j.result.Verified, err = j.probe(ctx, method)
		return false, "", err
	case j.plan.NoSecret && (!m.ours || !clients.HasSecret(had, "")):
		return false, clients.ReasonNoSecret, nil // the client has none, or one that is not known to be the application's
	case !clients.HasSecret(had, ""):
		return true, "", nil
	case j.plan.NoSecret:
		return false, "", nil // ferry wrote the one at Hydra
	}
	j.result.Verified, err = j.probe(ctx, had)
	switch {
	case err != nil || j.result.Verified:
		return false, "", err
	case !j.Overwrite:
		return false, ReasonOtherSecret, nil
	}
	return true, "", nil
}

// probe tries the credentials of the client. For a client with a key it returns false: only the
// application has the private key.
func (j *job) probe(ctx context.Context, method string) (bool, error) {
	if method == clients.MethodPrivateKeyJWT || clients.HasSecret(method, "") && j.plan.NoSecret {
		return false, nil
	}
	return j.Probe(ctx, Credentials{ClientID: j.plan.ID, Secret: j.plan.Secret, Method: method})
}

// explainUnverified says in the result why the credentials were not tried.
func (j *job) explainUnverified(want fields) {
	switch method := want.text("token_endpoint_auth_method"); {
	case method == clients.MethodPrivateKeyJWT:
		j.result.Detail = "the credentials were not tried: only the application has its private key"
	case j.plan.NoSecret:
		j.result.Detail = "the file does not have the secret; the one at Hydra stays, and was not tried"
	}
}

// verify reads back what was written and tries the credentials. If something is wrong it calls
// undo.
func (j *job) verify(ctx context.Context, outcome Outcome, want fields, undo func() error) (Result, error) {
	got, err := j.store.get(ctx, j.plan.ID)
	if err == nil && got == nil {
		return j.ended(Failed, ReasonNotAsSent, "the client was deleted in the meantime")
	}
	if err == nil {
		if wrong := want.differ(got); len(wrong) > 0 {
			return j.undone(ReasonNotAsSent, "Hydra has something else in "+strings.Join(wrong, ", "), undo)
		}
		j.result.Verified, err = j.probe(ctx, want.text("token_endpoint_auth_method"))
	}
	if err != nil { // the client is whole; the next run verifies it
		result := j.end(outcome, "", "not verified yet: "+err.Error())
		return result, err
	}
	if j.explainUnverified(want); !j.result.Verified && j.result.Detail == "" {
		return j.undone(ReasonCredentials, "Hydra refuses the credentials with which the client was written", undo)
	}
	return j.ended(outcome, "", j.result.Detail)
}

// undone undoes a write and returns the result.
func (j *job) undone(reason clients.Reason, detail string, undo func() error) (Result, error) {
	j.result.Changed = nil
	if err := undo(); err != nil {
		detail = fmt.Sprintf("%s; the client is still there and could not be put back: %v", detail, err)
	}
	return j.ended(Failed, reason, detail)
}
