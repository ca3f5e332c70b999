package doctor

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/wiring"
)

const nameBridge = "kratos_config.bridge"

// bridgeProvider returns the OIDC provider of Kratos that is the tenant itself.
func (e *doctor) bridgeProvider() (provider any, found bool) {
	providers := e.config.list(wiring.OIDCKeys("config", "providers")...)
	i := slices.IndexFunc(providers, func(one any) bool {
		issuer, _ := lookup(one, "issuer_url").(string)
		return lookup(one, "provider") == "auth0" && (sameHost(issuer, e.Settings.Issuer) || sameHost(issuer, e.Settings.BaseURL))
	})
	if i < 0 {
		return nil, false
	}
	return providers[i], true
}

// sameHost reports whether two addresses have the same host.
func sameHost(a, b string) bool {
	first, err := url.Parse(a)
	second, err2 := url.Parse(b)
	return err == nil && err2 == nil && first.Host != "" && strings.EqualFold(first.Host, second.Host)
}

// bridgeID returns the id of that provider, or "".
func (e *doctor) bridgeID() string {
	provider, _ := e.bridgeProvider()
	id, _ := lookup(provider, "id").(string)
	if e.config.get(wiring.OIDCKeys("enabled")...) == false {
		return ""
	}
	return id
}

// checkBridge checks the provider of Kratos that is the tenant itself.
func (e *doctor) checkBridge() Check {
	provider, found := e.bridgeProvider()
	if !found {
		return ok("no provider of Kratos is the tenant: there is no bridge")
	}
	id, _ := lookup(provider, "id").(string)
	text := func(name string) string {
		text, _ := lookup(provider, name).(string)
		return text
	}
	fix := "`ferry kratos-config --merge FILE --bridge " + plain(id) + "`"
	scope, _ := lookup(provider, "scope").([]any)
	switch {
	case e.config.get(wiring.OIDCKeys("enabled")...) != true:
		return warn(fix+"; if Kratos' environment sets it, ignore this", "the file does not switch on the logins at providers: no one can log in over the bridge")
	case text("client_id") == wiring.PlaceholderClientID, text("client_secret") == wiring.PlaceholderClientSecret:
		return fail(fix+" with --bridge-client-id and --bridge-client-secret-file", "the provider %s has no client yet: Auth0 refuses the logins over the bridge", plain(id))
	case !slices.Contains(scope, any("openid")) || !slices.Contains(scope, any("email")):
		return fail("set its scope to [openid, email, profile]", "the provider %s does not ask for openid and email: Auth0 does not tell Kratos who the user is", plain(id))
	}
	if check := e.checkBridgeMapper(text("mapper_url"), id, fix); check.Status != OK {
		return check
	}
	public := e.config.text(wiring.OIDCKeys("config", "base_redirect_uri")...)
	if public == "" {
		public = e.config.text("serve", "public", "base_url")
	}
	if public == "" {
		public = "KRATOS' PUBLIC URL"
	}
	return ok("the provider %s is the bridge; its application at Auth0 must allow the callback URL %s, which doctor cannot see", plain(id), wiring.Bridge{ID: plain(id)}.Callback(plain(public)))
}

// sampleSubject is the subject of the made-up login over the bridge.
const sampleSubject = "auth0|doctor"

// checkBridgeMapper evaluates the mapper with made-up claims: it must bind by the subject, and
// must not call an address verified that Auth0 does not.
func (e *doctor) checkBridgeMapper(mapper, id, fix string) Check {
	made, err := e.bridgeIdentity(mapper)
	switch {
	case errors.Is(err, errElsewhere):
		return unreadMapper(id)
	case err != nil:
		return fail(fix, "the mapper of the provider %s is not valid, and users whom Kratos does not have cannot be registered over the bridge: %v", plain(id), err)
	case made.Identity.Admin.Auth0.UserID != sampleSubject:
		return fail("set metadata_admin: { auth0: { user_id: claims.sub } } in the mapper; "+fix+" if you have no other",
			"the mapper of the provider %s does not record the Auth0 user id: ferry does not know who was registered over the bridge", plain(id))
	case len(made.Identity.Verified) > 0:
		return fail("set verified_addresses only where claims.email_verified is true", "the mapper of the provider %s marks an address as verified that Auth0 did not verify", plain(id))
	}
	return ok("the mapper binds by the subject")
}

func unreadMapper(id string) Check {
	return skipped("the mapper of the provider " + plain(id) + " is not in the file, and was not checked: keep its metadata_admin the same as ferry's")
}

// mapped is what a mapper makes of a login, as far as doctor looks at it.
type mapped struct {
	Identity struct {
		Admin    auth0Metadata `json:"metadata_admin"`
		Public   auth0Metadata `json:"metadata_public"`
		Verified []any         `json:"verified_addresses"`
	} `json:"identity"`
}

// auth0Metadata is metadata with an Auth0 user id.
type auth0Metadata struct {
	Auth0 struct {
		UserID string `json:"user_id"`
	} `json:"auth0"`
}

// bridgeIdentity returns what the mapper makes of a made-up user.
func (e *doctor) bridgeIdentity(mapper string) (made mapped, err error) {
	source, err := e.source(mapper)
	if err != nil {
		return made, err
	}
	vm := newVM()
	vm.ExtCode("claims", `{"iss": "https://tenant.invalid/", "sub": "`+sampleSubject+`", "email": "person@kratos.invalid", "email_verified": false}`)
	out, err := vm.EvaluateAnonymousSnippet("mapper", string(source))
	if err != nil || len(out) > maxBodyLen || json.Unmarshal([]byte(out), &made) != nil {
		return made, errors.New("it fails")
	}
	return made, nil
}

// addBridge adds the bridge to what helps against the findings that it helps against, if the
// identity has a login there or can get one. Whom Auth0 itself blocks, it does not help.
func (q *userCheck) addBridge(r kratos.Record) {
	way := ""
	switch id := q.bridgeID(); {
	case r.HasBridge():
		way = "; or let the user log in over the bridge, at Auth0 (provider " + bridgeOf(r) + ")"
	case id != "":
		way = "; or give the identity a login at the bridge: `ferry import --bridge " + plain(id) + " --on-conflict update`"
	default:
		return
	}
	helps := []string{"second_factor", "no_password_at_auth0", "other_connection", "other_identifier", "not_pending", "auth0_grant"}
	for i := range q.out.Findings {
		if slices.Contains(helps, q.out.Findings[i].Name) {
			q.out.Findings[i].Fix += way
		}
	}
}

// bridgeOf returns the provider of the identity's login at the bridge.
func bridgeOf(r kratos.Record) string {
	i := slices.IndexFunc(r.Social, r.IsBridge)
	if i < 0 {
		return ""
	}
	name, _, _ := strings.Cut(r.Social[i], ":")
	return plain(name)
}
