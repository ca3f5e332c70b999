package bulk

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeReasons: whoever reads a results file finds its words in the README.
func TestReadmeReasons(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for outcome, words := range map[Outcome][]string{
		CreatedPending: {reasonNoHash, reasonStaleHash, reasonUnusableHash},
		Updated:        {reasonPassword},
		Skipped:        {reasonExists, reasonUnchanged, reasonPending, reasonMFA, reasonNoLogin},
		Failed: {
			reasonOther, reasonTwice, reasonDuplicateUser, reasonUnreadable, reasonInvalid, reasonNoIdentifier,
			reasonExists, reasonNoHash, reasonStaleHash, reasonUnusableHash, reasonKratos,
		},
	} {
		// The rows of an outcome begin with it; those after the first leave it out.
		_, rows, _ := strings.Cut(string(readme), "\n| `"+string(outcome)+"` |")
		rows, _, _ = strings.Cut(rows, "\n\n")
		rows, _, _ = strings.Cut(rows, "\n| `")
		for _, word := range words {
			if !strings.Contains(rows, "`"+word+"`") {
				t.Errorf("the README does not say what %s: %s is", outcome, word)
			}
		}
	}
}
