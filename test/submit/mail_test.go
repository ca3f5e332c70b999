package submit_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"ferry/gateway/submit"
	"ferry/identifier"
	"ferry/test/kratostest"
	model "ferry/test/submit"
	"ferry/wiring"
)

// submissions is the number of requests to each route.
const submissions = 200

// identitySchema has the traits that the generator makes, and lets people log in with a
// code.
const identitySchema = `{
  "$id": "https://example.org/generated.schema.json", "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
  "properties": {"traits": {"type": "object", "properties": {
    "email": {"type": "string", "format": "email", "ory.sh/kratos": {
      "credentials": {"password": {"identifier": true}, "code": {"identifier": true, "via": "email"}},
      "verification": {"via": "email"}, "recovery": {"via": "email"}}},
    "username": {"type": "string", "ory.sh/kratos": {"credentials": {"password": {"identifier": true}}}},
    "name": {"type": "object", "properties": {"nick": {"type": "string"}}},
    "emails": {"type": "array", "items": {"type": "string"}}}}}
}`

// TestMailsOfKratos: Kratos sends mail to the address that ferry sees, at recovery,
// verification, sign-up by code and login by code, and shows the identifier that ferry sees
// in the first step of a login.
func TestMailsOfKratos(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&hook{})
	t.Cleanup(server.Close)
	k := start(t, kratostest.Options{Schema: []byte(identitySchema), HookURL: server.URL, HookKey: "key", MigrateJsonnet: wiring.MigrateJsonnet(""), Edit: allowCodes})
	known := people(t, k)
	seed := uint64(0)
	for _, route := range []string{"login", "recovery", "verification", "registration"} {
		seed++
		t.Run(route, func(t *testing.T) {
			g := model.Generator{Rand: rand.New(rand.NewPCG(seed, 2))}
			c := comparison{kratos: k, route: route, known: known, mails: &mails{kratos: k}}
			c.mails.take(t)
			for range submissions {
				c.one(t, g)
			}
			t.Logf("both saw %d of %d; Kratos saw %d more; Kratos refused %d", c.agreed, submissions, c.missed, c.refused)
			if c.agreed < submissions/20 || c.missed > c.agreed {
				t.Error("the requests are too wild, or ferry misses too many")
			}
		})
	}
}

func allowCodes(config map[string]any) {
	self, _ := config["selfservice"].(map[string]any)
	methods, _ := self["methods"].(map[string]any)
	methods["code"] = map[string]any{"enabled": true, "passwordless_enabled": true}
	flows, _ := self["flows"].(map[string]any)
	login, _ := flows["login"].(map[string]any)
	login["style"] = "identifier_first"
	flows["recovery"] = map[string]any{"enabled": true, "use": "code", "ui_url": "http://127.0.0.1:4455/recovery"}
	flows["verification"] = map[string]any{"enabled": true, "use": "code", "ui_url": "http://127.0.0.1:4455/verification"}
	flows["registration"] = map[string]any{"enabled": true, "ui_url": "http://127.0.0.1:4455/registration"}
}

// comparison counts what ferry and Kratos see in the requests to one route.
type comparison struct {
	kratos *kratostest.Kratos
	route  string
	known  []string
	mails  *mails

	agreed, missed, refused int
}

func (c *comparison) one(t *testing.T, g model.Generator) {
	t.Helper()
	request := sentIn(g.For(c.route), begin(t, c.kratos, c.route))
	route := map[string]submit.Route{"login": submit.Login, "recovery": submit.Recovery, "verification": submit.Verification, "registration": submit.Registration}[c.route]
	seen, ok := submit.Read(submit.Request{Route: route, Query: request.Query, ContentType: request.ContentType, Body: request.Body, Traits: []string{"email"}})
	_, answer := post(t, c.kratos, request)
	shownAs := c.mails.take(t)
	if first := firstStep(answer); first != "" {
		shownAs = append(shownAs, first)
	}
	for i, text := range shownAs {
		shownAs[i] = identifier.Normalize(text)
	}
	shownAs = slices.Compact(shownAs)
	switch {
	case ok && len(shownAs) > 0:
		if !slices.Equal(shownAs, seen.Identifiers) {
			t.Errorf("ferry saw %s, Kratos %q: %s", seen.Identifiers, shownAs, shown(request))
		}
		c.agreed++
	case ok && c.expected(seen):
		t.Errorf("ferry saw %s with %s, Kratos nothing: %s\n%.600s", seen.Identifiers, seen.Method, shown(request), answer)
	case ok:
		c.refused++
	case len(shownAs) > 0:
		c.missed++
	}
}

// expected reports whether Kratos must show what it saw: it sends mail to those it knows,
// and where somebody signs up by code.
func (c *comparison) expected(s submit.Submit) bool {
	known := slices.Contains(c.known, s.Identifiers[0]) && s.Identifiers[0] != model.Number
	switch s.Route {
	case submit.Login:
		return known && s.Method != "password"
	case submit.Recovery:
		return known && s.Method == "code" && s.Field == "email"
	case submit.Verification:
		return known && s.Method == "code"
	case submit.Registration: // Kratos may refuse another trait
		return false
	default:
		return false
	}
}

// firstStep returns the identifier in the form that Kratos shows after the first step of a
// login.
func firstStep(answer []byte) string {
	var flow struct {
		Active string `json:"active"`
		UI     struct {
			Nodes []struct {
				Attributes struct {
					Name  string `json:"name"`
					Value any    `json:"value"`
				} `json:"attributes"`
			} `json:"nodes"`
		} `json:"ui"`
	}
	if json.Unmarshal(answer, &flow) != nil || flow.Active != "identifier_first" {
		return ""
	}
	for _, node := range flow.UI.Nodes {
		if text, ok := node.Attributes.Value.(string); ok && node.Attributes.Name == "identifier" {
			return text
		}
	}
	return ""
}

// mails are the messages that Kratos has queued.
type mails struct {
	kratos *kratostest.Kratos
	seen   map[string]bool
}

// take returns the recipients of the messages since the last time.
func (m *mails) take(t *testing.T) []string {
	t.Helper()
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	const newest = 10
	_, body := do(t, http.MethodGet, m.kratos.AdminURL()+"/admin/courier/messages?page_size="+strconv.Itoa(newest), "", nil)
	var messages []struct {
		ID        string `json:"id"`
		Recipient string `json:"recipient"`
	}
	if err := json.Unmarshal(body, &messages); err != nil {
		t.Fatalf("messages: %v: %s", err, body)
	}
	var recipients []string
	for _, message := range messages {
		if !m.seen[message.ID] {
			m.seen[message.ID] = true
			recipients = append(recipients, message.Recipient)
		}
	}
	return recipients
}
