// Package wiring makes Kratos call ferry: the Jsonnet templates of the hooks, the part of
// kratos.yml around them, and its merge into an existing kratos.yml or removal from it. A
// merge edits lines, then compares the parsed file before and after; it fails if anything
// else changed. The package reads and writes no files.
package wiring

import (
	_ "embed"
	"encoding/base64"
	"strconv"
	"strings"
)

//go:embed migrate.jsonnet
var migrateJsonnet string

// MigrateJsonnet returns the body template of the password migration hook, for Kratos
// 25.4 and later. clientIPHeader is the header in which the operator's proxy puts the
// client address; if it is empty, the template passes no address on.
func MigrateJsonnet(clientIPHeader string) string {
	if clientIPHeader == "" {
		return migrateJsonnet
	}
	return strings.Replace(migrateJsonnet, noClientIPHeader, "local clientIPHeader = "+strconv.Quote(clientIPHeader)+";", 1)
}

// noClientIPHeader is the line of the template that clientIPHeader replaces.
const noClientIPHeader = "local clientIPHeader = null;"

//go:embed after-login.jsonnet
var afterLoginJsonnet string

// AfterLoginJsonnet returns the body template of the after-login web hook, for every
// supported Kratos. response is Parse if Kratos reads ferry's answer; any other value
// means Ignore.
func AfterLoginJsonnet(response string) string {
	if response != Parse {
		return afterLoginJsonnet
	}
	return strings.Replace(afterLoginJsonnet, ignoreResponse, "local response = '"+Parse+"';", 1)
}

// ignoreResponse is the line of the template that Parse replaces.
const ignoreResponse = "local response = 'ignore';"

//go:embed after-registration.jsonnet
var afterRegistrationJsonnet string

// AfterRegistrationJsonnet returns the body template of the after-registration web hook, for
// every supported Kratos.
func AfterRegistrationJsonnet() string { return afterRegistrationJsonnet }

// Base64 returns a template in the inline form of kratos.yml: base64://….
func Base64(template string) string {
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(template))
}

const base64Prefix = "base64://"
