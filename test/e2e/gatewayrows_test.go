package e2e

import (
	"context"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/test/kratostest"
)

// codeSchema also lets users log in by a code.
func codeSchema() []byte {
	return []byte(`{"$id":"person","type":"object","properties":{"traits":{"type":"object","properties":{
		"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true},"code":{"identifier":true,"via":"email"}},"recovery":{"via":"email"},"verification":{"via":"email"}}},
		"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},
		"phone":{"type":"string","format":"tel","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}
	}}}}`)
}

// chooseAddress stands for the feature of 26.2 by which users choose a recovery address.
const chooseAddress = "choose_recovery_address"

// newest reports whether Kratos is of the line 26.
func newest(t *testing.T) bool {
	t.Helper()
	binary, err := kratostest.Binary(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`Version:\s+v?26`).Match(out)
}

// selfservice sets a value below selfservice in kratos.yml, and makes what is missing.
func selfservice(config map[string]any, path string, value any) {
	at := config["selfservice"].(map[string]any)
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		next, ok := at[step].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[step] = next
		}
		at = next
	}
	at[steps[len(steps)-1]] = value
}

// row is one request by which Kratos may need a user whom it does not have.
type row struct {
	route  string
	fields func(u *unknown) map[string]string
	sees   string // part of the answer
	mail   string // template of the last mail; empty: none
}

// gatewayRows are the rows that both releases have, by name.
func gatewayRows() map[string]row {
	login := func(fields ...string) func(u *unknown) map[string]string {
		return func(u *unknown) map[string]string {
			all := map[string]string{}
			for i := 0; i < len(fields); i += 2 {
				all[fields[i]] = strings.NewReplacer("EMAIL", u.email, "PASSWORD", u.password).Replace(fields[i+1])
			}
			return all
		}
	}
	return map[string]row{
		"login":                    {route: "login", fields: login("method", "password", "identifier", "EMAIL", "password", "PASSWORD")},
		"login, wrong password":    {route: "login", fields: login("method", "password", "identifier", "EMAIL", "password", "wrong"), sees: "4000006"},
		"login, first step":        {route: "login", fields: login("method", "identifier_first", "identifier", "EMAIL")},
		"login with a code":        {route: "login", fields: login("method", "code", "identifier", "EMAIL"), sees: "state=sent_email", mail: "login_code_valid"},
		"recovery":                 {route: "recovery", fields: login("method", "METHOD", "email", "EMAIL"), sees: "state=sent_email", mail: "recovery"},
		"verification":             {route: "verification", fields: login("method", "METHOD", "email", "EMAIL"), sees: "state=sent_email", mail: "verification"},
		"registration":             {route: "registration", fields: login("method", "password", "traits.email", "EMAIL", "password", "A-new-one-nobody-knows-77"), sees: "4000007"},
		"registration, first step": {route: "registration", fields: login("method", "profile", "traits.email", "EMAIL")},
	}
}

// TestGatewayRows: whatever a user whom nobody imported asks Kratos for, by whatever client,
// the answer and the mail are those after an import just before, and so is the identity.
func TestGatewayRows(t *testing.T) {
	type variant struct {
		method string
		config map[string]any
	}
	variants := map[string]variant{
		"code": {"code", map[string]any{"methods.code.enabled": true}},
		"two steps, link": {"link", map[string]any{
			"flows.login.style": "identifier_first", "flows.recovery.use": "link", "flows.verification.use": "link", "methods.link.enabled": true, "methods.code.enabled": true,
		}},
	}
	if newest(t) {
		variants["choice of recovery addresses"] = variant{"code", map[string]any{"methods.code.enabled": true, chooseAddress: true}}
	}
	for name, c := range variants {
		t.Run(name, func(t *testing.T) {
			s := startRows(t, c.config)
			rows, imported := gatewayRows(), map[string][]*unknown{}
			if c.config[chooseAddress] != nil {
				rows = map[string]row{"recovery": {route: "recovery", sees: "state=recovery_awaiting_code", mail: "recovery_code_valid", fields: func(u *unknown) map[string]string {
					return map[string]string{"method": "code", "recovery_address": u.email}
				}}}
			}
			var all []*unknown
			for name := range rows {
				for range clients() {
					imported[name] = append(imported[name], s.unknown(t, nil))
				}
				all = append(all, imported[name]...)
			}
			s.imports(t, all...)
			for name, row := range rows {
				t.Run(name, func(t *testing.T) { row.test(t, s, c.method, imported[name]) })
			}
		})
	}
}

