// Package scan reads every identity in Kratos, or every user in a file, once, and reports
// the progress. It keeps nothing.
package scan

import (
	"context"
	"fmt"
	"iter"

	"ferry/bulk/progress"
	"ferry/bulk/userfile"
	"ferry/kratos"
)

// Identities calls do with every identity in Kratos. It ends with the first error.
func Identities(ctx context.Context, client *kratos.Client, reporter progress.Reporter, do func(kratos.Record) error) error {
	reporter.Start("identities in Kratos", 0)
	defer reporter.Done()
	err := client.Walk(ctx, func(record kratos.Record) error {
		reporter.Add(1)
		return do(record)
	})
	if ctx.Err() != nil {
		err = ctx.Err() // whatever Kratos said last
	}
	if err != nil {
		return fmt.Errorf("read the identities in Kratos: %w", err)
	}
	return nil
}

// Users yields the rows of a users file. what names the phase.
func Users(ctx context.Context, users *userfile.Source, reporter progress.Reporter, what string) iter.Seq2[userfile.Row, error] {
	return func(yield func(userfile.Row, error) bool) {
		reporter.Start(what+", bytes", users.Size())
		defer reporter.Done()
		var read int64
		for row, err := range users.Rows(ctx) {
			if now := users.Offset(); now != read { // it moves by a buffer at a time
				reporter.Add(now - read)
				read = now
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
