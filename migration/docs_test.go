package migration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ferry/migration"
)

// TestDocumented: docs/plan.md names each state, each blocker and each verification, and
// docs/plan.schema.json lists the same states and blockers.
func TestDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/plan.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type list struct{ Enum []string }
	var schema struct {
		Properties struct {
			State    list
			Blockers struct {
				Items struct{ Properties struct{ Kind list } }
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var states, kinds []string
	for _, state := range migration.States() {
		states = append(states, string(state))
	}
	for _, kind := range migration.BlockerKinds() {
		kinds = append(kinds, string(kind))
	}
	if got := schema.Properties.State.Enum; !slices.Equal(got, states) {
		t.Errorf("the schema has the states %v", got)
	}
	if got := schema.Properties.Blockers.Items.Properties.Kind.Enum; !slices.Equal(got, kinds) {
		t.Errorf("the schema has the blockers %v", got)
	}
	for _, name := range slices.Concat(states, kinds, []string{"unverified", "verified", "stale"}) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/plan.md does not explain %s", name)
		}
	}
	for _, state := range migration.States() {
		if row := fmt.Sprintf("\n| %s | `%s` | ", state.Name(), state); !strings.Contains(string(page), row) {
			t.Errorf("docs/plan.md lacks the row %q", row)
		}
	}
}
