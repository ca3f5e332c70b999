package doctor

import "fmt"

// RequiresVerified reports whether Kratos, with the configuration given, lets only people
// with a verified address in after a login by the method: password or oidc.
func RequiresVerified(kratosConfig []byte, method string) (bool, error) {
	config, err := parseKratosConfig(kratosConfig)
	if err != nil {
		return false, fmt.Errorf("read Kratos' configuration: %w", err)
	}
	return config.requiresVerified(method), nil
}
