package doctor

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"ferry/secret"
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

const fixMerge = "`ferry kratos-config --merge FILE` puts it in"

// kratosConfig looks at kratos.yml. What is not in it may come from Kratos'
// environment, so it is a warning; only where nothing is there of the migration hook it
// is a fault.
func (e *doctor) kratosConfig(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	names := []string{nameHook, nameURL, nameKey, nameTemplate, nameAfter, nameResponse, nameShadowed, nameClients, nameLog}
	if e.KratosConfig == nil {
		s.skip("name Kratos' configuration with --kratos-config FILE", append([]string{nameFile}, names...)...)
		return s.checks
	}
	if !s.run(ctx, nameFile, func(context.Context) Check {
		if e.configFault != nil {
			return fail("name the kratos.yml that Kratos runs with, in YAML or JSON: TOML cannot be read, convert it (Kratos takes all three)", "the file of --kratos-config cannot be used: %v", e.configFault)
		}
		if e.KratosConfigMode&0o004 != 0 && e.config.holdsKey() {
			return warn("take the permission away: chmod o-r FILE", "every user of this machine can read the file, and ferry's key is in it")
		}
		return ok("it can be read; what Kratos takes from its environment is not in it")
	}) {
		s.skip("the file cannot be read", names...)
		return s.checks
	}
	for i, check := range []func() Check{
		e.checkHook, e.checkURL, e.checkKey, func() Check { return e.checkTemplate(ctx) }, e.checkAfterLogin, e.checkResponse, e.checkShadowed, e.checkClients, e.checkLog,
	} {
		s.run(ctx, names[i], func(context.Context) Check { return check() })
	}
	return s.checks
}

func (e *doctor) checkHook() Check {
	enabled := e.config.get(wiring.MigrateHookKeys("enabled")...)
	switch {
	case e.config.get("selfservice", "methods", "password", "enabled") == false:
		return fail("set selfservice.methods.password.enabled to true", "logins with a password are switched off in Kratos: nobody can cross")
	case enabled == false:
		return fail("set "+strings.Join(wiring.MigrateHookKeys("enabled"), ".")+" to true; "+fixMerge,
			"the migration hook is switched off: logins of pending people end in a 500")
	case e.config.get(wiring.MigrateHookKeys()...) == nil:
		return fail(fixMerge+"; where Kratos has all of it in its environment, "+wiring.Variable(wiring.MigrateHookKeys("enabled")...)+" and the others, this is no fault",
			"the migration hook is not in the file: without it, logins of pending people end in a 500")
	case enabled == nil:
		return warn("see that Kratos has "+wiring.Variable(wiring.MigrateHookKeys("enabled")...)+"=true in its environment, or put it into the file; "+fixMerge,
			"that the migration hook is on is not in the file: while it is off, logins of pending people end in a 500")
	case enabled != true:
		return warn("write true", "whether the migration hook is on cannot be told from the file")
	}
	return ok("the migration hook is on")
}

func (e *doctor) checkURL() Check {
	address := e.config.migration().url
	u, err := url.Parse(address)
	switch {
	case address == "":
		return warn("see that Kratos has "+wiring.Variable(wiring.MigrateHookKeys("config", "url")...)+" in its environment, or put it into the file; "+fixMerge, "the migration hook has no url in the file")
	case unresolved(address):
		return warn("run doctor with the file as Kratos gets it", "the hook's url is filled in later: it cannot be looked at")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fail("write http://HOST:PORT"+wiring.MigrationPath+", or https", "the hook's url is no URL that Kratos can call")
	case strings.TrimRight(u.Path, "/") != wiring.MigrationPath || u.Path != wiring.MigrationPath:
		return fail("make its path "+wiring.MigrationPath, "the migration hook calls %s, where ferry does not answer: logins of pending people end in a 502", shown(address))
	case e.config.migration().method != "" && e.config.migration().method != "POST":
		return fail("set the method to POST", "the migration hook is not sent by POST: Kratos does not start so")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return warn("give ferry a certificate (FERRY_TLS_CERT_FILE) and the hook an https url, or let a mesh encrypt what goes between them",
			"the migration hook calls %s in plain HTTP: passwords and the key cross the network in clear", shown(address))
	}
	return ok("the migration hook calls %s", shown(address))
}

// isLoopback reports whether a host can only be Kratos' own machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func (e *doctor) checkKey() Check {
	if e.config.get(wiring.MigrateHookKeys("config")...) == nil {
		return warn(fixMerge, "the migration hook is not in the file, nor the key that it sends")
	}
	return e.keyOf(e.config.migration(), "the migration hook", "logins of pending people end in a 502")
}

