package doctor

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"ferry/strictjson"
	"ferry/transport"
	"ferry/wire"
	"ferry/wiring"
)

const nameSignUp = "kratos_config.sign_up"

const (
	fixSignUp  = "`ferry kratos-config --merge FILE --sign-up`"
	signUpHook = "the hook after a registration"
)

// signUpMethods returns the methods with a list that may have ferry's after-registration hook.
func signUpMethods() []string { return []string{methodPassword, methodCode, methodOIDC} }

const (
	methodPassword = "password"
	methodCode     = "code"
	methodOIDC     = "oidc"
)

// signUps returns the calls of ferry's after-registration hook in all lists.
func (k *kratosConfig) signUps() []call {
	calls := callsOf(k.list(wiring.AfterRegistrationKeys("hooks")...), wire.AfterRegistrationPath)
	for _, method := range signUpMethods() {
		calls = append(calls, callsOf(k.list(wiring.AfterRegistrationKeys(method, "hooks")...), wire.AfterRegistrationPath)...)
	}
	return calls
}

// signsUpBy reports whether users can sign up by a method, as far as the file says.
func (k *kratosConfig) signsUpBy(method string) bool {
	switch {
	case k.get("selfservice", "flows", "registration", "enabled") == false:
		return false
	case method == methodPassword:
		return k.get("selfservice", "methods", methodPassword, "enabled") != false
	case method == methodCode:
		return k.logsInByCode()
	}
	return k.get(wiring.OIDCKeys("enabled")...) == true
}

// severest returns the first of the most severe checks. There must be at least one.
func severest(checks []Check) Check {
	rank := func(c Check) int { return slices.Index([]Status{OK, Skip, Warn, Fail}, c.Status) }
	return slices.MaxFunc(checks, func(a, b Check) int { return rank(a) - rank(b) })
}

// checkSignUp checks whether Kratos calls ferry before it stores a new identity, if ferry is
// set to look the user up, and does not call it in vain.
func (e *doctor) checkSignUp() Check {
	if !e.Settings.SignUp {
		if len(e.config.signUps()) == 0 {
			return ok("FERRY_SIGN_UP is not set, and Kratos does not call ferry at sign-ups")
		}
		return warn("set FERRY_SIGN_UP=true and restart ferry, or remove ferry's web_hook from the lists of hooks under registration.after",
			"Kratos calls ferry at each sign-up, but FERRY_SIGN_UP is not set: ferry looks up no one, and while it is down no one can sign up")
	}
	var checks []Check
	var methods []string
	for _, method := range signUpMethods() {
		if e.config.signsUpBy(method) {
			methods = append(methods, method)
			checks = append(checks, e.checkSignUpList(method))
		}
	}
	if len(methods) == 0 {
		return ok("kratos.yml lets no one sign up with a password, a code or a social login")
	}
	if check := severest(checks); check.Status != OK {
		return check
	}
	return ok("Kratos calls ferry before it stores the identity of a user who signs up by %s", strings.Join(methods, ", "))
}

// checkSignUpList checks the hook in the list of a method.
func (e *doctor) checkSignUpList(method string) Check {
	keys := wiring.AfterRegistrationKeys(method, "hooks")
	list := strings.Join(keys[2:], ".")
	hooks := e.config.list(keys...)
	ours := callsOf(hooks, wire.AfterRegistrationPath)
	switch {
	case len(ours) == 0 && len(callsOf(e.config.list(wiring.AfterRegistrationKeys("hooks")...), wire.AfterRegistrationPath)) > 0:
		return fail("remove it there; "+fixSignUp+" adds it to the lists of the methods",
			"ferry's hook is in registration.after.hooks: Kratos reads the answers of hooks only in the list of a method, and does not call it at sign-ups by %s", method)
	case len(ours) == 0:
		return fail(fixSignUp+" adds it",
			"FERRY_SIGN_UP is set, but %s does not have ferry's hook: a user of Auth0 who signs up by %s becomes a second user", list, method)
	case len(ours) > 1:
		return warn("keep one of them", "Kratos calls ferry %d times at a sign-up by %s", len(ours), method)
	}
	if check := e.checkSignUpCall(ours[0], list); check.Status != OK {
		return check
	}
	if name := blocksBefore(hooks); name != "" {
		return warn("make ferry's hook the first of "+list+"; "+fixSignUp+" moves it",
			"in %s, %s runs before ferry's hook and can end the sign-up: it is called for users whom Kratos then refuses because they exist", list, name)
	}
	return ok("%s has ferry's hook", list)
}

// blocksBefore returns the name of a hook before ferry's that Kratos calls before it stores the
// identity, and whose answer can end the sign-up; or "".
func blocksBefore(hooks []any) string {
	for _, hook := range hooks {
		if len(callsOf([]any{hook}, wire.AfterRegistrationPath)) > 0 {
			return ""
		}
		c := callOf(lookup(hook, "config"))
		if lookup(hook, "hook") == webHook && (c.interrupts == true || lookup(c.response, wiring.Parse) == true) {
			return "the web_hook to " + shown(c.url)
		}
	}
	return ""
}

