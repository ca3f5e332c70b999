package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ferry/test/kratostest"
	"ferry/wire"
)

const maxAnswer = 4 << 20

// reading is the counts since the programs started.
type reading struct {
	// passwords is how many reached Auth0.
	passwords int
	// answers are the counts of ferry's answers to Kratos, by outcome.
	answers map[string]int
}

func (s *stack) read(ctx context.Context) (reading, error) {
	counters, err := s.sim.control.Counters(ctx)
	if err != nil {
		return reading{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ferry.AdminURL()+"/metrics/prometheus", nil)
	if err != nil {
		return reading{}, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return reading{}, fmt.Errorf("ferry's metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answers, err := countAnswers(io.LimitReader(resp.Body, maxAnswer))
	return reading{passwords: counters.Total(), answers: answers}, err
}

// countAnswers reads the counts of password migration calls from ferry's metrics: calls
// with an outcome, and calls refused for the caller's fault.
func countAnswers(metrics io.Reader) (map[string]int, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return nil, fmt.Errorf("ferry's metrics: %w", err)
	}
	answers := map[string]int{}
	for _, name := range []string{"ferry_hook_outcomes_total", "ferry_hook_caller_faults_total"} {
		for _, metric := range families[name].GetMetric() {
			labels := map[string]string{}
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if labels["route"] == wire.RouteMigration {
				answers[labels["outcome"]+labels["status"]] = int(metric.GetCounter().GetValue()) // it has one of the two
			}
		}
	}
	if len(answers) == 0 { // else a renamed counter would read as "not called"
		return nil, errors.New("ferry's metrics: there are no counters of answers")
	}
	return answers, nil
}

// since returns the difference to an earlier reading.
func (r reading) since(earlier reading) reading {
	since := reading{passwords: r.passwords - earlier.passwords, answers: map[string]int{}}
	for name, count := range r.answers {
		if more := count - earlier.answers[name]; more != 0 {
			since.answers[name] = more
		}
	}
	return since
}

func (r reading) calls() int {
	sum := 0
	for _, count := range r.answers {
		sum += count
	}
	return sum
}

// said describes the calls of ferry.
func (r reading) said() string {
	names := strings.Join(slices.Sorted(maps.Keys(r.answers)), ", ")
	switch calls := r.calls(); calls {
	case 0:
		return notCalled
	case 1:
		return calledOnce + names
	default:
		return fmt.Sprintf("called %d times, answered %s", calls, names)
	}
}

const (
	notCalled  = "not called"
	calledOnce = "called once, answered "
)

// credential is an identity in Kratos with its password credential.
type credential struct{ kratostest.Identity }

func (s *stack) credential(ctx context.Context, identity string) (credential, error) {
	read, err := s.kratos.Get(ctx, identity)
	return credential{read}, err
}

// subject returns metadata_admin.auth0.user_id.
func (c credential) subject() string {
	admin, _ := c.MetadataAdmin.(map[string]any)
	auth0, _ := admin["auth0"].(map[string]any)
	subject, _ := auth0["user_id"].(string)
	return subject
}

func identityURL(admin, identity string) string {
	return admin + "/admin/identities/" + identity + "?include_credential=password"
}

const (
	pending  = "pending, no hash"
	migrated = "hash stored, not pending"
)

// state describes the credential.
func (c credential) state() string {
	switch hash := c.HashedPassword != ""; {
	case c.Pending && !hash:
		return pending
	case hash && !c.Pending:
		return migrated
	case hash:
		return "hash stored, still pending"
	}
	return "neither pending nor a hash"
}

// shown returns the credential's config, with a shortened hash.
func (c credential) shown() string {
	const enough = len("$2a$04$") + 4
	config := map[string]any{"hashed_password": c.HashedPassword}
	if len(c.HashedPassword) > enough {
		config["hashed_password"] = c.HashedPassword[:enough] + "..."
	}
	if c.Pending {
		config["use_password_migration_hook"] = true
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
