package finish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/kratos"
	"ferry/provenance"
	"ferry/secret"
)

// unknowable returns a random bcrypt hash, which no known password matches. Its cost is
// Kratos' default, so that a login takes as long as others.
func unknowable() secret.String {
	const salted = 53 // characters of salt and hash
	return secret.New("$2a$12$" + (rand.Text() + rand.Text() + rand.Text())[:salted])
}

// change ends the pending state of one identity, or restores it. Each attempt starts with
// a fresh read, so that it finds a write whose answer was lost. An error ends the run.
func (f *finisher) change(ctx context.Context, id string) (result Result, err error) {
	err = retry.Do(ctx, f.Now, f.RetryFor, func() (err error) {
		result, err = f.changeOnce(ctx, id)
		return err
	}, retry.Unavailable)
	var fault *kratos.Error
	switch {
	case err == nil || !errors.As(err, &fault):
		return result, err
	case fault.Status == http.StatusNotFound:
		return result.as(results.Skipped, reasonGone, ""), nil
	case fault.Final():
		detail := fmt.Sprintf("Kratos refuses the change with %d", fault.Status)
		if fault.Said != "" {
			detail += ": " + fault.Said
		}
		return result.as(results.Failed, results.ReasonKratos, detail), nil
	}
	return result, fmt.Errorf("write the identity %s: %w", id, err)
}

func (f *finisher) changeOnce(ctx context.Context, id string) (Result, error) {
	result := Result{IdentityID: id}
	before, err := f.Kratos.Read(ctx, id)
	if err != nil {
		return result, err
	}
	todo, result := f.look(before)
	if !todo {
		if result.Reason == reasonEarlier { // by this run: the answer to the write was lost
			result.Outcome, result.Reason = results.Finished, ""
		}
		return result, nil
	}
	if f.Undo {
		after, err := f.Kratos.Replace(ctx, before, kratos.Replacement{Pending: true, MetadataAdmin: provenance.Finished(before.MetadataAdmin, nil)})
		switch {
		case err != nil:
			return result, err
		case !after.Pending:
			return result.as(results.Skipped, results.ReasonPassword, ""), nil
		}
		return result.as(results.Restored, "", ""), nil
	}
	hash := unknowable()
	mark := provenance.Finish{At: f.Now().UTC().Truncate(time.Second), PasswordSHA256: provenance.Digest(hash.Reveal())}
	after, err := f.Kratos.Replace(ctx, before, kratos.Replacement{PasswordHash: hash, MetadataAdmin: provenance.Finished(before.MetadataAdmin, &mark)})
	switch {
	case err != nil:
		return result, err
	case after.Pending:
		return result.as(results.Failed, results.ReasonPending, "it was made pending again at the same time"), nil
	case !after.HasHash(mark.PasswordSHA256):
		return result.as(results.Skipped, results.ReasonPassword, "the user set a password at the same time, which is kept"), nil
	}
	return result.as(results.Finished, "", ""), nil
}
