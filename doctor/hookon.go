package doctor

import (
	"fmt"
	"strings"

	"ferry/wire"
	"ferry/wiring"
)

// HookOn reports whether a kratos.yml makes Kratos call ferry's migration hook. It looks at the
// file only, not at Kratos' environment.
func HookOn(kratosConfig []byte) (bool, error) {
	config, err := parseKratosConfig(kratosConfig)
	if err != nil {
		return false, fmt.Errorf("read Kratos' configuration: %w", err)
	}
	address := config.migration().url
	return config.get(wiring.MigrateHookKeys("enabled")...) == true &&
		(unresolved(address) || strings.HasSuffix(pathOf(address), wire.MigrationPath)), nil
}
