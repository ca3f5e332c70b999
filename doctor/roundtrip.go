package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"ferry/strictjson"
	"ferry/wiring"
)

const (
	nameTrip      = "hook.round_trip"
	nameAfterTrip = "hook.after_login_round_trip"
	// Kratos reads no more of an answer.
	maxHookAnswer = 1024
)

// roundTrips calls ferry's own hooks as Kratos would, for a person that nobody has: it
// never gets as far as Auth0.
func (e *doctor) roundTrips(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	migration := e.config.migration()
	assumed := migration.url == ""
	if assumed && e.Settings.HookURL != "" && len(e.Settings.HookKeys) > 0 {
		migration = bearer(e.Settings.HookURL+wiring.MigrationPath, e.Settings.HookKeys[0])
	}
	if migration.url == "" && e.Settings.HookURL != "" {
		s.skip("FERRY_HOOK_KEYS is not set: there is no key to call ferry with", nameTrip, nameAfterTrip)
		return s.checks
	}
	if migration.url == "" || unresolved(migration.url) {
		s.skip("neither --kratos-config nor FERRY_LISTEN says where Kratos reaches ferry", nameTrip, nameAfterTrip)
		return s.checks
	}
	p := probe{fmt.Sprintf(grantIdentity, e.ID()), "no-" + e.ID(), e.ID(), e.ID()}
	s.run(ctx, nameTrip, func(ctx context.Context) Check { return e.migrationTrip(ctx, migration, p, assumed) })
	if s.checks[0].Status != OK {
		s.skip("the migration hook is not sound yet", nameAfterTrip)
		return s.checks
	}
	s.run(ctx, nameAfterTrip, func(ctx context.Context) Check {
		after := call{}
		hooks := e.config.afterLogin()
		if ours := ferrys(hooks); len(ours) > 0 {
			after = ours[0]
		} else if assumed {
			after = bearer(e.Settings.HookURL+wiring.AfterLoginPath, e.Settings.HookKeys[0])
		}
		if after.url == "" || unresolved(after.url) {
			return skipped("there is no hook after a login")
		}
		return e.afterLoginTrip(ctx, after, p)
	})
	return s.checks
}

// hookAnswer is what a hook said.
type hookAnswer struct {
	status int
	json   bool
	body   []byte
}

// send calls a hook once: no redirect is followed, nothing is sent again.
func (e *doctor) send(ctx context.Context, c call, body []byte) (hookAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return hookAnswer{}, errors.New("the url is none")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ferry-doctor")
	req.Header.Set("Ory-Webhook-Request-Id", e.ID())
	req.Header.Set("Ory-Webhook-Trigger-Id", e.ID())
	c.authorize(req)
	resp, err := e.Hooks.RoundTrip(req)
	if err != nil {
		return hookAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxHookAnswer))
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return hookAnswer{resp.StatusCode, media == "application/json", read}, err
}

// says reports whether the answer is a JSON object with this status.
func (a hookAnswer) says(status string) bool {
	var said struct {
		Status string `json:"status"`
	}
	return a.json && strictjson.Unmarshal(a.body, &said) == nil && said.Status == status
}

func (e *doctor) migrationTrip(ctx context.Context, c call, p probe, assumed bool) Check {
	body, err := json.Marshal(map[string]string{"identifier": p.identifier, "password": p.password})
	if err != nil {
		return skipped("the call cannot be made")
	}
	if c.body != "" {
		if made, err := e.templateBody(c.body, p); err == nil {
			body = made
		}
	}
	answer, err := e.send(ctx, c, body)
	if err != nil {
		return e.noTrip(c, err, assumed)
	}
	switch {
	case answer.status == http.StatusFailedDependency && answer.says("unavailable"):
		return ok("%s takes Kratos' call and answers as it should for somebody whom Kratos does not have; Auth0 was not asked", shown(c.url))
	case answer.status == http.StatusForbidden && answer.says("closed"):
		return warn("unset FERRY_MIGRATION_CLOSED and restart ferry, if the migration is to go on", "%s says that the migration is closed: people who are pending see wrong credentials", shown(c.url))
	case answer.status == http.StatusOK:
		return fail("take down what listens there, and name ferry's own address", "%s answers 200 to a made-up person: if it says password_match, Kratos stores any password for anybody", shown(c.url))
	}
	return refusedTrip(c, answer)
}

