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
	"ferry/wire"
)

const (
	nameTrip      = "hook.round_trip"
	nameAfterTrip = "hook.after_login_round_trip"
	// maxHookAnswer is how much of an answer Kratos reads, in bytes.
	maxHookAnswer = 1024
)

// roundTrips calls ferry's hooks as Kratos would, for an identity that does not exist, so
// ferry does not ask Auth0.
func (e *doctor) roundTrips(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	migration := e.config.migration()
	assumed := migration.url == ""
	if assumed && e.Settings.HookURL != "" && len(e.Settings.HookKeys) > 0 {
		migration = bearer(e.Settings.HookURL+wire.MigrationPath, e.Settings.HookKeys[0])
	}
	if migration.url == "" && e.Settings.HookURL != "" {
		s.skip("FERRY_HOOK_KEYS is not set: doctor has no key to call ferry with", nameTrip, nameAfterTrip)
		return s.checks
	}
	if migration.url == "" || unresolved(migration.url) {
		s.skip("neither --kratos-config nor FERRY_LISTEN has the address of ferry", nameTrip, nameAfterTrip)
		return s.checks
	}
	p := probe{fmt.Sprintf(grantIdentity, e.ID()), "no-" + e.ID(), e.ID(), e.ID()}
	s.run(ctx, nameTrip, func(ctx context.Context) Check { return e.migrationTrip(ctx, migration, p, assumed) })
	if s.checks[0].Status != OK {
		s.skip("the migration hook does not work yet", nameAfterTrip)
		return s.checks
	}
	s.run(ctx, nameAfterTrip, func(ctx context.Context) Check {
		after := call{}
		hooks := e.config.afterLogin()
		if ours := ferrys(hooks); len(ours) > 0 {
			after = ours[0]
		} else if assumed {
			after = bearer(e.Settings.HookURL+wire.AfterLoginPath, e.Settings.HookKeys[0])
		}
		if after.url == "" || unresolved(after.url) {
			return skipped("ferry has no hook after a login")
		}
		return e.afterLoginTrip(ctx, after, p)
	})
	return s.checks
}

// hookAnswer is the answer of a hook.
type hookAnswer struct {
	status int
	json   bool
	body   []byte
}

// send calls a hook once. It does not follow redirects or retry.
func (e *doctor) send(ctx context.Context, c call, body []byte) (hookAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return hookAnswer{}, errors.New("the url is not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ferry-doctor")
	req.Header.Set(wire.HeaderRequestID, e.ID())
	req.Header.Set(wire.HeaderTriggerID, e.ID())
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
	case answer.status == http.StatusFailedDependency && answer.says(wire.StatusUnavailable):
		return ok("%s accepts Kratos' call and gives the expected answer for an unknown identity; ferry did not ask Auth0", shown(c.url))
	case answer.status == http.StatusForbidden && answer.says(wire.StatusClosed):
		return warn("unset FERRY_MIGRATION_CLOSED and restart ferry to continue the migration", "%s says that the migration is closed: logins of pending identities fail as wrong credentials", shown(c.url))
	case answer.status == http.StatusFailedDependency && answer.says(wire.StatusPaused):
		return warn("set the mode to on (docs/modes.md) when logins are to work again", "%s says that ferry is off: logins of pending identities are an outage", shown(c.url))
	case answer.status == http.StatusOK:
		return fail("stop the server there, and use ferry's address", "%s answers 200 for a made-up user: if it answers password_match, Kratos stores any password for any user", shown(c.url))
	}
	return refusedTrip(c, answer)
}

// noTrip explains a call without an answer.
func (e *doctor) noTrip(c call, err error, assumed bool) Check {
	var dns *net.DNSError
	var op *net.OpError
	address := shown(c.url)
	switch {
	case assumed:
		return warn("start `ferry serve`, or give --kratos-config FILE so that doctor knows the address", "%s, from FERRY_LISTEN, does not answer", address)
	case errors.As(err, &dns):
		return fail("correct the host in the hook's url, or run doctor on Kratos' machine", "the host of %s has no address here: logins of pending identities fail with a 502", address)
	case isTLSFault(err):
		detail, fix := certificateFault(address, "the hook's url", err, e.Now(), "install the certificate authority on Kratos' machine (SSL_CERT_FILE)")
		return fail(fix, "%s: Kratos does not call it, logins of pending identities fail with a 502", detail)
	case errors.As(err, &op) && op.Op == "dial":
		return fail("start `ferry serve` there, or correct the hook's url (FERRY_LISTEN is ferry's address)", "nothing listens at %s: logins of pending identities fail with a 502 after three seconds", address)
	case errors.Is(err, context.DeadlineExceeded):
		return fail("check whether ferry runs there, and its log", "%s did not answer within %s", address, e.timeout)
	}
	return fail("check whether ferry runs there, and whether the url needs http or https", "%s closes the connection: logins of pending identities fail with a 502", address)
}

// refusedTrip explains an answer to a caller's fault, or one that is not from ferry.
func refusedTrip(c call, answer hookAnswer) Check {
	address := shown(c.url)
	switch {
	case answer.status == http.StatusUnauthorized:
		return fail("use the same key in both: kratos.yml has a key of the running ferry's FERRY_HOOK_KEYS after \"Bearer \"; restart ferry after a change",
			"%s refuses the key (401): logins of pending identities fail with a 502", address)
	case answer.status == http.StatusNotFound, answer.status == http.StatusMethodNotAllowed:
		return fail("use the path "+wire.MigrationPath+", and the port of FERRY_LISTEN, not of FERRY_ADMIN_LISTEN",
			"there is no hook at %s (%d): logins of pending identities fail with a 502", address, answer.status)
	case answer.status >= 300 && answer.status < 400:
		return fail("use the address at which ferry itself answers", "%s redirects (%d): Kratos would send the password to the redirect's target", address, answer.status)
	case answer.status == http.StatusBadRequest, answer.status == http.StatusUnsupportedMediaType:
		return fail("use ferry's template: `ferry kratos-config --merge FILE`", "%s does not accept what Kratos sends (%d): logins of pending identities fail with a 502", address, answer.status)
	}
	return fail("make sure that the address is ferry's, and that no proxy answers instead", "%s answers %d for an unknown identity: ferry answers 424, unavailable", address, answer.status)
}

// afterLoginTrip calls the after-login hook for an unknown identity. ferry has no profile
// for it.
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
			return fail(fixMerge, "the template of the hook after a login is not valid: %v", err)
		}
	}
	answer, err := e.send(ctx, c, body)
	if err != nil {
		return e.noTrip(c, err, false)
	}
	switch answer.status {
	case http.StatusNoContent:
		return ok("%s accepts Kratos' call after a login", shown(c.url))
	case http.StatusOK:
		return fail("use ferry's address", "%s answers 200 for an unknown identity: ferry answers 204, without a body", shown(c.url))
	}
	check := refusedTrip(c, answer)
	check.Detail = strings.ReplaceAll(check.Detail, "logins of pending identities fail with a 502", "ferry writes no profiles")
	check.Fix = strings.ReplaceAll(check.Fix, wire.MigrationPath, wire.AfterLoginPath)
	return check
}
