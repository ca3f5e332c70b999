package doctor

import (
	"fmt"
	"slices"
)

// requireVerified is Kratos' hook that lets only people with a verified address in.
const requireVerified = "require_verified_address"

// RequiresVerified reports whether Kratos, with the configuration given, lets only people
// with a verified address in after a login by the method: password or oidc.
func RequiresVerified(kratosConfig []byte, method string) (bool, error) {
	config, err := parseKratosConfig(kratosConfig)
	if err != nil {
		return false, fmt.Errorf("read Kratos' configuration: %w", err)
	}
	hooks := config.list(afterPath(method, "hooks")...)
	if len(hooks) == 0 {
		hooks = config.list(afterPath("hooks")...)
	}
	return slices.ContainsFunc(hooks, func(hook any) bool { return lookup(hook, "hook") == requireVerified }), nil
}
