package mapping

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/message"

	"ferry/identifier"
)

// kratosRules are what Kratos' own keyword asks of a value, beside saying what it is for.
// Kratos starts with a schema whose keyword is not complete, and refuses identities then.
type kratosRules struct {
	// never says why Kratos refuses every value; empty: it does not.
	never string
	// email and phone: the value must be one, whatever the schema's format is.
	email, phone bool
}

// rulesOf are the rules of the keyword in a schema with this format.
func (e *extension) rulesOf(format any) kratosRules {
	text, isText := format.(string)
	unformatted := format == nil || isText && text == ""
	code := e.Credentials["code"]
	var r kratosRules
	switch {
	case code.Identifier && code.Via != ViaEmail && code.Via != ViaSMS:
		r.never = `can have no value in Kratos: its credential "code" has no "via" (email or sms)`
	case unformatted && e.Verification.Via == ViaSMS:
		r.never = `can have no value in Kratos: it is verified by SMS and has no "format" (tel, or no-validate)`
	}
	r.email = text != "email" && (e.Recovery.Via == ViaEmail || unformatted && e.Verification.Via == ViaEmail)
	r.phone = text != formatPhone && (e.Recovery.Via == ViaSMS || code.Identifier && code.Via == ViaSMS)
	return r
}

// Validate holds a value against the rules.
func (e *extension) Validate(ctx *jsonschema.ValidatorContext, value any) {
	text, isText := value.(string)
	switch {
	case e.rules.never != "":
		ctx.AddError(kratosKind{e.rules.never})
	case isText && e.rules.email && !isEmail(text):
		ctx.AddError(&kind.Format{Got: text, Want: "email"})
	case isText && e.rules.phone && !identifier.IsPhone(text):
		ctx.AddError(&kind.Format{Got: text, Want: formatPhone})
	}
}

// kratosKind is a rule of Kratos' keyword that is broken.
type kratosKind struct{ rule string }

// KeywordPath implements [jsonschema.ErrorKind].
func (kratosKind) KeywordPath() []string { return []string{extensionKeyword} }

// LocalizedString implements [jsonschema.ErrorKind].
func (k kratosKind) LocalizedString(*message.Printer) string { return k.rule }

// Refused are the traits that may have no value: Kratos starts with the schema, and
// refuses every identity that has one of them.
func (s *Schema) Refused() []Violation { return s.refused }

// refuse notes a trait that may have no value, once.
func (s *Schema) refuse(path []string, rule string) {
	v := Violation{Path: append([]string{"traits"}, path...), Rule: rule}
	if !slices.ContainsFunc(s.refused, func(known Violation) bool { return known.String() == v.String() }) {
		s.refused = append(s.refused, v)
	}
}
