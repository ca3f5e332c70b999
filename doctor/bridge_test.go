package doctor_test

import (
	"strings"
	"testing"

	"ferry/doctor"
	"ferry/wiring"
)

// TestBridge: the provider of Kratos that is the tenant is on, has a client and asks for the
// subject, and its mapper binds by it. The callback that Auth0 must allow is told.
func TestBridge(t *testing.T) {
	t.Parallel()
	ferrys := wiring.Base64(wiring.BridgeJsonnet())
	jsonnet := func(text string) string { return wiring.Base64(text) }
	const good = "enabled: true, config: {providers: [{id: old, provider: auth0, issuer_url: 'https://tenant.example/', client_id: c, client_secret: s, scope: [openid, email], mapper_url: '%'}]}"
	for name, c := range map[string]struct {
		oidc, mapper string
		status       doctor.Status
		says         string
	}{
		"none":                      {"enabled: true", "", doctor.OK, "there is no bridge"},
		"another tenant":            {strings.Replace(good, "tenant.example", "other.example", 1), ferrys, doctor.OK, "there is no bridge"},
		"good":                      {good, ferrys, doctor.OK, "https://kratos.example/self-service/methods/oidc/callback/old"},
		"off":                       {strings.Replace(good, "enabled: true", "enabled: false", 1), ferrys, doctor.Warn, "does not switch on"},
		"no client":                 {strings.Replace(good, "client_id: c", "client_id: "+wiring.PlaceholderClientID, 1), ferrys, doctor.Fail, "has no client yet"},
		"no scope":                  {strings.Replace(good, "openid, ", "", 1), ferrys, doctor.Fail, "does not ask for openid"},
		"no binding":                {good, jsonnet("local claims = std.extVar('claims'); {identity: {traits: {email: claims.email}}}"), doctor.Fail, "does not record the Auth0 user id"},
		"another binding":           {good, jsonnet("local claims = std.extVar('claims'); {identity: {metadata_admin: {auth0: {user_id: claims.email}}}}"), doctor.Fail, "does not record the Auth0 user id"},
		"verified all the same":     {good, jsonnet("local claims = std.extVar('claims'); {identity: {metadata_admin: {auth0: {user_id: claims.sub}}, verified_addresses: [{via: 'email', value: claims.email}]}}"), doctor.Fail, "marks an address as verified"},
		"a mapper that fails":       {good, jsonnet("{"), doctor.Fail, "is not valid"},
		"a mapper that is not here": {good, "https://example.org/mapper.jsonnet", doctor.Skip, "was not checked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := hooked + "serve: {public: {base_url: 'https://kratos.example/'}}\n"
			text = strings.Replace(text, "methods: {", "methods: {oidc: {"+strings.Replace(c.oidc, "%", c.mapper, 1)+"}, ", 1)
			check := examined(t, text, func(o *doctor.Options) { o.Settings.Issuer = "https://tenant.example/" })["kratos_config.bridge"]
			if check.Status != c.status || !strings.Contains(check.Detail, c.says) {
				t.Errorf("%+v", check)
			}
		})
	}
}
