package auth0sim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

// The README names every fault, every answer with its status, every setting
// and every demo user.
func TestReadmeIsComplete(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	expect := func(s string) {
		t.Helper()
		if !strings.Contains(text, s) {
			t.Errorf("the README lacks %s", s)
		}
	}
	for _, name := range append(auth0sim.Faults(), auth0sim.FaultsOf(auth0sim.KindExport)...) {
		expect("`" + string(name) + "`")
	}
	for _, row := range auth0sim.AnswerRows() {
		expect(fmt.Sprintf("| `%s` | %d %s", row.Name, row.Answer.Status, row.Answer.Error))
	}
	for _, row := range auth0sim.ManagementRows() {
		expect(strings.TrimSuffix(fmt.Sprintf("| `%s` | %d %s", row.Name, row.Answer.Status, row.Answer.Error), " "))
	}
	settings := auth0sim.DefaultSettings()
	settings.RetryAfter, settings.BotDetection = 1, true
	settings.Answers = map[auth0sim.AnswerName]auth0sim.Answer{auth0sim.AnswerBlockedUser: {Status: 400}}
	var keys map[string]any
	raw, err = json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	for key := range keys {
		expect("| `" + key + "` |")
	}
	demo := auth0sim.DemoTenant()
	expect("`" + demo.Apps[0].ClientSecret + "`")
	for _, user := range demo.Users {
		expect("| `" + user.Email + "`")
		expect("| `" + user.Password + "` |")
	}
}

// The README's seed file is one.
func TestReadmeSeed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "```json\n")
	text, _, _ := strings.Cut(rest, "```")
	seed, err := auth0sim.ReadSeed(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &seed.Tenant, Settings: &seed.Settings})
	if len(sim.Users()) != 1 || sim.Settings().BruteForce.MaxAttempts != 5 {
		t.Errorf("got %+v", seed)
	}
}
