// Package runs lists the runs of imports that the identities in Kratos record.
//
//	for each identity: count it for its run, by what it was created as, and by its kind now
//
// It finds the runs in Kratos only: a run none of whose identities are left is not listed.
package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/kratos"
	"ferry/provenance"
)

// Run is a run of an import.
type Run struct {
	ID string `json:"run"`
	// First and Last are when the first and the last of its rows were planned, of those
	// whose identities are left.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Identities is the number that are left. Created counts them by the outcome of their
	// row, and Kinds by what they are now.
	Identities int               `json:"identities"`
	Created    map[string]int    `json:"created"`
	Kinds      map[kind.Kind]int `json:"kinds"`
}

// List is what Read found.
type List struct {
	// Identities is the number in Kratos, and Others the number of them that record no run.
	Identities int `json:"identities"`
	Others     int `json:"others"`
	// Runs are sorted by First.
	Runs []Run `json:"runs"`
}

// Read reads every identity in Kratos once.
func Read(ctx context.Context, client *kratos.Client, reporter progress.Reporter) (List, error) {
	if client == nil || reporter == nil {
		return List{}, errors.New("runs: Kratos and progress are required")
	}
	list := List{Runs: []Run{}}
	byID := map[string]*Run{}
	err := scan.Identities(ctx, client, reporter, func(record kratos.Record) error {
		list.Identities++
		note := provenance.ImportOf(record.MetadataAdmin)
		if note.Run == "" {
			list.Others++
			return nil
		}
		run := byID[note.Run]
		if run == nil {
			run = &Run{ID: note.Run, First: note.At, Created: map[string]int{}, Kinds: map[kind.Kind]int{}}
			byID[note.Run] = run
		}
		run.add(record, note)
		return nil
	})
	if err != nil {
		return List{}, err
	}
	for _, run := range byID {
		list.Runs = append(list.Runs, *run)
	}
	slices.SortFunc(list.Runs, func(a, b Run) int {
		return cmp.Or(a.First.Compare(b.First), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

func (r *Run) add(record kratos.Record, note provenance.Import) {
	if note.At.Before(r.First) {
		r.First = note.At
	}
	if note.At.After(r.Last) {
		r.Last = note.At
	}
	r.Identities++
	r.Created[note.As]++
	r.Kinds[kind.Of(record)]++
}

// Print prints the list in human-readable form.
func (l List) Print(w io.Writer) error {
	var text strings.Builder
	line := results.Liner(&text)
	line("%9d identities in Kratos, %d of them record no run of an import", l.Identities, l.Others)
	for _, run := range l.Runs {
		line("%s", run.ID)
		line("%9d identities, imported from %s to %s", run.Identities, run.First.UTC().Format(time.RFC3339), run.Last.UTC().Format(time.RFC3339))
		for _, kind := range kind.All() {
			if n := run.Kinds[kind]; n > 0 {
				line("%9s   %d %s", "", n, kind)
			}
		}
	}
	_, err := fmt.Fprint(w, text.String())
	return err
}
