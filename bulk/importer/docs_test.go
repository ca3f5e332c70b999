package importer

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/results"
)

// TestReadmeReasons checks that docs/import.md explains every word of a results file.
func TestReadmeReasons(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	for outcome, words := range reasonsByOutcome() {
		// The rows of an outcome begin with it; those after the first leave it out.
		_, rows, _ := strings.Cut(string(page), "\n| `"+string(outcome)+"` |")
		rows, _, _ = strings.Cut(rows, "\n\n")
		rows, _, _ = strings.Cut(rows, "\n| `")
		for _, word := range words {
			if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				t.Errorf("%q is not a word", word)
			}
			if !strings.Contains(rows, "`"+word+"`") {
				t.Errorf("docs/import.md does not say what %s: %s is", outcome, word)
			}
		}
	}
}

// reasonsByOutcome are all words, by the outcome that they are a reason for.
func reasonsByOutcome() map[results.Outcome][]string {
	return map[results.Outcome][]string{
		results.CreatedHash:    {},
		results.Merged:         {},
		results.CreatedCode:    {results.ReasonLinkedEmail},
		results.CreatedBridge:  {results.ReasonMFA, results.ReasonNoLogin, results.ReasonLinkedEmail},
		results.CreatedPending: {results.ReasonNoHash, results.ReasonStaleHash, results.ReasonUnusableHash},
		results.Updated:        {results.ReasonPassword, results.ReasonPasswordKept},
		results.CreatedSocial:  {results.ReasonLinkedEmail},
		results.Skipped:        {results.ReasonExists, results.ReasonUnchanged, results.ReasonPending, results.ReasonMFA, results.ReasonNoLogin, results.ReasonUnverified, results.ReasonLinkedEmail, results.ReasonPasswordKept},
		results.Failed: {
			results.ReasonOther, results.ReasonTwice, results.ReasonDuplicateUser, results.ReasonUnreadable, results.ReasonInvalid, results.ReasonNoIdentifier,
			results.ReasonNotAtAuth0,
			results.ReasonExists, results.ReasonNoHash, results.ReasonStaleHash, results.ReasonUnusableHash, results.ReasonKratos,
		},
	}
}

// TestResultsSchema: the schema has the very words.
func TestResultsSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/results.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		OneOf []struct {
			Properties struct {
				Outcome struct{ Const results.Outcome }
				Reason  json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	has := map[results.Outcome][]string{}
	for _, one := range schema.OneOf {
		var reasons struct{ Enum []string }
		_ = json.Unmarshal(one.Properties.Reason, &reasons) // false: none
		has[one.Properties.Outcome.Const] = reasons.Enum
	}
	want := reasonsByOutcome()
	if len(has) != len(want) {
		t.Errorf("the schema has %d outcomes, not %d", len(has), len(want))
	}
	for outcome, words := range want {
		slices.Sort(words)
		slices.Sort(has[outcome])
		if !slices.Equal(has[outcome], words) {
			t.Errorf("the reasons of %s are %q in the schema, not %q", outcome, has[outcome], words)
		}
	}
}