// startRows starts a stack with a gateway, the Management API and this configuration below
// selfservice.
func startRows(t *testing.T, config map[string]any, settings ...string) *stack {
	t.Helper()
	s := startOn(t, func(k *kratostest.Options) {
		k.Schema = codeSchema()
		k.Edit = func(file map[string]any) {
			all := map[string]any{
				"flows.recovery.enabled": true, "flows.recovery.use": "code", "flows.verification.enabled": true, "flows.verification.use": "code",
				"flows.registration.enabled": true, "methods.code.passwordless_enabled": true,
			}
			for path, value := range all {
				selfservice(file, path, value)
			}
			for path, value := range config {
				if path == chooseAddress {
					file["feature_flags"] = map[string]any{"choose_recovery_address": value}
					continue
				}
				selfservice(file, path, value)
			}
		}
	}, append([]string{"FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_LOOKUPS_PER_SECOND=1000", "FERRY_GATEWAY_PER_MINUTE=100000", machineID, machineSecret}, settings...)...)
	s.machine(t)
	s.gatewayReady(t)
	return s
}

// gatewayReady waits until ferry has read Kratos once.
func (s *stack) gatewayReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.logged(ctx, "the users register is complete"); err != nil {
		t.Fatal(err)
	}
}

func clients() []client { return []client{native, spa, form} }

// test compares users whom the gateway creates with imported ones, for every client.
func (r row) test(t *testing.T, s *stack, method string, imported []*unknown) {
	t.Helper()
	for i, kind := range clients() {
		created := s.unknown(t, nil)
		got := r.ask(t, s, kind, created, method)
		want := r.ask(t, s, kind, imported[i], method)
		if got != want || !strings.Contains(got, r.sees) {
			t.Errorf("%s: the user sees\n%s\nand after an import\n%s", kind, got, want)
		}
		if n, want := s.sim.Attempts(created.subject), s.sim.Attempts(imported[i].subject); n != want {
			t.Errorf("%s: %d attempts at Auth0, after an import %d", kind, n, want)
		}
		mails, _ := s.mails(t, created.email)
		after, _ := s.mails(t, imported[i].email)
		if !slices.Equal(mails, after) || r.mail == "" && len(mails) > 0 || r.mail != "" && (len(mails) != 1 || !strings.HasPrefix(mails[0], r.mail)) {
			t.Errorf("%s: mail %q, after an import %q", kind, mails, after)
		}
		if got, want := s.identity(t, created), s.identity(t, imported[i]); got != want && r.sees != "4000006" {
			t.Errorf("%s: the identity is\n%s\nand after an import\n%s", kind, got, want)
		}
	}
}

// ask submits the row, and returns what the user sees.
func (r row) ask(t *testing.T, s *stack, kind client, u *unknown, method string) string {
	t.Helper()
	fields := r.fields(u)
	if fields["method"] == "METHOD" {
		fields["method"] = method
	}
	return s.begin(t, kind, r.route).submit(t, fields)
}

// ownText is what differs between two identities of the same kind.
func ownText() *regexp.Regexp {
	return regexp.MustCompile(`"(id|external_id|run|at|created_at|updated_at|state_changed_at|verified_at|hashed_password|identifiers_sha256|value|identifiers|version|ferry|migrated_at)":("[^"]*"|\[[^\]]*\]|[0-9]+),?`)
}

// identity describes the identity of a user, without what is the user's own.
func (s *stack) identity(t *testing.T, u *unknown) string {
	t.Helper()
	id := s.identityOf(t, u.email)
	if id == "" {
		return "none"
	}
	var whole rawObject
	s.readAdmin(t, "/admin/identities/"+id+"?include_credential=password", &whole)
	text := strings.NewReplacer(u.email, "EMAIL", u.subject, "SUBJECT").Replace(string(whole))
	return strings.ReplaceAll(ownText().ReplaceAllString(text, ""), ",", "")
}

// rawObject is JSON as it stands.
type rawObject []byte

// UnmarshalJSON implements json.Unmarshaler.
func (o *rawObject) UnmarshalJSON(text []byte) error {
	*o = append((*o)[:0], text...)
	return nil
}
