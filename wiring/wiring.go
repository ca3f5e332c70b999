// Package wiring holds what an operator puts into Kratos' configuration: ferry's
// Jsonnet, tested against what Kratos really hands to it.
package wiring

import (
	_ "embed"
	"encoding/base64"
)

//go:embed migrate.jsonnet
var migrateJsonnet string

// MigrateJsonnet is the body template of the password migration hook, for Kratos
// 25.4 and later.
func MigrateJsonnet() string { return migrateJsonnet }

// Base64 is a template as kratos.yml takes it inline: base64://….
func Base64(template string) string {
	return "base64://" + base64.StdEncoding.EncodeToString([]byte(template))
}
