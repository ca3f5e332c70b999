package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ferry/wire"
)

const (
	issuer       = "https://load.example/"
	clientID     = "load-client"
	clientSecret = "load-client-secret"
	hookKey      = "load-hook-key-0123456789-0123456789-0123456789"
	emailDomain  = "@load.example"
	// rightPassword and wrongPassword begin the passwords that Auth0 accepts and rejects.
	rightPassword = "right-"
	wrongPassword = "wrong-"
)

// person is one of the users, by number.
type person int

func (p person) email() string      { return fmt.Sprintf("user%d%s", p, emailDomain) }
func (p person) identityID() string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", int(p)) }
func (p person) subject() string    { return fmt.Sprintf("auth0|%024x", int(p)) }

var errNoPerson = errors.New("not one of the users")

// personOf returns the person with the e-mail address.
func personOf(email string, people int) (person, error) {
	number, ok := strings.CutSuffix(strings.TrimPrefix(email, "user"), emailDomain)
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 || n >= people {
		return 0, errNoPerson
	}
	return person(n), nil
}

// personWith returns the person with the identity id.
func personWith(identityID string, people int) (person, error) {
	n, err := strconv.ParseInt(identityID[strings.LastIndexByte(identityID, '-')+1:], 16, 32)
	if err != nil || n < 0 || int(n) >= people {
		return 0, errNoPerson
	}
	return person(n), nil
}

// call is the body of a call of the migration hook, as the template of ferry's wiring
// makes it. Without the identity it is the body of Kratos 1.3.1.
type call struct {
	Identifier string    `json:"identifier"`
	Password   string    `json:"password"`
	Identity   *identity `json:"identity,omitempty"`
	Flow       *flow     `json:"flow,omitempty"`
	Client     *client   `json:"client,omitempty"`
}

type identity struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

type flow struct {
	ID string `json:"id"`
}

type client struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
}

// matched and notMatched are the answers to a right and a wrong password.
func matched() string    { return `{"status":"` + wire.StatusMatch + `"}` }
func notMatched() string { return `{"status":"` + wire.StatusNoMatch + `"}` }

// identityJSON is the identity as Kratos' admin API shows it, with the fields of a real one.
func (p person) identityJSON() []byte {
	const at = "2026-11-21T19:47:06.727079Z"
	credential := func(kind string, config any, identifiers ...string) map[string]any {
		c := map[string]any{"type": kind, "identifiers": identifiers, "version": 0, "created_at": at, "updated_at": at}
		if config != nil {
			c["config"] = config
		}
		return c
	}
	address := map[string]any{
		"id": p.identityID(), "value": p.email(), "verified": true, "via": "email", "status": "completed", "verified_at": at, "created_at": at, "updated_at": at,
	}
	text, _ := json.Marshal(map[string]any{ // maps of texts can be marshaled
		"id": p.identityID(), "schema_id": "person", "schema_url": "http://127.0.0.1:4433/schemas/cGVyc29u", "state": "active", "state_changed_at": at,
		"traits": map[string]any{"email": p.email(), "username": fmt.Sprintf("User%d", p), "name": map[string]any{"first": "Kim", "last": "Load"}},
		"credentials": map[string]any{
			"oidc":     credential("oidc", nil, fmt.Sprintf("google:%d", p)),
			"password": credential("password", map[string]any{"hashed_password": "", "use_password_migration_hook": true}, p.email(), fmt.Sprintf("user%d", p)),
		},
		"verifiable_addresses": []any{address},
		"recovery_addresses":   []any{map[string]any{"id": p.identityID(), "value": p.email(), "via": "email", "created_at": at, "updated_at": at}},
		"metadata_public":      map[string]any{"plan": "free"},
		"metadata_admin":       map[string]any{"auth0": map[string]any{"user_id": p.subject(), "user_ids": []any{p.subject()}, "run": "load"}},
		"created_at":           at, "updated_at": at, "organization_id": nil,
	})
	return text
}
