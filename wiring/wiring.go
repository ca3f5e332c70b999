// Package wiring holds what an operator puts into Kratos' configuration: ferry's
// Jsonnet, tested against what Kratos really hands to it, the fragment of kratos.yml
// around it, and the merge of that into a kratos.yml that exists. It reads and writes
// no files.
package wiring

import (
	_ "embed"
	"encoding/base64"
	"strconv"
	"strings"
)

//go:embed migrate.jsonnet
var migrateJsonnet string

// MigrateJsonnet is the body template of the password migration hook, for Kratos
// 25.4 and later. clientIPHeader is the one header in which the operator's proxy
// names the person's address; empty: none is passed on.
func MigrateJsonnet(clientIPHeader string) string {
	if clientIPHeader == "" {
		return migrateJsonnet
	}
	return strings.Replace(migrateJsonnet, noClientIPHeader, "local clientIPHeader = "+strconv.Quote(clientIPHeader)+";", 1)
}

// noClientIPHeader is the template's line that says so.
const noClientIPHeader = "local clientIPHeader = null;"

//go:embed after-login.jsonnet
var afterLoginJsonnet string

// AfterLoginJsonnet is the body template of the after-login web hook, for every
// supported Kratos. response is Parse where Kratos is to read ferry's answer; anything
// else is Ignore.
func AfterLoginJsonnet(response string) string {
	if response != Parse {
		return afterLoginJsonnet
	}
	return strings.Replace(afterLoginJsonnet, ignoreResponse, "local response = '"+Parse+"';", 1)
}

// ignoreResponse is the template's line that says so.
const ignoreResponse = "local response = 'ignore';"

// Base64 is a template as kratos.yml takes it inline: base64://….
func Base64(template string) string {
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(template))
}

const base64Prefix = "base64://"
