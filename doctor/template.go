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
	// canary stands for a person's cookies and tokens, which no template may pass on.
	canary     = "ferry-doctor-canary"
	sampleIP   = "198.51.100.7" // RFC 5737: nobody's
	maxStack   = 500            // of the Jsonnet; Kratos' own is no higher
	maxBodyLen = 1 << 20
)

// probe is what doctor has Kratos say to ferry.
type probe struct {
	identifier, password, identityID, flowID string
}

// quoted finds what may be a header's name in a template.
var quoted = regexp.MustCompile(`["']([A-Za-z][A-Za-z0-9-]*)["']`)

// namedHeaders are the names in a template that may be of the header with the address.
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

// addressHeaders are those in which proxies name a person's address.
func addressHeaders() []string {
	return []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fly-Client-Ip"}
}

// errElsewhere: a template is kept where it cannot be read from here.
var errElsewhere = errors.New("it cannot be read here")

// source is the text of a template as kratos.yml names it: inline, or in a file. The
// error is errElsewhere where there is nothing to look at.
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

// templateBody is what Kratos would send: the template's output for a login of the
// probe.
func (e *doctor) templateBody(body string, p probe) ([]byte, error) {
	source, err := e.source(body)
	if err != nil {
		return nil, err
	}
	headers := map[string]any{"Cookie": []string{canary}, "Authorization": []string{canary}, "User-Agent": []string{"ferry-doctor"}}
	for _, name := range append(addressHeaders(), namedHeaders(string(source))...) {
		headers[name] = []string{sampleIP}
	}
	login, err := json.Marshal(map[string]any{
		"identifier": p.identifier, "password": p.password,
		"identity": map[string]any{
			"id": p.identityID, "schema_id": "default", "state": "active", "traits": map[string]any{"email": canary},
			"metadata_public": map[string]any{"note": canary},
		},
		"flow":           map[string]any{"id": p.flowID, "type": "api", "transient_payload": map[string]any{}},
		"session":        map[string]any{"id": p.flowID, "devices": []any{}},
		"request_method": "POST", "request_url": "https://kratos.invalid/self-service/login",
		"request_cookies": map[string]any{"ory_kratos_session": canary},
		"request_headers": headers,
	})
	if err != nil {
		return nil, errors.New("the sample is no JSON")
	}
	vm := jsonnet.MakeVM()
	vm.MaxStack = maxStack
	vm.Importer(&jsonnet.MemoryImporter{})
	vm.TLACode("ctx", string(login))
	out, err := vm.EvaluateAnonymousSnippet("template", string(source))
	switch {
	case err != nil:
		return nil, errors.New("it fails") // its own words may quote the login
	case len(out) > maxBodyLen:
		return nil, errors.New("it makes too much")
	}
	return []byte(out), nil
}

// checkTemplate runs the migration hook's template on a made-up login.
func (e *doctor) checkTemplate(ctx context.Context) Check {
	can, known := e.abilities(ctx)
	if known && !can.ExternalIDs {
		return e.checkNoTemplate()
	}
	body := e.config.migration().body
	const fix = "use ferry's own, for Kratos 25.4 and later: `ferry kratos-config --kratos-version 25.4 --merge FILE`"
	switch {
	case body == "" && e.Settings.ForwardClientIP:
		return warn(fix+", with --client-ip-header", "the migration hook has no template in the file, so ferry never learns the person's address, and FERRY_AUTH0_FORWARD_CLIENT_IP does nothing")
	case body == "" && known:
		return warn(fix, "the migration hook has no template in the file, and the Kratos that runs takes one: without it ferry has to find the identity by what was typed, and learns neither the person's address nor which login it is")
	case body == "":
		return ok("the migration hook has no template: ferry gets identifier and password, which is enough, and all that Kratos 1.3.1 can do")
	}
	p := probe{"person@kratos.invalid", "a made-up password", e.ID(), e.ID()}
	out, err := e.templateBody(body, p)
	switch {
	case errors.Is(err, errElsewhere):
		return unreadTemplate("the migration hook", body)
	case err != nil:
		return fail(fix, "the template of the migration hook cannot be used, logins of pending people end in an error: %v", err)
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
		return fail(fix, "the template of the migration hook does not pass on identifier and password as they are: ferry refuses the call")
	case strings.Contains(string(out), canary):
		return fail(fix, "the template of the migration hook passes on cookies, tokens or traits of the person, which ferry does not want to have")
	case e.Settings.ForwardClientIP && made.Client.IP == "":
		return fail(fix+", with --client-ip-header NAME", "the template of the migration hook passes no address on, so FERRY_AUTH0_FORWARD_CLIENT_IP does nothing")
	case made.Identity.ID != p.identityID:
		return warn(fix, "the template of the migration hook does not say which identity logs in")
	}
	return ok("the template of the migration hook passes on what ferry needs, and nothing else")
}

// checkNoTemplate sees that there is none for a Kratos that takes none.
func (e *doctor) checkNoTemplate() Check {
	switch {
	case e.config.get(wiring.MigrateHookKeys("config", "body")...) != nil:
		return fail("take the body out of "+strings.Join(wiring.MigrateHookKeys("config"), ".")+"; `ferry kratos-config --kratos-version 1.3.1 --merge FILE` names its line",
			"the migration hook has a template, and the Kratos that runs takes none: 1.3.1 does not start with this file")
	case e.Settings.ForwardClientIP:
		return warn(fixAddress, "this Kratos takes no template for the migration hook, so ferry never learns the person's address, and FERRY_AUTH0_FORWARD_CLIENT_IP does nothing")
	}
	return ok("the migration hook has no template: ferry gets identifier and password, which is enough, and all that this Kratos can do")
}

// unreadTemplate is a template that cannot be looked at.
func unreadTemplate(hook, body string) Check {
	name, ok := strings.CutPrefix(body, inFile)
	if !ok || unresolved(body) {
		return skipped("the template of " + hook + " is elsewhere, and not looked at: keep it the same as ferry's")
	}
	return warn("run doctor where Kratos runs, or keep the file beside kratos.yml; or take the line out: "+fixMerge+" inline",
		"the template of %s is in the file %s, which cannot be read here: without it, logins end in an error", hook, plain(name))
}

// checkAfterTemplate runs the template of the hook after a login on a made-up one.
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
		return fail(fixMerge, "the template of %s cannot be used, and Kratos tells ferry of no login: %v", hook, err)
	case strings.Contains(string(out), canary):
		return fail(fixMerge, "the template of %s passes on cookies, tokens or traits of the person, which ferry does not want to have", hook)
	case strictjson.Unmarshal(out, &made) != nil || made.Identity.ID != p.identityID:
		return fail(fixMerge, "the template of %s does not say which identity logged in: nothing of a profile is brought along", hook)
	}
	return ok("its template says who logged in")
}
