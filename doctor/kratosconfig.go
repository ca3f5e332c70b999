package doctor

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"ferry/secret"
	"ferry/transport"
	"ferry/wire"
	"ferry/wiring"
)

const (
	nameFile     = "kratos_config.file"
	nameHook     = "kratos_config.hook"
	nameURL      = "kratos_config.url"
	nameKey      = "kratos_config.key"
	nameTemplate = "kratos_config.template"
	nameAfter    = "kratos_config.after_login"
	nameResponse = "kratos_config.response"
	nameClients  = "kratos_config.clients_http"
	nameShadowed = "kratos_config.global_hooks"
	nameLog      = "kratos_config.log"
)

const fixMerge = "`ferry kratos-config --merge FILE` adds it"

// kratosConfig checks kratos.yml. A missing key is a warning, because Kratos' environment
// may set it. Only a file without a migration hook is a fault.
func (e *doctor) kratosConfig(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	names := []string{nameHook, nameURL, nameKey, nameTemplate, nameAfter, nameResponse, nameShadowed, nameClients, nameLog, nameRelyingParty, nameBridge, nameSignUp, nameProviders}
	if e.KratosConfig == nil {
		s.skip("give Kratos' configuration with --kratos-config FILE", append([]string{nameFile}, names...)...)
		return s.checks
	}
	if !s.run(ctx, nameFile, func(context.Context) Check {
		if e.configFault != nil {
			return fail("give the kratos.yml that Kratos runs with, in YAML or JSON; convert TOML first (Kratos reads all three)", "the file of --kratos-config cannot be used: %v", e.configFault)
		}
		if e.KratosConfigMode&0o004 != 0 && e.config.holdsKey() {
			return warn("remove the permission: chmod o-r FILE", "every user of this machine can read the file, which contains ferry's key")
		}
		return ok("it can be read; what Kratos takes from its environment is not in it")
	}) {
		s.skip("the file cannot be read", names...)
		return s.checks
	}
	for i, check := range []func() Check{
		e.checkHook, e.checkURL, e.checkKey, func() Check { return e.checkTemplate(ctx) }, e.checkAfterLogin, e.checkResponse, e.checkShadowed, e.checkClients, e.checkLog, e.checkRelyingParty, e.checkBridge, e.checkSignUp, func() Check { return e.checkProviders(ctx) },
	} {
		s.run(ctx, names[i], func(context.Context) Check { return check() })
	}
	return s.checks
}

func (e *doctor) checkHook() Check {
	enabled := e.config.get(wiring.MigrateHookKeys("enabled")...)
	switch {
	case e.config.get("selfservice", "methods", "password", "enabled") == false:
		return fail("set selfservice.methods.password.enabled to true", "password logins are switched off in Kratos: no user can migrate")
	case enabled == false:
		return fail("set "+strings.Join(wiring.MigrateHookKeys("enabled"), ".")+" to true; "+fixMerge,
			"the migration hook is switched off: logins of pending identities fail with a 500")
	case e.config.get(wiring.MigrateHookKeys()...) == nil:
		return fail(fixMerge+"; if Kratos' environment sets all of it, "+wiring.Variable(wiring.MigrateHookKeys("enabled")...)+" and the others, ignore this",
			"the migration hook is not in the file: without it, logins of pending identities fail with a 500")
	case enabled == nil:
		return warn("make sure that Kratos has "+wiring.Variable(wiring.MigrateHookKeys("enabled")...)+"=true in its environment, or add it to the file; "+fixMerge,
			"the file does not switch the migration hook on: while it is off, logins of pending identities fail with a 500")
	case enabled != true:
		return warn("write true", "the file does not say whether the migration hook is on")
	}
	return ok("the migration hook is on")
}