// noTrip is a call that got no answer.
func (e *doctor) noTrip(c call, err error, assumed bool) Check {
	var dns *net.DNSError
	var op *net.OpError
	address := shown(c.url)
	switch {
	case assumed:
		return warn("start `ferry serve`, or name --kratos-config FILE so that doctor knows where Kratos calls it", "%s, from FERRY_LISTEN, does not answer", address)
	case errors.As(err, &dns):
		return fail("mend the host in the hook's url, or run doctor where Kratos runs", "the host of %s has no address here: logins of pending people end in a 502", address)
	case isTLSFault(err):
		detail, fix := certificateFault(address, "the hook's url", err, e.Now(), "install the certificate authority on Kratos' machine (SSL_CERT_FILE)")
		return fail(fix, "%s: Kratos does not call it, logins of pending people end in a 502", detail)
	case errors.As(err, &op) && op.Op == "dial":
		return fail("start `ferry serve` there, or mend the hook's url (FERRY_LISTEN says where ferry listens)", "nothing listens at %s: logins of pending people end in a 502 after three seconds", address)
	case errors.Is(err, context.DeadlineExceeded):
		return fail("see whether ferry runs there and what its log says", "%s gives no answer in %s", address, e.timeout)
	}
	return fail("see whether ferry runs there, and whether http and https are mixed up", "%s breaks the connection off: logins of pending people end in a 502", address)
}

// refusedTrip is an answer that ferry gives to a caller's fault, or not ferry's at all.
func refusedTrip(c call, answer hookAnswer) Check {
	address := shown(c.url)
	switch {
	case answer.status == http.StatusUnauthorized:
		return fail("make both the same: a key of the FERRY_HOOK_KEYS that the running ferry has, behind \"Bearer \" in kratos.yml; restart ferry after a change",
			"%s refuses the key (401): logins of pending people end in a 502", address)
	case answer.status == http.StatusNotFound, answer.status == http.StatusMethodNotAllowed:
		return fail("make the path "+wiring.MigrationPath+", and the port that of FERRY_LISTEN, not of FERRY_ADMIN_LISTEN",
			"there is no hook at %s (%d): logins of pending people end in a 502", address, answer.status)
	case answer.status >= 300 && answer.status < 400:
		return fail("name the address where ferry itself answers", "%s redirects (%d): Kratos would send the password wherever that leads", address, answer.status)
	case answer.status == http.StatusBadRequest, answer.status == http.StatusUnsupportedMediaType:
		return fail("use ferry's template: `ferry kratos-config --merge FILE`", "%s does not take what Kratos sends (%d): logins of pending people end in a 502", address, answer.status)
	}
	return fail("see that the address is ferry's, and that nothing in between answers for it", "%s answers %d to somebody whom Kratos does not have: ferry says 424, unavailable", address, answer.status)
}

// afterLoginTrip tells ferry of a login that never was: ferry keeps nothing for it.
func (e *doctor) afterLoginTrip(ctx context.Context, c call, p probe) Check {
	body, err := json.Marshal(map[string]any{"identity": map[string]any{"id": p.identityID}, "flow": map[string]any{"id": p.flowID}})
	if err != nil {
		return skipped("the call cannot be made")
	}
	if c.body != "" {
		switch made, err := e.templateBody(c.body, p); {
		case err == nil:
			body = made
		case !errors.Is(err, errElsewhere):
			return fail(fixMerge, "the template of the hook after a login cannot be used: %v", err)
		}
	}
	answer, err := e.send(ctx, c, body)
	if err != nil {
		return e.noTrip(c, err, false)
	}
	switch answer.status {
	case http.StatusNoContent:
		return ok("%s takes Kratos' call after a login", shown(c.url))
	case http.StatusOK:
		return fail("name ferry's own address", "%s answers 200 to a login that never was: ferry says 204, without a body", shown(c.url))
	}
	check := refusedTrip(c, answer)
	check.Detail = strings.ReplaceAll(check.Detail, "logins of pending people end in a 502", "nothing of a profile is brought along")
	check.Fix = strings.ReplaceAll(check.Fix, wiring.MigrationPath, wiring.AfterLoginPath)
	return check
}
