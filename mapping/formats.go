package mapping

import (
	"errors"
	"net/mail"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// errFormat is never shown: see collect.
var errFormat = errors.New("not of this format")

// formats are those for which Kratos' validator has its own opinion. What passes
// here and not there costs a refused patch; what passes there must pass here.
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
		{Name: formatPhone, Validate: check(isKratosPhone)},
	}
}

const (
	maxEmail     = 254
	maxLocalPart = 64
	maxHostname  = 253
	maxLabel     = 63
)

// isEmail follows Kratos' validator, which takes letters beyond ASCII in the local
// part, and none in the domain.
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

// The digits of a number with its country's code: ITU-T E.164 has at most 15.
const (
	minDigits = 7
	maxDigits = 15
)

// isPhone takes a number with a plus and the country's code, whatever the country's
// numbering plan.
func isPhone(text string) bool {
	digits, international := strings.CutPrefix(phone(strings.TrimSpace(text)), "+")
	if !international || len(digits) < minDigits || len(digits) > maxDigits || digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}