func (e *doctor) checkURL() Check {
	address := e.config.migration().url
	u, err := url.Parse(address)
	switch {
	case address == "":
		return warn("make sure that Kratos has "+wiring.Variable(wiring.MigrateHookKeys("config", "url")...)+" in its environment, or add it to the file; "+fixMerge, "the migration hook has no url in the file")
	case unresolved(address):
		return warn("run doctor with the file that Kratos reads", "the hook's url contains a variable: it cannot be checked")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fail("write http://HOST:PORT"+wire.MigrationPath+", or https", "the hook's url is not valid")
	case strings.TrimRight(u.Path, "/") != wire.MigrationPath || u.Path != wire.MigrationPath:
		return fail("make its path "+wire.MigrationPath, "the migration hook calls %s, which is not a path of ferry: logins of pending identities fail with a 502", shown(address))
	case e.config.migration().method != "" && e.config.migration().method != "POST":
		return fail("set the method to POST", "the method of the migration hook is not POST: Kratos does not start with it")
	case u.Scheme == "http" && !transport.IsLoopback(u.Hostname()):
		return warn("give ferry a certificate (FERRY_TLS_CERT_FILE) and the hook an https url, or use a mesh that encrypts the traffic",
			"the migration hook calls %s in plain HTTP: passwords and the key are sent in clear text", shown(address))
	}
	return ok("the migration hook calls %s", shown(address))
}

func (e *doctor) checkKey() Check {
	if e.config.get(wiring.MigrateHookKeys("config")...) == nil {
		return warn(fixMerge, "the migration hook and its key are not in the file")
	}
	return e.keyOf(e.config.migration(), "the migration hook", "logins of pending identities fail with a 502")
}

// keyOf checks the key that a hook sends.
func (e *doctor) keyOf(c call, hook, consequence string) Check {
	text := func(name string) string {
		text, _ := lookup(c.auth, "config", name).(string)
		return text
	}
	kind, _ := lookup(c.auth, "type").(string)
	presented := text("password")
	if kind == "api_key" {
		var bearer bool
		presented, bearer = strings.CutPrefix(text("value"), "Bearer ")
		switch {
		case text("in") == "cookie", !strings.EqualFold(text("name"), "Authorization"):
			return fail("set auth.config to name: Authorization, in: header; "+fixMerge,
				"%s sends its key where ferry does not read it, and Kratos writes it to its log in clear text: %s", hook, consequence)
		case unresolved(text("value")):
			return warn("run doctor with the file that Kratos reads", "the key of %s is a variable: it cannot be compared", hook)
		case !bearer:
			return fail(`write "Bearer ", followed by the key; `+fixMerge, "%s sends its key without the word Bearer: %s", hook, consequence)
		}
	}
	switch {
	case kind == "":
		return fail("add the key to auth; "+fixMerge, "%s sends no key: ferry refuses it, %s", hook, consequence)
	case kind != "api_key" && kind != "basic_auth":
		return fail("use auth.type: api_key; "+fixMerge, "%s authenticates in a way that ferry does not support: %s", hook, consequence)
	case len(e.Settings.HookKeys) == 0:
		return warn("set FERRY_HOOK_KEYS for doctor too", "the key of %s cannot be compared: FERRY_HOOK_KEYS is not set here", hook)
	case unresolved(presented):
		return warn("run doctor with the file that Kratos reads", "the key of %s is a variable: it cannot be compared", hook)
	case !slices.ContainsFunc(e.Settings.HookKeys, func(key secret.String) bool { return key.Equal(secret.New(presented)) }):
		return fail("use the same key in both: kratos.yml has a key of FERRY_HOOK_KEYS after \"Bearer \"; "+fixMerge,
			"the key that %s sends is not in FERRY_HOOK_KEYS: ferry refuses it, %s", hook, consequence)
	}
	return ok("%s sends a key of FERRY_HOOK_KEYS in a header that Kratos does not log", hook)
}

func (e *doctor) checkAfterLogin() Check {
	hooks := e.config.afterLogin()
	ours := ferrys(hooks)
	switch {
	case len(ours) == 0 && len(ferrys(e.config.list(wiring.AfterLoginKeys("hooks")...))) > 0:
		return fail("move ferry's web_hook into login.after.password.hooks",
			"ferry's hook is in login.after.hooks, which do not run if login.after.password.hooks exist: ferry writes no profiles")
	case len(ours) == 0:
		return warn(fixMerge, "Kratos does not tell ferry who logged in: passwords migrate, but profiles do not")
	case len(ours) > 1:
		return warn("keep one of them", "Kratos calls ferry %d times after a login", len(ours))
	case ours[0].body == "":
		return fail(fixMerge, "ferry's hook after a login has no body: Kratos fails the login")
	}
	if e.config.endsEarly() {
		return warn("move ferry's web_hook to the top of login.after.password.hooks",
			requireVerified+" runs before ferry's hook: ferry does not learn of the migration of users without a verified address, and does not mark addresses as verified that Auth0 has verified since the import")
	}
	key := e.keyOf(ours[0], "the hook after a login", "ferry writes no profiles")
	if key.Status != OK {
		return key
	}
	if template := e.checkAfterTemplate(ours[0].body); template.Status != OK {
		return template
	}
	return key
}