// checkSignUpCall checks the configuration of ferry's hook in a list.
func (e *doctor) checkSignUpCall(c call, list string) Check {
	const refused = "Kratos refuses every sign-up"
	switch {
	case lookup(c.response, "ignore") == true && lookup(c.response, wiring.Parse) == true:
		return fail("remove ignore: true from response; "+fixSignUp, "ferry's hook in %s has both response.parse and response.ignore: %s", list, refused)
	case lookup(c.response, wiring.Parse) != true:
		return fail("set response: {parse: true}; "+fixSignUp, "ferry's hook in %s lacks response.parse: true: Kratos does not read ferry's answer before it stores the identity", list)
	case c.method != "" && c.method != "POST":
		return fail("set the method to POST", "the method of ferry's hook in %s is not POST: %s", list, refused)
	case c.body == "":
		return fail(fixSignUp, "ferry's hook in %s has no body: ferry looks up no one", list)
	}
	checks := []Check{e.checkSignUpURL(c.url, list), e.keyOf(c, signUpHook, refused), e.checkSignUpTemplate(c.body)}
	return severest(checks)
}

// checkSignUpURL checks the hook's address.
func (e *doctor) checkSignUpURL(address, list string) Check {
	if unresolved(address) {
		return warn("run doctor with the file that Kratos reads", "the url of ferry's hook in %s contains a variable: it cannot be checked", list)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != wire.AfterRegistrationPath {
		return fail("write http://HOST:PORT"+wire.AfterRegistrationPath+", or https", "ferry's hook in %s calls %s, which is not a path of ferry: Kratos refuses every sign-up", list, shown(address))
	}
	migration, err := url.Parse(e.config.migration().url)
	switch {
	case err == nil && migration.Host != "" && !sameServer(u, migration):
		return warn("give both hooks the address of ferry; "+fixSignUp, "ferry's hook in %s calls %s, and the migration hook %s: one of them may not be ferry", list, shown(address), shown(migration.String()))
	case u.Scheme == "http" && !transport.IsLoopback(u.Hostname()):
		return warn("give ferry a certificate (FERRY_TLS_CERT_FILE) and the hook an https url, or use a mesh that encrypts the traffic",
			"ferry's hook in %s calls %s in plain HTTP: addresses of users and the key are sent in clear text", list, shown(address))
	}
	return ok("it calls %s", shown(address))
}

// sampleProvider is the provider of the made-up social login.
const sampleProvider = "ferry-doctor"

// checkSignUpTemplate evaluates the template with a made-up social sign-up.
func (e *doctor) checkSignUpTemplate(body string) Check {
	const email = "person@kratos.invalid"
	id := e.ID()
	out, err := e.evaluate(body, map[string]any{
		"identity": map[string]any{
			"id": "00000000-0000-0000-0000-000000000000", "schema_id": "default", "state": "active", "traits": map[string]any{"email": email},
			"metadata_public":      map[string]any{"auth0": map[string]any{"user_id": sampleSubject}},
			"verifiable_addresses": []any{map[string]any{"id": id, "value": email, "via": "email", "verified": true, "status": "completed"}},
		},
		"flow":        map[string]any{"id": id, "type": "browser", "transient_payload": map[string]any{"note": canary}},
		"request_url": "https://kratos.invalid/self-service/methods/oidc/callback/" + sampleProvider + "?code=" + canary + "&state=" + canary,
	})
	var made struct {
		Identity struct {
			SchemaID string `json:"schema_id"`
			Traits   struct {
				Email string `json:"email"`
			} `json:"traits"`
			Public    auth0Metadata `json:"metadata_public"`
			Addresses []struct {
				Value string `json:"value"`
			} `json:"verifiable_addresses"`
		} `json:"identity"`
		Provider string `json:"provider"`
	}
	switch {
	case errors.Is(err, errElsewhere):
		return unreadTemplate(signUpHook, body)
	case err != nil:
		return fail(fixSignUp, "the template of %s is not valid, and Kratos refuses every sign-up: %v", signUpHook, err)
	case strings.Contains(string(out), canary):
		return fail(fixSignUp, "the template of %s passes on cookies or tokens of the user, which ferry must not get", signUpHook)
	case strictjson.Unmarshal(out, &made) != nil, made.Identity.SchemaID != "default", made.Identity.Traits.Email != email,
		len(made.Identity.Addresses) != 1 || made.Identity.Addresses[0].Value != email:
		return fail(fixSignUp, "the template of %s does not pass on schema, traits and addresses: ferry looks up no one", signUpHook)
	case made.Identity.Public.Auth0.UserID != sampleSubject, made.Provider != sampleProvider:
		return warn(fixSignUp, "the template of %s does not pass on metadata_public or the provider: ferry does not know who logged in at a provider", signUpHook)
	}
	return ok("its template passes on only what ferry needs")
}