// keyOf looks at what a hook is called with.
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
				"%s sends its key where ferry does not look, and where Kratos writes it to its log in clear: %s", hook, consequence)
		case unresolved(text("value")):
			return warn("run doctor with the file as Kratos gets it", "the key of %s is filled in later: it cannot be compared", hook)
		case !bearer:
			return fail(`write "Bearer ", then the key; `+fixMerge, "%s sends its key without the word Bearer: %s", hook, consequence)
		}
	}
	switch {
	case kind == "":
		return fail("put the key into auth; "+fixMerge, "%s sends no key: ferry refuses it, %s", hook, consequence)
	case kind != "api_key" && kind != "basic_auth":
		return fail("use auth.type: api_key; "+fixMerge, "%s authenticates in a way that ferry does not know: %s", hook, consequence)
	case len(e.Settings.HookKeys) == 0:
		return warn("set FERRY_HOOK_KEYS for doctor too", "the key of %s cannot be compared: FERRY_HOOK_KEYS is not set here", hook)
	case unresolved(presented):
		return warn("run doctor with the file as Kratos gets it", "the key of %s is filled in later: it cannot be compared", hook)
	case !slices.ContainsFunc(e.Settings.HookKeys, func(key secret.String) bool { return key.Equal(secret.New(presented)) }):
		return fail("make both the same: the key of FERRY_HOOK_KEYS behind \"Bearer \" in kratos.yml; "+fixMerge,
			"the key that %s sends is none of FERRY_HOOK_KEYS: ferry refuses it, %s", hook, consequence)
	}
	return ok("%s sends a key of FERRY_HOOK_KEYS, where Kratos does not log it", hook)
}

func (e *doctor) checkAfterLogin() Check {
	hooks := e.config.afterLogin()
	ours := ferrys(hooks)
	switch {
	case len(ours) == 0 && len(ferrys(e.config.list(wiring.AfterLoginKeys("hooks")...))) > 0:
		return fail("move ferry's web_hook into login.after.password.hooks",
			"ferry's hook stands under login.after.hooks, which do not run where login.after.password.hooks are: nothing of a profile is brought along")
	case len(ours) == 0:
		return warn(fixMerge, "Kratos does not tell ferry who logged in: people cross, and nothing of their profile does")
	case len(ours) > 1:
		return warn("keep one", "Kratos tells ferry %d times who logged in", len(ours))
	case ours[0].body == "":
		return fail(fixMerge, "ferry's hook after a login has no body: Kratos fails the login over it")
	}
	if e.config.endsEarly() {
		return warn("move ferry's web_hook to the beginning of login.after.password.hooks",
			requireVerified+" runs before ferry's hook: ferry does not learn that somebody without a verified address has crossed, and does not mark an address that Auth0 has verified since the import")
	}
	key := e.keyOf(ours[0], "the hook after a login", "nothing of a profile is brought along")
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
		return skipped("there is no hook after a login")
	}
	c := ours[0]
	switch {
	case c.interrupts == true:
		return fail(fix+", and take can_interrupt out", "ferry's hook after a login may break it off (can_interrupt): people are kept out when ferry is down")
	case lookup(c.response, "ignore") == true:
		return ok("Kratos does not wait for ferry after a login")
	case lookup(c.response, "parse") == true:
		return warn(fix+", unless your pages need the profile at once", "Kratos waits for ferry after every login (parse): while ferry is down, nobody logs in with a password")
	}
	return fail(fix, "Kratos waits for ferry after every login, and fails the login where ferry does: nobody should be kept out for that")
}

func (e *doctor) checkShadowed() Check {
	own, global := e.config.list(wiring.AfterLoginKeys("password", "hooks")...), e.config.list(wiring.AfterLoginKeys("hooks")...)
	if len(own) == 0 {
		return ok("no list of hooks hides another")
	}
	if hidden := others(global, own); len(hidden) > 0 {
		return fail("copy them into login.after.password.hooks, behind ferry's hook; `ferry kratos-config --merge FILE` does so where that list is ferry's alone",
			"login.after.hooks has %s, which do not run after a login with a password, because login.after.password.hooks takes their place", strings.Join(hidden, ", "))
	}
	return ok("no hook of login.after.hooks is hidden")
}

// checkClients looks at which addresses Kratos calls at all.
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
			"Kratos never calls %s, under no setting: neither 0.0.0.0 nor 100.64.0.0/10. It looks like an outage of ferry, a 502 after three seconds", ip)
	}
	local := isLoopback(u.Hostname()) || !named && (ip.IsPrivate() || ip.IsLinkLocalUnicast())
	if e.config.get("clients", "http", "disallow_private_ip_ranges") != true || !named && !local {
		return ok("clients.http lets Kratos call the hook")
	}
	addresses := []string{address}
	hooks := e.config.afterLogin()
	for _, c := range ferrys(hooks) {
		addresses = append(addresses, c.url)
	}
	excepted := e.config.list("clients", "http", "private_ip_exception_urls")
	missing := slices.DeleteFunc(addresses, func(one string) bool { return wiring.Excepted(excepted, one) })
	if len(missing) == 0 {
		return ok("clients.http names the hooks as exceptions")
	}
	for i := range missing {
		missing[i] = wiring.Exception(shown(missing[i]))
	}
	fix := "add to clients.http.private_ip_exception_urls: " + strings.Join(missing, ", ")
	if !local {
		return warn(fix, "clients.http.disallow_private_ip_ranges is true: if %s is a private address, Kratos does not call it", plain(u.Hostname()))
	}
	return fail(fix, "clients.http.disallow_private_ip_ranges is true: Kratos does not call ferry, it looks like an outage of ferry, a 502 after three seconds")
}

func (e *doctor) checkLog() Check {
	level := e.config.text("log", "level")
	switch {
	case e.config.get("log", "leak_sensitive_values") == true:
		return warn("set log.leak_sensitive_values to false", "Kratos writes tokens and identifiers to its log")
	case slices.Contains([]string{"trace", "debug", "info"}, level), level == "":
		return warn("set log.level to warning", "at log.level info, Kratos' default, it writes to its log the identifiers that ferry looks up")
	}
	return ok("Kratos' log holds no identifiers")
}