func (e *doctor) checkResponse() Check {
	hooks := e.config.afterLogin()
	ours := ferrys(hooks)
	const fix = "set response: {ignore: true}; `ferry kratos-config --merge FILE --response ignore`"
	if len(ours) == 0 {
		return skipped("ferry has no hook after a login")
	}
	c := ours[0]
	switch {
	case c.interrupts == true:
		return fail(fix+", and remove can_interrupt", "ferry's hook after a login may interrupt it (can_interrupt): logins fail while ferry is down")
	case lookup(c.response, "ignore") == true:
		return ok("Kratos does not wait for ferry after a login")
	case lookup(c.response, "parse") == true:
		return warn(fix+", unless your pages need the profile immediately", "Kratos waits for ferry after every login (parse): while ferry is down, password logins fail")
	}
	return fail(fix, "Kratos waits for ferry after every login, and the login fails if ferry does")
}

func (e *doctor) checkShadowed() Check {
	own, global := e.config.list(wiring.AfterLoginKeys("password", "hooks")...), e.config.list(wiring.AfterLoginKeys("hooks")...)
	if len(own) == 0 {
		return ok("no list of hooks replaces another")
	}
	if hidden := others(global, own); len(hidden) > 0 {
		return fail("copy them to login.after.password.hooks, after ferry's hook; `ferry kratos-config --merge FILE` does so if that list has only ferry's hook",
			"login.after.hooks has %s, which do not run after a login with a password, because login.after.password.hooks replaces them", strings.Join(hidden, ", "))
	}
	return ok("no hook of login.after.hooks is replaced")
}

// checkClients checks whether Kratos' address filter allows the hooks.
func (e *doctor) checkClients() Check {
	address := e.config.migration().url
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || unresolved(address) {
		return skipped("the hook's url is not in the file")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	named := err != nil
	if !named && wiring.NeverCalled(ip.Unmap()) {
		return fail("give ferry an address in 10/8, 172.16/12, 192.168/16 or fc00::/7, or a public one",
			"Kratos never calls %s: its settings cannot allow 0.0.0.0 or 100.64.0.0/10. This looks like an outage of ferry, a 502 after three seconds", ip)
	}
	local := transport.IsLoopback(u.Hostname()) || !named && (ip.IsPrivate() || ip.IsLinkLocalUnicast())
	if e.config.get("clients", "http", "disallow_private_ip_ranges") != true || !named && !local {
		return ok("clients.http allows the hook")
	}
	addresses := []string{address}
	hooks := e.config.afterLogin()
	for _, c := range append(ferrys(hooks), e.config.signUps()...) {
		if !slices.Contains(addresses, c.url) {
			addresses = append(addresses, c.url)
		}
	}
	excepted := e.config.list("clients", "http", "private_ip_exception_urls")
	missing := slices.DeleteFunc(addresses, func(one string) bool { return wiring.Excepted(excepted, one) })
	if len(missing) == 0 {
		return ok("clients.http lists the hooks as exceptions")
	}
	for i := range missing {
		missing[i] = wiring.Exception(shown(missing[i]))
	}
	fix := "add to clients.http.private_ip_exception_urls: " + strings.Join(missing, ", ")
	if !local {
		return warn(fix, "clients.http.disallow_private_ip_ranges is true: if %s is a private address, Kratos does not call it", plain(u.Hostname()))
	}
	return fail(fix, "clients.http.disallow_private_ip_ranges is true: Kratos does not call ferry. This looks like an outage of ferry, a 502 after three seconds")
}

func (e *doctor) checkLog() Check {
	level := e.config.text("log", "level")
	switch {
	case e.config.get("log", "leak_sensitive_values") == true:
		return warn("set log.leak_sensitive_values to false", "Kratos writes tokens and identifiers to its log")
	case slices.Contains([]string{"trace", "debug", "info"}, level), level == "":
		return warn("set log.level to warning", "at log.level info, the default, Kratos writes the identifiers that ferry looks up to its log")
	}
	return ok("Kratos' log contains no identifiers")
}
