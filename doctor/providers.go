package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-jsonnet"

	"ferry/wiring"
)

const nameProviders = "kratos_config.providers"

// samlPrefix marks a SAML provider in FERRY_PROVIDERS. Those are not in the list of OIDC
// providers.
const samlPrefix = "saml:"

// socialProviders returns Kratos' OIDC providers by id, without the bridge.
func (e *doctor) socialProviders() map[string]any {
	byID := map[string]any{}
	for _, provider := range e.config.list(wiring.OIDCKeys("config", "providers")...) {
		if id, _ := lookup(provider, "id").(string); id != "" {
			byID[id] = provider
		}
	}
	bridge, _ := e.bridgeProvider()
	id, _ := lookup(bridge, "id").(string)
	delete(byID, id)
	return byID
}

// named returns the providers of FERRY_PROVIDERS: for each id at Kratos, the names that stand
// for it at Auth0.
func (e *doctor) named() map[string][]string {
	names := map[string][]string{}
	for _, from := range slices.Sorted(maps.Keys(e.Settings.Providers)) {
		if to := e.Settings.Providers[from]; !strings.HasPrefix(to, samlPrefix) {
			names[to] = append(names[to], from)
		}
	}
	return names
}

// checkProviders checks whether Kratos has the providers of FERRY_PROVIDERS and, if ferry looks
// up users who sign up, whether their mappers tell ferry who logged in.
func (e *doctor) checkProviders(ctx context.Context) Check {
	names, social := e.named(), e.socialProviders()
	var checks []Check
	for _, id := range slices.Sorted(maps.Keys(names)) {
		checks = append(checks, e.checkProvider(ctx, social, id, names[id]))
	}
	if len(checks) > 0 {
		if check := severest(checks); check.Status != OK {
			return check
		}
	}
	detail := "FERRY_PROVIDERS names no provider of Kratos"
	if len(checks) > 0 {
		detail = "Kratos has the providers of FERRY_PROVIDERS"
	}
	if silent := e.silentMappers(ctx, social, names); len(silent) > 0 {
		detail += "; the mapper of " + strings.Join(silent, ", ") + " does not pass on an Auth0 user id: ferry finds those users by the address alone"
	}
	return ok("%s", detail)
}

// silentMappers returns the providers that FERRY_PROVIDERS does not name and whose mappers pass
// on no Auth0 user id. Auth0 may not have them at all.
func (e *doctor) silentMappers(ctx context.Context, social map[string]any, names map[string][]string) []string {
	if !e.Settings.SignUp {
		return nil
	}
	var silent []string
	for _, id := range slices.Sorted(maps.Keys(social)) {
		mapper, _ := lookup(social[id], "mapper_url").(string)
		if made, err := e.socialIdentity(ctx, mapper); names[id] == nil && err == nil && made.Identity.Public.Auth0.UserID == "" {
			silent = append(silent, plain(id))
		}
	}
	return silent
}

func (e *doctor) checkProvider(ctx context.Context, social map[string]any, id string, names []string) Check {
	provider := social[id]
	switch {
	case provider == nil && len(e.config.list(wiring.OIDCKeys("config", "providers")...)) == 0:
		return warn("add the provider; if Kratos' environment sets "+wiring.Variable(wiring.OIDCKeys("config", "providers")...)+", ignore this",
			"FERRY_PROVIDERS names %s, and the file has no OIDC providers", plain(id))
	case provider == nil:
		return fail("add the provider to kratos.yml, or correct FERRY_PROVIDERS: AUTH0=KRATOS, the id of Kratos' provider on the right",
			"FERRY_PROVIDERS names %s, which is not a social provider in the file: the logins there that ferry gives to identities do not work", plain(id))
	case e.config.get(wiring.OIDCKeys("enabled")...) != true:
		return warn("set "+strings.Join(wiring.OIDCKeys("enabled"), ".")+" to true; if Kratos' environment sets it, ignore this", "the file does not switch on the logins at providers, such as %s", plain(id))
	case !e.Settings.SignUp:
		return ok("Kratos has the provider %s", plain(id))
	}
	mapper, _ := lookup(provider, "mapper_url").(string)
	return e.checkSocialMapper(ctx, mapper, id, names)
}

