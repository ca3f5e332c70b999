package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	nameHydraFile     = "hydra.config"
	nameHydraPKCE     = "hydra.pkce"
	nameHydraRotation = "hydra.rotation"
	nameHydraClaims   = "hydra.claims"
	// longestGrace is the longest grace period that Hydra accepts.
	longestGrace = 5 * time.Minute
	fixHydra     = "; `ferry hydra-config` prints it"
)

// hydraYML is a hydra.yml, or the same as JSON.
type hydraYML struct{ values map[string]any }

func (h hydraYML) get(path ...string) any { return lookup(h.values, path...) }

func (h hydraYML) text(path ...string) string {
	text, _ := h.get(path...).(string)
	return text
}

// hydraFile checks hydra.yml for what cannot be seen from outside.
func (e *doctor) hydraFile(ctx context.Context, s *checkGroup) {
	names := []string{nameHydraPKCE, nameHydraRotation, nameHydraClaims}
	if e.HydraConfig == nil {
		s.skip("it cannot be seen from outside; give Hydra's configuration with --hydra-config FILE", names...)
		return
	}
	var file hydraYML
	if !s.run(ctx, nameHydraFile, func(context.Context) (found Check) {
		file.values, found = readHydraYML(e.HydraConfig)
		return found
	}) {
		s.skip("the file cannot be read", names...)
		return
	}
	for i, check := range []func(hydraYML) Check{checkHydraPKCE, checkHydraRotation, checkHydraClaims} {
		s.run(ctx, names[i], func(context.Context) Check { return check(file) })
	}
}

func readHydraYML(text []byte) (map[string]any, Check) {
	values, err := parseYAML(text)
	if err != nil {
		return nil, fail("give the hydra.yml that Hydra runs with, in YAML or JSON; convert TOML first (Hydra reads all three)", "the file of --hydra-config cannot be used: %v", err)
	}
	return values, ok("it can be read; what Hydra takes from its environment is not in it")
}

// checkHydraPKCE checks that a stolen code of an application without a secret is worth nothing.
func checkHydraPKCE(file hydraYML) Check {
	if file.get("oauth2", "pkce", "enforced") == true || file.get("oauth2", "pkce", "enforced_for_public_clients") == true {
		return ok("public clients need PKCE")
	}
	return warn("set oauth2.pkce.enforced_for_public_clients to true"+fixHydra+"; if Hydra's environment sets it, ignore this",
		"Hydra accepts authorization codes of public clients without PKCE, as Auth0 does: whoever intercepts a code gets the tokens")
}

// checkHydraRotation checks how long a refresh token may be used again. Hydra always rotates.
func checkHydraRotation(file hydraYML) Check {
	const fix = "set oauth2.grant.refresh_token.rotation_grace_period to 30s or what the applications had as leeway at Auth0" + fixHydra
	text := file.text("oauth2", "grant", "refresh_token", "rotation_grace_period")
	grace, err := time.ParseDuration(text)
	switch {
	case unresolved(text):
		return skipped("the grace period is a variable: run doctor with the file that Hydra reads")
	case text != "" && err != nil:
		return fail(fix, "oauth2.grant.refresh_token.rotation_grace_period is not a duration such as 30s")
	case grace <= 0:
		return warn(fix+"; if Hydra's environment sets it, ignore this", "there is no grace period for rotated refresh tokens: an application that refreshes twice at once, or loses an answer, loses its session")
	case grace > longestGrace:
		return warn(fix, "the grace period for rotated refresh tokens is %s, and Hydra allows 5m at most", grace)
	}
	return ok("a rotated refresh token is valid for another %s", grace)
}

// checkHydraClaims checks whether access tokens look like Auth0's.
func checkHydraClaims(file hydraYML) Check {
	var differs, fixes []string
	if scope := file.text("strategies", "jwt", "scope_claim"); scope != "string" && scope != "both" {
		differs = append(differs, "JWT access tokens have no claim scope, as Auth0's have, but scp")
		fixes = append(fixes, "set strategies.jwt.scope_claim to both")
	}
	var lifted []string
	list, _ := file.get("oauth2", "allowed_top_level_claims").([]any)
	for _, one := range list {
		lifted = append(lifted, fmt.Sprint(one))
	}
	if len(lifted) == 0 {
		differs = append(differs, "claims such as permissions are below ext, and not at top level")
		fixes = append(fixes, "list the claims that your APIs read in oauth2.allowed_top_level_claims")
	}
	mirrored := file.get("oauth2", "mirror_top_level_claims") != false
	switch {
	case len(differs) > 0:
		return warn(strings.Join(fixes, "; ")+fixHydra+"; if your APIs read no such claims, or Hydra's environment sets it, ignore this", "%s", strings.Join(differs, "; "))
	case !mirrored:
		return ok("access tokens have scope, and at top level %s; claims that are not listed are dropped", plain(strings.Join(lifted, ", ")))
	}
	return ok("access tokens have scope, and at top level %s", plain(strings.Join(lifted, ", ")))
}
