package doctor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/google/go-jsonnet"

	"ferry/strictjson"
	"ferry/wiring"
)

const (
	inline = "base64://"
	inFile = "file://"
	// canary replaces a user's cookies and tokens, which a template must not pass on.
	canary     = "ferry-doctor-canary"
	sampleIP   = "198.51.100.7" // RFC 5737: documentation only
	maxStack   = 500            // Jsonnet stack depth; Kratos allows no more
	maxBodyLen = 1 << 20
)

// probe is the login that doctor sends to ferry in place of Kratos.
type probe struct {
	identifier, password, identityID, flowID string
}

// quoted matches what may be a header's name in a template.
var quoted = regexp.MustCompile(`["']([A-Za-z][A-Za-z0-9-]*)["']`)

// namedHeaders returns the names in a template that may be of the client address header.
func namedHeaders(source string) []string {
	var names []string
	for _, match := range quoted.FindAllStringSubmatch(source, -1) {
		switch strings.ToLower(match[1]) {
		case "cookie", "authorization", "user-agent":
		default:
			names = append(names, match[1])
		}
	}
	return names
}

// addressHeaders returns the usual headers for client addresses.
func addressHeaders() []string {
	return []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fly-Client-Ip"}
}

// errElsewhere reports a template that cannot be read from here.
var errElsewhere = errors.New("it cannot be read here")

// source returns the text of a template that is inline in kratos.yml, or in a file. The
// error is errElsewhere if it is neither.
func (e *doctor) source(body string) ([]byte, error) {
	if text, ok := strings.CutPrefix(body, inline); ok {
		source, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("it is not base64")
		}
		return source, nil
	}
	name, ok := strings.CutPrefix(body, inFile)
	if !ok || e.ReadTemplate == nil || unresolved(body) {
		return nil, errElsewhere
	}
	source, err := e.ReadTemplate(name)
	if err != nil {
		return nil, errElsewhere
	}
	return source, nil
}

// templateBody returns what Kratos would send: the template's output for the probe.
func (e *doctor) templateBody(body string, p probe) ([]byte, error) {
	return e.evaluate(body, map[string]any{
		"identifier": p.identifier, "password": p.password,
		"identity": map[string]any{
			"id": p.identityID, "schema_id": "default", "state": "active", "traits": map[string]any{"email": canary},
			"metadata_public": map[string]any{"note": canary},
		},
		"flow":        map[string]any{"id": p.flowID, "type": "api", "transient_payload": map[string]any{}},
		"session":     map[string]any{"id": p.flowID, "devices": []any{}},
		"request_url": "https://kratos.invalid/self-service/login",
	})
}

// evaluate returns a template's output for the context of a made-up flow, with the request that
// would have led to it. Its cookies and tokens are the canary.
func (e *doctor) evaluate(body string, flow map[string]any) ([]byte, error) {
	source, err := e.source(body)
	if err != nil {
		return nil, err
	}
	headers := map[string]any{"Cookie": []string{canary}, "Authorization": []string{canary}, "User-Agent": []string{"ferry-doctor"}}
	for _, name := range append(addressHeaders(), namedHeaders(string(source))...) {
		headers[name] = []string{sampleIP}
	}
	flow["request_method"], flow["request_headers"] = "POST", headers
	flow["request_cookies"] = map[string]any{"ory_kratos_session": canary}
	ctx, err := json.Marshal(flow)
	if err != nil {
		return nil, errors.New("the sample cannot be encoded")
	}
	vm := newVM()
	vm.TLACode("ctx", string(ctx))
	out, err := vm.EvaluateAnonymousSnippet("template", string(source))
	switch {
	case err != nil:
		return nil, errors.New("it fails") // err may quote the login
	case len(out) > maxBodyLen:
		return nil, errors.New("its output is too long")
	}
	return []byte(out), nil
}

// newVM returns an interpreter with the limits of Kratos' own.
func newVM() *jsonnet.VM {
	vm := jsonnet.MakeVM()
	vm.MaxStack = maxStack
	vm.Importer(&jsonnet.MemoryImporter{})
	return vm
}

