package mapping

import (
	"errors"
	"net/mail"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ferry/identifier"
)

// errFormat is not shown: see collect.
var errFormat = errors.New("not of this format")

// formats returns the formats that Kratos validates in its own way. What Kratos accepts
// must pass here; what passes here and Kratos refuses costs a patch.
func formats() []*jsonschema.Format {
	check := func(valid func(string) bool) func(any) error {
		return func(v any) error {
			if text, ok := v.(string); ok && !valid(text) {
				return errFormat
			}
			return nil
		}
	}
	return []*jsonschema.Format{
		{Name: "email", Validate: check(isEmail)},
		{Name: formatPhone, Validate: check(identifier.IsPhone)},
	}
}

const (
	maxEmail     = 254
	maxLocalPart = 64
	maxHostname  = 253
	maxLabel     = 63
)

// isEmail follows Kratos' validator, which accepts letters beyond ASCII in the local part,
// but not in the domain.
func isEmail(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 0 || at > maxLocalPart || len(text) > maxEmail || !isHostname(text[at+1:]) {
		return false
	}
	_, err := mail.ParseAddress(text)
	return err == nil
}

func isHostname(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxHostname || strings.HasPrefix(name, "-") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || strings.HasSuffix(label, "-") {
			return false
		}
		for _, r := range label {
			if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return false
			}
		}
	}
	return true
}
