package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/progress"
	"ferry/bulk/retry"
	"ferry/mapping"
	"ferry/upstream"
)

// asked is a user of the file, and Auth0's answer.
type asked struct {
	userID string
	row    int    // of the users file
	line   []byte // of the file of factors; nil: no answer
	gone   bool
}

// all asks about all users who are not done.
func (x *factorExport) all(ctx context.Context) error {
	var next []asked
	for row, err := range x.Users.Rows(ctx) {
		if err != nil {
			return err
		}
		if row.Err != nil {
			continue
		}
		profile, wanted := x.wanted(row.JSON)
		if !wanted || !x.isNew(profile.UserID) {
			continue
		}
		if next = append(next, asked{userID: profile.UserID, row: row.Line}); len(next) < askStep {
			continue
		}
		if err := x.askAll(ctx, next); err != nil {
			return err
		}
		next = next[:0]
	}
	return x.askAll(ctx, next)
}

// askAll asks about some users, and writes the answers in their order, up to the first that is
// missing.
func (x *factorExport) askAll(ctx context.Context, users []asked) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range users {
		group.Go(func() error { return x.ask(within, &users[i]) })
	}
	err := group.Wait()
	if missing := slices.IndexFunc(users, func(u asked) bool { return u.line == nil }); missing >= 0 {
		users = users[:missing]
	}
	if x.result.Users == 0 && len(users) > 0 && !slices.ContainsFunc(users, func(u asked) bool { return !u.gone }) {
		return errors.Join(err, fmt.Errorf("none of the first %d users of the file is known to Auth0: is it a file of this tenant?", len(users)))
	}
	for _, user := range users {
		if failed := x.write(user); failed != nil {
			return errors.Join(err, failed)
		}
	}
	return err
}

// ask fills in the line of a user. Questions that Auth0 does not answer for a while are
// repeated.
func (x *factorExport) ask(ctx context.Context, user *asked) error {
	for faults := 0; ; faults++ {
		methods, err := x.Auth0.AuthenticationMethods(ctx, user.userID)
		switch {
		case err == nil, isStatus(err, http.StatusNotFound):
			user.gone = err != nil
			user.line, err = factorLine(user.userID, methods)
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !isTemporary(err) || faults == maxPollFaults:
			return fmt.Errorf("row %d: %w", user.row, explainedFactors(err))
		}
		if !x.told.Swap(true) {
			x.Progress.Say("Auth0 does not answer, trying again: " + err.Error())
		}
		if err := retry.Sleep(ctx, maxPoll); err != nil {
			return err
		}
	}
}

// factorLine returns the line of a user.
func factorLine(userID string, methods [][]byte) ([]byte, error) {
	raw := make([]json.RawMessage, len(methods))
	for i, method := range methods {
		raw[i] = method
	}
	line, err := json.Marshal(struct {
		UserID  string            `json:"user_id"`
		Methods []json.RawMessage `json:"authentication_methods"`
	}{userID, raw})
	return append(line, '\n'), err
}

// write appends the line of a user.
func (x *factorExport) write(user asked) error {
	methods, err := mapping.ReadMethods(user.line)
	if err != nil {
		return fmt.Errorf("row %d: %w", user.row, err)
	}
	if _, err := x.file.Write(user.line); err != nil {
		return err
	}
	x.tally(methods)
	if user.gone {
		x.result.Gone++
	}
	x.told.Store(false)
	x.Progress.Add(1)
	return nil
}

// tally counts a line.
func (x *factorExport) tally(user mapping.UserMethods) {
	var enrolled, noSecret, noHandle, code bool
	for _, method := range user.Methods {
		switch method.Type {
		case mapping.MethodRecovery:
			code = true
			continue
		case mapping.MethodTOTP:
			noSecret = noSecret || method.Secret.Empty()
		case mapping.MethodPasskey:
			noHandle = noHandle || len(method.UserHandle) == 0
		}
		enrolled = true
	}
	x.result.Users++
	for count, yes := range map[*int64]bool{&x.result.Enrolled: enrolled, &x.result.NoSecret: noSecret, &x.result.NoHandle: noHandle, &x.result.RecoveryCode: code} {
		if yes {
			*count++
		}
	}
}

// Notes returns what the file does not have, and how to get it.
func (r FactorResult) Notes() []string {
	var notes []string
	for _, note := range []struct {
		users int64
		text  string
	}{
		{r.NoSecret, "users have an authenticator app, whose secret Auth0's API does not give: ask Auth0's support for an export of the MFA secrets, and append them as mfa_factors"},
		{r.NoHandle, "users have a passkey, whose user handle Auth0's API does not give: it cannot be imported"},
		{r.RecoveryCode, "users have a recovery code, which Auth0 does not show: it cannot be imported"},
		{r.Gone, "users are no longer at Auth0"},
	} {
		if note.users > 0 {
			notes = append(notes, progress.Grouped(note.users)+" "+note.text)
		}
	}
	return notes
}

// explainedFactors adds what the operator can do if Auth0 refused.
func explainedFactors(err error) error {
	var refusal *upstream.ManagementError
	if errors.As(err, &refusal) && refusal.Code == "insufficient_scope" {
		return fmt.Errorf("%w: the Management API application needs the scope read:authentication_methods", err)
	}
	return explained(err)
}