// checkTemplate evaluates the migration hook's template with a made-up login.
func (e *doctor) checkTemplate(ctx context.Context) Check {
	can, known := e.abilities(ctx)
	if known && !can.ExternalIDs {
		return e.checkNoTemplate()
	}
	body := e.config.migration().body
	const fix = "use ferry's own, for Kratos 25.4 and later: `ferry kratos-config --kratos-version 25.4 --merge FILE`"
	switch {
	case body == "" && e.Settings.ForwardClientIP:
		return warn(fix+", with --client-ip-header", "the migration hook has no template in the file, so ferry does not get the client address, and FERRY_AUTH0_FORWARD_CLIENT_IP has no effect")
	case body == "" && known:
		return warn(fix, "the migration hook has no template in the file, and the running Kratos supports one: without it ferry has to find the identity by the identifier, and gets neither the client address nor the login flow")
	case body == "":
		return ok("the migration hook has no template: ferry gets identifier and password, which is sufficient, and all that Kratos 1.3.1 supports")
	}
	p := probe{"person@kratos.invalid", "a made-up password", e.ID(), e.ID()}
	out, err := e.templateBody(body, p)
	switch {
	case errors.Is(err, errElsewhere):
		return unreadTemplate("the migration hook", body)
	case err != nil:
		return fail(fix, "the template of the migration hook is not valid, logins of pending identities fail with an error: %v", err)
	}
	var made struct {
		Identifier string `json:"identifier"`
		Password   string `json:"password"`
		Identity   struct {
			ID string `json:"id"`
		} `json:"identity"`
		Client struct {
			IP string `json:"ip"`
		} `json:"client"`
	}
	switch {
	case strictjson.Unmarshal(out, &made) != nil || made.Identifier != p.identifier || made.Password != p.password:
		return fail(fix, "the template of the migration hook does not pass identifier and password on unchanged: ferry refuses the call")
	case strings.Contains(string(out), canary):
		return fail(fix, "the template of the migration hook passes on cookies, tokens or traits of the user, which ferry must not get")
	case e.Settings.ForwardClientIP && made.Client.IP == "":
		return fail(fix+", with --client-ip-header NAME", "the template of the migration hook does not pass the client address on, so FERRY_AUTH0_FORWARD_CLIENT_IP has no effect")
	case made.Identity.ID != p.identityID:
		return warn(fix, "the template of the migration hook does not pass the identity on")
	}
	return ok("the template of the migration hook passes on only what ferry needs")
}

// checkNoTemplate checks that there is no template for a Kratos that does not support one.
func (e *doctor) checkNoTemplate() Check {
	switch {
	case e.config.get(wiring.MigrateHookKeys("config", "body")...) != nil:
		return fail("remove the body from "+strings.Join(wiring.MigrateHookKeys("config"), ".")+"; `ferry kratos-config --kratos-version 1.3.1 --merge FILE` names its line",
			"the migration hook has a template, and the running Kratos does not support it: 1.3.1 does not start with this file")
	case e.Settings.ForwardClientIP:
		return warn(fixAddress, "this Kratos supports no template for the migration hook, so ferry does not get the client address, and FERRY_AUTH0_FORWARD_CLIENT_IP has no effect")
	}
	return ok("the migration hook has no template: ferry gets identifier and password, which is sufficient, and all that this Kratos supports")
}

// unreadTemplate reports a template that cannot be read.
func unreadTemplate(hook, body string) Check {
	name, ok := strings.CutPrefix(body, inFile)
	if !ok || unresolved(body) {
		return skipped("the template of " + hook + " is not in the file, and was not checked: keep it the same as ferry's")
	}
	return warn("run doctor on Kratos' machine, or keep the file beside kratos.yml; or remove the line: "+fixMerge+" inline",
		"the template of %s is in the file %s, which cannot be read here: without it, logins fail with an error", hook, plain(name))
}

// checkAfterTemplate evaluates the template of the after-login hook with a made-up login.
func (e *doctor) checkAfterTemplate(body string) Check {
	p := probe{"person@kratos.invalid", "a made-up password", e.ID(), e.ID()}
	out, err := e.templateBody(body, p)
	var made struct {
		Identity struct {
			ID string `json:"id"`
		} `json:"identity"`
	}
	const hook = "the hook after a login"
	switch {
	case errors.Is(err, errElsewhere):
		return unreadTemplate(hook, body)
	case err != nil:
		return fail(fixMerge, "the template of %s is not valid, and Kratos does not tell ferry of logins: %v", hook, err)
	case strings.Contains(string(out), canary):
		return fail(fixMerge, "the template of %s passes on cookies, tokens or traits of the user, which ferry must not get", hook)
	case strictjson.Unmarshal(out, &made) != nil || made.Identity.ID != p.identityID:
		return fail(fixMerge, "the template of %s does not pass the identity on: ferry writes no profiles", hook)
	}
	return ok("its template passes the identity on")
}
