package doctor

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"ferry/doctor"
	"ferry/mapping"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wire"
	"ferry/wiring"
)

// wrong is what doctor must report about a broken set-up.
type wrong struct {
	check       string
	status      doctor.Status
	detail, fix string
}

// brokenSetUps returns set-ups with one fault each.
func brokenSetUps() map[string]struct {
	breaks func(*setup)
	want   wrong
} {
	type broken = struct {
		breaks func(*setup)
		want   wrong
	}
	return map[string]broken{
		"an invalid setting": {func(u *setup) {
			u.opts.Settings.Faults = []doctor.Fault{{Name: "FERRY_HOOK_KEYS", Problem: "is not set"}}
		}, wrong{"settings", doctor.Fail, "FERRY_HOOK_KEYS is not set", "`ferry config`"}},
		"passwords too long for bcrypt": {
			func(u *setup) { u.opts.Settings.MaxPasswordBytes = 100 },
			wrong{"settings.password_length", doctor.Fail, "supports 72", "argon2"},
		},
		"failed logins forgotten at a restart": {
			func(u *setup) { u.opts.Settings.SuspiciousIPAttempts, u.opts.Settings.ForwardClientIP = 100, false },
			wrong{"limits.own_address", doctor.Warn, "after 95 failed logins a day", "FERRY_DATA_DIR"},
		},
		"ferry stops after Auth0's brute-force threshold": {
			func(u *setup) { u.opts.Settings.BruteForceAttempts = 11 },
			wrong{"management.brute_force", doctor.Fail, "ferry stops after 10 only", "FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=10"},
		},
		"ferry stops after suspicious-IP throttling": {
			func(u *setup) { u.opts.Settings.SuspiciousIPAttempts, u.opts.Settings.DataDir = 101, "data" },
			wrong{"management.suspicious_ip", doctor.Fail, "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS is 101", "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=100"},
		},
		"no such host": {
			func(u *setup) { u.baseURL = "https://tenant.ferry-doctor.invalid" },
			wrong{"auth0.dns", doctor.Fail, "has no address", "FERRY_AUTH0_DOMAIN"},
		},
		"nothing listens for Auth0": {
			func(u *setup) { u.baseURL = "http://" + closedPort(u.t) },
			wrong{"auth0.dns", doctor.Fail, "accepts no connection (dial)", "firewall"},
		},
		"an untrusted certificate": {func(u *setup) {
			srv := httptest.NewTLSServer(http.NotFoundHandler())
			u.t.Cleanup(srv.Close)
			u.baseURL = srv.URL
		}, wrong{"auth0.tls", doctor.Fail, "not trusted", "certificate authority"}},
		"another domain": {
			func(u *setup) { u.opts.Settings.Issuer = "https://other.auth0.test/" },
			wrong{"auth0.issuer", doctor.Fail, "garbled", "FERRY_AUTH0_DOMAIN"},
		},
		"an outage": {
			func(u *setup) {
				u.fault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Path: auth0sim.AnyPath, Status: 503})
			},
			wrong{"auth0.issuer", doctor.Warn, "cannot be read now", "status.auth0.com"},
		},
		"keys that cannot be read now": {
			func(u *setup) {
				u.fault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Path: "/.well-known/jwks.json", Status: 429})
			},
			wrong{"auth0.keys", doctor.Warn, "cannot be read now", "again"},
		},
		"a clock that is off": {func(u *setup) {
			u.opts.Now = func() time.Time { return time.Now().Add(6 * time.Minute) }
		}, wrong{"auth0.clock", doctor.Fail, "differ by", "NTP"}},
		"a clock that drifts": {func(u *setup) {
			u.opts.Now = func() time.Time { return time.Now().Add(-2 * time.Minute) }
		}, wrong{"auth0.clock", doctor.Warn, "differ by", "NTP"}},
		"no keys": {
			func(u *setup) { u.fault(auth0sim.Fault{Name: auth0sim.FaultJWKSEmpty}) },
			wrong{"auth0.keys", doctor.Fail, "no RSA signing key", "jwks.json"},
		},
		"a wrong secret": {
			func(u *setup) { u.secret = "canary-wrong" },
			wrong{"auth0.grant", doctor.Fail, "credentials", "FERRY_AUTH0_CLIENT_SECRET"},
		},
		"an unknown client": {
			func(u *setup) { u.client = "do not use" },
			wrong{"auth0.grant", doctor.Fail, "no application with the id", "FERRY_AUTH0_CLIENT_ID"},
		},
		"a grant that is off": {
			func(u *setup) { u.client = "no-grant" },
			wrong{"auth0.grant", doctor.Fail, "may not use the grant", "switch on Password"},
		},
		"a grant that is off, as the tenant has it": {
			func(u *setup) { u.client = "no-grant" },
			wrong{"management.grants", doctor.Fail, "may not use the grant", "switch on Password"},
		},
		"a third-party application": {
			func(u *setup) { u.client = "third-party" },
			wrong{"management.grants", doctor.Fail, "third-party", "first-party"},
		},
		"a third-party application, asked": {
			func(u *setup) { u.client = "third-party" },
			wrong{"auth0.grant", doctor.Fail, "may not use the grant", "first-party"},
		},
		"a realm that is not enabled, as the tenant has it": {
			func(u *setup) { u.client = "narrow" },
			wrong{"management.realms", doctor.Fail, users + " is not enabled for the application", "switch ferry's application on"},
		},
		"a realm that is not there": {
			func(u *setup) { u.realms = []string{"Users"} },
			wrong{"auth0.grant", doctor.Fail, "does not exist", "FERRY_AUTH0_REALMS"},
		},
		"a second realm that is not there": {
			func(u *setup) { u.realms = []string{users, "Users"} },
			wrong{"management.realms", doctor.Fail, "Users does not exist", "FERRY_AUTH0_REALMS"},
		},
		"a realm without passwords": {
			func(u *setup) { u.realms = []string{users, saml} },
			wrong{"management.realms", doctor.Fail, "has no passwords", "FERRY_AUTH0_REALMS"},
		},
		"a realm that is not enabled": {
			func(u *setup) { u.client = "narrow" },
			wrong{"auth0.grant", doctor.Fail, "not enabled", "switch ferry's application on"},
		},
		"no default directory": {
			func(u *setup) { u.realms = nil },
			wrong{"auth0.grant", doctor.Fail, "no default directory", "FERRY_AUTH0_REALMS"},
		},
		"no default directory, as the tenant has it": {
			func(u *setup) { u.realms = nil },
			wrong{"management.realms", doctor.Fail, "no default directory", "Default Directory"},
		},
		"a rate above Auth0's limit": {
			func(u *setup) {
				u.opts.Settings.RequestsPerSecond = 31
				u.fault(auth0sim.Fault{
					Name: auth0sim.FaultAnswer, Path: auth0sim.PathToken, Status: 403, Headers: map[string]string{"X-Ratelimit-Limit": "30"},
					Body: `{"error":"invalid_grant","error_description":"Wrong email or password."}`,
				})
			},
			wrong{"auth0.grant", doctor.Warn, "its rate limit is 30", "FERRY_AUTH0_REQUESTS_PER_SECOND below 30"},
		},
		"an unknown audience": {
			func(u *setup) { u.audience = "https://nothing.example" },
			wrong{"auth0.grant", doctor.Fail, "FERRY_AUTH0_AUDIENCE", "unset"},
		},
		"ID tokens of HS256": {
			func(u *setup) { u.client = "hs256" },
			wrong{"management.id_token_algorithm", doctor.Fail, "HS256", "RS256"},
		},
		"another way to authenticate": {
			func(u *setup) { u.client = "basic" },
			wrong{"management.client_auth", doctor.Fail, "client_secret_basic", "FERRY_AUTH0_CLIENT_AUTH"},
		},
		"an address that Auth0 does not believe": {
			func(u *setup) { u.withTemplate(); u.client = "distrusted" },
			wrong{"management.forwarded_ip", doctor.Fail, "100 wrong passwords a day", "Trust Token Endpoint IP Header"},
		},
		"one address for all users": {
			func(u *setup) { u.withTemplate(); u.opts.Settings.ForwardClientIP = false },
			wrong{"management.forwarded_ip", doctor.Fail, "the allow lists are empty", "FERRY_AUTH0_FORWARD_CLIENT_IP"},
		},
		"another address than the allow list's": {func(u *setup) {
			u.opts.Settings.ForwardClientIP = false
			u.opts.Egress = []netip.Addr{netip.MustParseAddr("203.0.113.9")}
			u.allow("203.0.113.0/29")
		}, wrong{"management.forwarded_ip", doctor.Fail, "not on the allow lists", "allow lists"}},
		"account lockout": {func(u *setup) {
			u.settings(func(s *auth0sim.Settings) { s.BruteForce.PerIdentifier = true })
		}, wrong{"management.brute_force", doctor.Warn, "lock an account for all addresses", "Account Lockout"}},
		"scopes that are missing": {
			func(u *setup) { u.machine = "weak" },
			wrong{"management.scopes", doctor.Fail, "lacks update:users", "read:clients"},
		},
		"an unknown machine application": {
			func(u *setup) { u.machine = "sound" },
			wrong{"management.token", doctor.Fail, "no token", "FERRY_AUTH0_MGMT_CLIENT_ID"},
		},
		"a machine application during an outage": {
			func(u *setup) { u.fault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: 503}) },
			wrong{"management.token", doctor.Warn, "token for the Management API now", "again"},
		},
		"no token": {
			func(u *setup) { u.fault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: 503}) },
			wrong{"management.realms", doctor.Skip, "no token", ""},
		},
		"no Kratos": {
			func(u *setup) { u.admin = "http://" + closedPort(u.t) },
			wrong{"kratos.admin", doctor.Fail, "does not answer", "FERRY_KRATOS_ADMIN_URL"},
		},
		"Kratos' public API": {
			func(u *setup) { u.admin = u.kratos.PublicURL() },
			wrong{"kratos.admin", doctor.Fail, "not Kratos' admin API", "4433"},
		},
		"a mapper that does not compile": {func(u *setup) {
			_, u.opts.MapperFault = mapping.Jsonnet("mapper.jsonnet", "{identity: {")
			u.opts.Mapper = nil
		}, wrong{"kratos.mapper", doctor.Fail, "mapper.jsonnet:1", "FERRY_MAPPER"}},
		"a mapper that fits no schema": {func(u *setup) {
			mapper, err := mapping.Jsonnet("mapper.jsonnet", "{identity: {traits: {email: 7}}}")
			if err != nil {
				u.t.Fatal(err)
			}
			u.opts.Mapper = func(*mapping.Schema) mapping.Mapper { return mapper }
		}, wrong{"kratos.mapper", doctor.Warn, "traits.email is number", "ferry map"}},
		"an identity without a binding": {func(u *setup) {
			u.person(u.t, "unbound", func(_ *auth0sim.User, i *kratostest.IdentitySpec) { i.MetadataAdmin = nil })
		}, wrong{"kratos.pending", doctor.Fail, "1 record no Auth0 user", "ferry rebind"}},
		"a connection that is not listed": {
			func(u *setup) { u.realms = []string{legacy} },
			wrong{"kratos.pending", doctor.Fail, "does not list", "FERRY_AUTH0_REALMS"},
		},
		"invalid YAML": {
			func(u *setup) { u.yml = "a: [" + hookKey },
			wrong{"kratos_config.file", doctor.Fail, "line 1", "TOML"},
		},
		"the hook is off": {
			func(u *setup) { u.edit("          enabled: true\n", "          enabled: false\n") },
			wrong{"kratos_config.hook", doctor.Fail, "fail with a 500", "ferry kratos-config"},
		},
		"no hook": {
			func(u *setup) { u.edit("        migrate_hook:\n", "        migrated_hook:\n") },
			wrong{"kratos_config.hook", doctor.Fail, "not in the file", "ferry kratos-config"},
		},
		"a hook without enabled": {
			func(u *setup) {
				u.edit("          enabled: true\n          config:\n            url", "          config:\n            url")
			},
			wrong{"kratos_config.hook", doctor.Warn, "does not switch", "MIGRATE_HOOK_ENABLED=true"},
		},
		"a proxy that redirects to Auth0": {
			func(u *setup) { u.fault(auth0sim.Fault{Name: auth0sim.FaultRedirect307, Path: "/oauth/token"}) },
			wrong{"auth0.grant", doctor.Fail, "ferry does not know Auth0's answer", "log"},
		},
		"a wrong path": {
			func(u *setup) { u.edit(wire.MigrationPath, "/migrate") },
			wrong{"kratos_config.url", doctor.Fail, "not a path of ferry", wire.MigrationPath},
		},
		"a wrong path, tried": {
			func(u *setup) { u.edit(wire.MigrationPath, "/migrate") },
			wrong{"hook.round_trip", doctor.Fail, "(404)", wire.MigrationPath},
		},
		"another key": {
			func(u *setup) { u.edit(hookKey, "canary-stale-key-0123456789abcdef012345") },
			wrong{"kratos_config.key", doctor.Fail, "not in FERRY_HOOK_KEYS", "Bearer"},
		},
		"another key than the running ferry's": {
			func(u *setup) { u.edit(hookKey, otherKey) },
			wrong{"hook.round_trip", doctor.Fail, "refuses the key (401)", "restart ferry"},
		},
		"a header that Kratos logs": {
			func(u *setup) { u.edit("name: Authorization", "name: X-Api-Key") },
			wrong{"kratos_config.key", doctor.Fail, "in clear", "Authorization"},
		},
		"a template that forwards everything": {func(u *setup) {
			u.withTemplate()
			u.edit(wiring.Base64(wiring.MigrateJsonnet("X-Our-Client")), wiring.Base64("function(ctx) ctx"))
		}, wrong{"kratos_config.template", doctor.Fail, "cookies", "ferry kratos-config"}},
		"a template without the address": {func(u *setup) {
			u.withTemplate()
			u.edit(wiring.Base64(wiring.MigrateJsonnet("X-Our-Client")), wiring.Base64(wiring.MigrateJsonnet("")))
		}, wrong{"kratos_config.template", doctor.Fail, "does not pass the client address on", "--client-ip-header"}},
		"a template that fails": {func(u *setup) {
			u.withTemplate()
			u.edit(wiring.Base64(wiring.MigrateJsonnet("X-Our-Client")), wiring.Base64("function(ctx) error ctx.password"))
		}, wrong{"kratos_config.template", doctor.Fail, "it fails", "ferry's own"}},
		"no hook after a login": {
			func(u *setup) { u.edit("            - hook: web_hook", "            - hook: other") },
			wrong{"kratos_config.after_login", doctor.Warn, "profiles do not", "ferry kratos-config"},
		},
		"a login that waits": {
			func(u *setup) { u.edit("ignore: true", "parse: true") },
			wrong{"kratos_config.response", doctor.Warn, "while ferry is down", "ignore"},
		},
		"a login that depends on ferry": {
			func(u *setup) { u.edit("ignore: true", "ignore: false") },
			wrong{"kratos_config.response", doctor.Fail, "waits for ferry", "ignore"},
		},
		"a shadowed hook": {func(u *setup) {
			u.edit("      after:\n        password:\n", "      after:\n        hooks:\n          - hook: require_verified_address\n        password:\n")
		}, wrong{"kratos_config.global_hooks", doctor.Fail, "require_verified_address", "login.after.password.hooks"}},
		"private addresses that Kratos does not call": {func(u *setup) {
			u.edit("disallow_private_ip_ranges: false", "disallow_private_ip_ranges: true")
		}, wrong{"kratos_config.clients_http", doctor.Fail, "does not call ferry", "private_ip_exception_urls"}},
		"an address that Kratos never calls": {
			func(u *setup) { u.edit(u.ferry.HooksURL(), "https://100.64.0.1:4480") },
			wrong{"kratos_config.clients_http", doctor.Fail, "never calls 100.64.0.1", "10/8"},
		},
		"plain HTTP across the network": {
			func(u *setup) { u.edit(u.ferry.HooksURL(), "http://ferry.invalid:4480") },
			wrong{"kratos_config.url", doctor.Warn, "in clear", "FERRY_TLS_CERT_FILE"},
		},
		"unverified addresses, require_verified_address": {func(u *setup) {
			u.person(u.t, "unverified", nil)
			u.edit("            - hook: web_hook", "            - hook: require_verified_address\n            - hook: web_hook")
		}, wrong{"kratos.unverified", doctor.Warn, "2 of 2 identities imported from Auth0 have no verified address. kratos.yml has require_verified_address", "verify"}},
		"a hook before ferry's that ends the login": {func(u *setup) {
			u.edit("            - hook: web_hook", "            - hook: require_verified_address\n            - hook: web_hook")
		}, wrong{"kratos_config.after_login", doctor.Warn, "runs before ferry's hook", "to the top"}},
		"unverified addresses, automatic account linking": {func(u *setup) {
			u.person(u.t, "linked", nil)
			u.edit("  methods:\n    password:\n", "  methods:\n    oidc:\n      config:\n        providers:\n          - {id: google, account_linking_mode: automatic}\n          - {id: apple}\n    password:\n")
		}, wrong{"kratos.unverified", doctor.Warn, "account_linking_mode of google is automatic", "confirm_with_existing_credential, or import with `ferry import --unverified skip`"}},
		"unverified addresses, on Ory Network": {func(u *setup) {
			u.person(u.t, "network", nil)
			u.noConfig, u.opts.Settings.OryNetwork = true, true
		}, wrong{"kratos.unverified", doctor.Warn, "Kratos is Ory Network", "`ory get identity-config`); `ferry import --unverified skip`"}},
		"a world-readable file with the key": {
			func(u *setup) { u.opts.KratosConfigMode = 0o644 },
			wrong{"kratos_config.file", doctor.Warn, "every user of this machine", "chmod o-r"},
		},
		"a log with identifiers": {
			func(u *setup) { u.edit("level: warning", "level: info") },
			wrong{"kratos_config.log", doctor.Warn, "identifiers", "warning"},
		},
		"passkeys of another domain": {
			func(u *setup) { u.passkeys("example.org") },
			wrong{"kratos_config.relying_party", doctor.Warn, "the passkeys of users are bound to sim.auth0.test, and Kratos' to example.org", "set selfservice.methods.passkey.config.rp.id"},
		},
		"passkeys of the domain above": {
			func(u *setup) { u.passkeys("Auth0.test") },
			wrong{"kratos_config.relying_party", doctor.Warn, "unless the custom domain at Auth0 has the relying party identifier Auth0.test", "Branding > Custom Domains"},
		},
		"passkeys of a domain that is Auth0's": {
			func(u *setup) { u.passkeys("example.org"); u.opts.Settings.Issuer = "https://tenant.eu.auth0.com/" },
			wrong{"kratos_config.relying_party", doctor.Warn, "enrolled at tenant.eu.auth0.com work only there", "add a new key"},
		},
		"passkeys of no domain": {
			func(u *setup) { u.passkeys("") },
			wrong{"kratos_config.relying_party", doctor.Warn, "passkey.config.rp.id is not in the file", "SELFSERVICE_METHODS_PASSKEY_CONFIG_RP_ID"},
		},
		"passkeys of a variable": {
			func(u *setup) { u.passkeys("${DOMAIN}") },
			wrong{"kratos_config.relying_party", doctor.Warn, "contains a variable", "the file that Kratos reads"},
		},
		"passkeys of Auth0's domain": {
			func(u *setup) { u.passkeys("Sim.auth0.test") },
			wrong{"kratos_config.relying_party", doctor.OK, "are bound to sim.auth0.test", ""},
		},
		"no ferry": {
			func(u *setup) { u.edit(u.ferry.HooksURL(), "http://"+closedPort(u.t)) },
			wrong{"hook.round_trip", doctor.Fail, "nothing listens", "ferry serve"},
		},
		"the admin listener": {
			func(u *setup) { u.edit(u.ferry.HooksURL(), u.ferry.AdminURL()) },
			wrong{"hook.round_trip", doctor.Fail, "(404)", "FERRY_ADMIN_LISTEN"},
		},
		"another server that matches every password": {func(u *setup) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"status":"password_match"}`))
			}))
			u.t.Cleanup(srv.Close)
			u.edit(u.ferry.HooksURL(), srv.URL)
		}, wrong{"hook.round_trip", doctor.Fail, "stores any password", "stop the server"}},
		"a closed migration": {func(u *setup) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"status":"closed"}`))
			}))
			u.t.Cleanup(srv.Close)
			u.edit(u.ferry.HooksURL(), srv.URL)
		}, wrong{"hook.round_trip", doctor.Warn, "the migration is closed", "FERRY_MIGRATION_CLOSED"}},
		"a ferry that is off": {func(u *setup) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusFailedDependency)
				_, _ = w.Write([]byte(`{"status":"paused"}`))
			}))
			u.t.Cleanup(srv.Close)
			u.edit(u.ferry.HooksURL(), srv.URL)
		}, wrong{"hook.round_trip", doctor.Warn, "ferry is off", "docs/modes.md"}},
		"a proxy that redirects": {func(u *setup) {
			srv := httptest.NewServer(http.RedirectHandler(u.ferry.HooksURL()+wire.MigrationPath, http.StatusTemporaryRedirect))
			u.t.Cleanup(srv.Close)
			u.edit(u.ferry.HooksURL(), srv.URL)
		}, wrong{"hook.round_trip", doctor.Fail, "redirects (307)", "ferry itself"}},
	}
}