// checkSocialMapper evaluates the mapper with made-up claims: it must pass on the Auth0 user id
// of the login, in the place where ferry reads it.
func (e *doctor) checkSocialMapper(ctx context.Context, mapper, id string, names []string) Check {
	made, err := e.socialIdentity(ctx, mapper)
	want := make([]string, len(names))
	for i, name := range names {
		want[i] = name + "|" + sampleSocial
	}
	fix := "in the mapper, set identity.metadata_public to { auth0: { user_id: '" + plain(names[0]) + "|' + claims.sub } }, see docs/sign-up.md"
	switch passed := made.Identity.Public.Auth0.UserID; {
	case errors.Is(err, errElsewhere), errors.Is(err, errSample):
		return skipped("the mapper of the provider " + plain(id) + " was not checked: " + err.Error() + "; make sure that it passes on the Auth0 user id, see docs/sign-up.md")
	case err != nil:
		return fail("correct the mapper", "the mapper of the provider %s is not valid, and no one can sign up there: %v", plain(id), err)
	case passed == "":
		return warn(fix, "the mapper of the provider %s does not pass on the Auth0 user id: ferry finds those users by the address alone, and cannot bind them", plain(id))
	case !slices.Contains(want, passed):
		return fail(fix, "the mapper of the provider %s passes on %s for the subject %s: Auth0 has no such user, its id would be %s", plain(id), plain(passed), sampleSocial, plain(strings.Join(want, " or ")))
	}
	return ok("the mapper of the provider %s passes on the Auth0 user id", plain(id))
}

// sampleSocial is the subject of the made-up social login.
const sampleSocial = "doctor"

// sampleClaims returns what Kratos tells a mapper of the made-up social login.
func sampleClaims() string {
	return `{"iss": "https://provider.invalid", "sub": "` + sampleSocial + `", "name": "Kim Doe", "given_name": "Kim", "family_name": "Doe",
		"last_name": "Doe", "middle_name": "", "nickname": "kim", "preferred_username": "kim", "profile": "https://provider.invalid/kim",
		"picture": "https://provider.invalid/kim.png", "website": "", "email": "person@kratos.invalid", "email_verified": true, "gender": "",
		"birthdate": "", "zoneinfo": "Europe/Berlin", "locale": "en", "phone_number": "+4930901820", "phone_number_verified": true,
		"updated_at": 1700000000, "hd": "kratos.invalid", "team": "", "groups": [], "raw_claims": {"sub": "` + sampleSocial + `"}}`
}

// errSample reports a mapper that does not accept the made-up claims. It may accept others.
var errSample = errors.New("it fails for made-up claims")

// socialIdentity returns what a mapper makes of the made-up social login.
func (e *doctor) socialIdentity(ctx context.Context, mapper string) (made mapped, err error) {
	source, err := e.mapperSource(ctx, mapper)
	if err != nil {
		return made, err
	}
	if _, err := jsonnet.SnippetToAST("mapper", string(source)); err != nil {
		return made, errors.New("it is not Jsonnet")
	}
	vm := newVM()
	vm.ExtCode("claims", sampleClaims())
	out, err := vm.EvaluateAnonymousSnippet("mapper", string(source))
	if err != nil || len(out) > maxBodyLen || json.Unmarshal([]byte(out), &made) != nil {
		return mapped{}, errSample
	}
	return made, nil
}

// mapperSource returns the text of a mapper. One on a server is fetched, as Kratos does.
func (e *doctor) mapperSource(ctx context.Context, mapper string) ([]byte, error) {
	if unresolved(mapper) || !strings.HasPrefix(mapper, "http://") && !strings.HasPrefix(mapper, "https://") {
		return e.source(mapper)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, mapper, nil)
	if err != nil {
		return nil, errElsewhere
	}
	resp, err := e.Hooks.RoundTrip(req)
	if err != nil {
		return nil, errElsewhere
	}
	defer func() { _ = resp.Body.Close() }()
	source, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyLen))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, errElsewhere
	}
	return source, nil
}
