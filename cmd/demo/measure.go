package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxAnswer = 4 << 20

// reading is what was counted since the programs started.
type reading struct {
	// passwords that reached Auth0: every request at its token endpoint brings one.
	passwords int
	// answers are ferry's to Kratos, by outcome.
	answers map[string]int
}

func (s *stack) read(ctx context.Context) (reading, error) {
	counters, err := s.sim.control.Counters(ctx)
	if err != nil {
		return reading{}, err
	}
	text, err := s.get(ctx, s.ferry.AdminURL()+"/metrics/prometheus")
	if err != nil {
		return reading{}, err
	}
	answers, err := countAnswers(text)
	return reading{passwords: counters.TokenRequests, answers: answers}, err
}

// countAnswers takes the counts of password migration calls from ferry's metrics:
// those that came to an outcome, and those refused for the caller's fault.
func countAnswers(metrics []byte) (map[string]int, error) {
	sample := regexp.MustCompile(`^ferry_hook_(?:outcomes|caller_faults)_total\{(.*)\} (\S+)$`)
	label := regexp.MustCompile(`(\w+)="([^"]*)"`)
	answers := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	for lines.Scan() {
		parts := sample.FindStringSubmatch(lines.Text())
		if parts == nil {
			continue
		}
		labels := map[string]string{}
		for _, pair := range label.FindAllStringSubmatch(parts[1], -1) {
			labels[pair[1]] = pair[2]
		}
		if labels["route"] != "password-migration" {
			continue
		}
		count, err := strconv.ParseFloat(parts[2], 64)
		if err != nil {
			return nil, fmt.Errorf("ferry's metrics: %w", err)
		}
		answers[labels["outcome"]+labels["status"]] = int(count) // it has one of the two
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("ferry's metrics: %w", err)
	}
	if len(answers) == 0 { // else a renamed counter would read as "never called"
		return nil, errors.New("ferry's metrics: nothing counts the answers")
	}
	return answers, nil
}

// since is what was counted after an earlier reading.
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

// said puts the calls of ferry into words.
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

// credential is what Kratos has of a person's password, and of their past.
type credential struct {
	Config  map[string]any `json:"config"`
	subject string         // metadata_admin.auth0.user_id
}

// credential asks Kratos' admin API.
func (s *stack) credential(ctx context.Context, identity string) (credential, error) {
	body, err := s.get(ctx, identityURL(s.kratos.AdminURL(), identity))
	if err != nil {
		return credential{}, err
	}
	var answer struct {
		Credentials struct {
			Password credential `json:"password"`
		} `json:"credentials"`
		MetadataAdmin struct {
			Auth0 struct {
				UserID string `json:"user_id"`
			} `json:"auth0"`
		} `json:"metadata_admin"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return credential{}, fmt.Errorf("read the identity: %w", err)
	}
	c := answer.Credentials.Password
	c.subject = answer.MetadataAdmin.Auth0.UserID
	return c, nil
}

func identityURL(admin, identity string) string {
	return admin + "/admin/identities/" + identity + "?include_credential=password"
}

const (
	pending  = "pending, no hash"
	migrated = "hash stored, not pending"
)

// The keys of the config that matter here.
const (
	hashKey    = "hashed_password"
	pendingKey = "use_password_migration_hook"
)

// state puts the credential into words.
func (c credential) state() string {
	hash, _ := c.Config[hashKey].(string)
	switch flag := c.Config[pendingKey] == true; {
	case flag && hash == "":
		return pending
	case hash != "" && !flag:
		return migrated
	case hash != "":
		return "hash stored, and pending still"
	default:
		return "neither pending nor a hash"
	}
}

// shown is the credential's config, the hash cut short.
func (c credential) shown() string {
	const enough = len("$2a$04$") + 4 // which hash it is, and a taste of it
	config := maps.Clone(c.Config)
	if hash, _ := config[hashKey].(string); len(hash) > enough {
		config[hashKey] = hash[:enough] + "..."
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *stack) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", address, resp.Status)
	}
	return body, nil
}
