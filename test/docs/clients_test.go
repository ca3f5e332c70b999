package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ferry/clients"
	"ferry/clients/importer"
)

const clientsPage = "../../docs/clients.md"

// TestReadmeClients: the tables of docs/clients.md are made from the code.
func TestReadmeClients(t *testing.T) {
	text := read(t, clientsPage)
	for name, table := range map[string]string{"reasons": reasonTable(), "findings": findingTable(), "fields": fieldTable()} {
		begin, end := "<!-- "+name+": made by `make readme` -->\n", "<!-- end of "+name+" -->\n"
		before, rest, found := strings.Cut(text, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("docs/clients.md has no marks around the table of the %s", name)
		}
		text = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(clientsPage, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, clientsPage) != text {
		t.Error("docs/clients.md is not what the tables say: run `make readme`")
	}
}

func reasonTable() string {
	var out strings.Builder
	out.WriteString("| result | reason | meaning |\n| --- | --- | --- |\n")
	for _, r := range importer.OutcomeReasons() {
		fmt.Fprintf(&out, "| `%s` | `%s` | %s |\n", r.Outcome, r.Reason, r.Meaning)
	}
	return out.String()
}

func findingTable() string {
	var out strings.Builder
	out.WriteString("| reason | meaning |\n| --- | --- |\n")
	for _, r := range clients.FindingReasons() {
		fmt.Fprintf(&out, "| `%s` | %s |\n", r.Reason, r.Meaning)
	}
	return out.String()
}

func fieldTable() string {
	var out strings.Builder
	out.WriteString("| Auth0 | Hydra | |\n| --- | --- | --- |\n")
	for _, f := range clients.Fields() {
		if f.Hydra == "" && f.Note == "" {
			continue // it says nothing about how the application works
		}
		auth0, hydra := "`"+f.Auth0+"`", "–"
		if strings.Contains(f.Auth0, " ") {
			auth0 = f.Auth0
		}
		if f.Hydra != "" {
			hydra = "`" + strings.ReplaceAll(f.Hydra, ", ", "`, `") + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", auth0, hydra, f.Note)
	}
	return out.String()
}

// TestClientsSchema: docs/clients.schema.json has the very words of the code.
func TestClientsSchema(t *testing.T) {
	var schema struct {
		Properties struct {
			Result struct{ Enum []string }
			Fields struct {
				Items struct {
					Properties struct {
						Reason struct{ Enum []string }
					}
				}
			}
		}
		AllOf []struct {
			If struct {
				Properties struct{ Result struct{ Enum []string } }
			}
			Then struct {
				Properties struct{ Reason json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../../docs/clients.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var outcomes, findings []string
	for _, outcome := range importer.Outcomes() {
		outcomes = append(outcomes, string(outcome))
	}
	for _, r := range clients.FindingReasons() {
		findings = append(findings, string(r.Reason))
	}
	equal(t, "result", schema.Properties.Result.Enum, outcomes)
	equal(t, "fields.reason", schema.Properties.Fields.Items.Properties.Reason.Enum, findings)
	has := map[string][]string{}
	for _, rule := range schema.AllOf {
		var reason struct{ Enum []string }
		_ = json.Unmarshal(rule.Then.Properties.Reason, &reason) // false: none
		for _, outcome := range rule.If.Properties.Result.Enum {
			has[outcome] = reason.Enum
		}
	}
	for _, outcome := range importer.Outcomes() {
		var words []string
		for _, r := range importer.OutcomeReasons() {
			if r.Outcome == outcome {
				words = append(words, string(r.Reason))
			}
		}
		equal(t, string(outcome), has[string(outcome)], words)
	}
}

// equal compares two lists of words, in any order.
func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: the schema has %q, the code %q", what, got, want)
	}
}
