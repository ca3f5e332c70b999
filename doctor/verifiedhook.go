package doctor

import "fmt"

// LogsInByCode reports whether Kratos, with the configuration given, lets people log in by a
// code that it sends them.
func LogsInByCode(kratosConfig []byte) (bool, error) {
	config, err := parseKratosConfig(kratosConfig)
	if err != nil {
		return false, fmt.Errorf("read Kratos' configuration: %w", err)
	}
	return config.logsInByCode(), nil
}

// logsInByCode reports whether the login by a code is on. Kratos has it off by default, and
// the method itself on.
func (k *kratosConfig) logsInByCode() bool {
	return k.get("selfservice", "methods", "code", "enabled") != false && k.get("selfservice", "methods", "code", "passwordless_enabled") == true
}

// RequiresVerified reports whether Kratos, with the configuration given, lets only people
// with a verified address in after a login by the method: password or oidc.
func RequiresVerified(kratosConfig []byte, method string) (bool, error) {
	config, err := parseKratosConfig(kratosConfig)
	if err != nil {
		return false, fmt.Errorf("read Kratos' configuration: %w", err)
	}
	return config.requiresVerified(method), nil
}
