package doctor

import (
	"fmt"

	"ferry/kratos"
)

const nameCode = "kratos.code"

// isCodeOnly reports whether the user of an active identity that was imported from Auth0 can log
// in only by a code that Kratos sends.
func isCodeOnly(r kratos.Record) bool {
	return r.Active && len(r.Binding.Subjects) > 0 && len(r.Codes) > 0 && !r.Pending && !r.HasPassword && len(r.Social)+len(r.SAML) == 0
}

// checkCode checks whether Kratos sends codes to the users who cannot log in otherwise.
func (e *doctor) checkCode(t tally) Check {
	count := fmt.Sprintf("%d of %s imported from Auth0 can log in by a code only", t.codes, countIdentities(t.imported))
	switch {
	case t.codes == 0, e.config.logsInByCode():
		return ok("%s", count)
	case e.config == nil:
		return ok("%s; with --kratos-config doctor checks whether kratos.yml has that switched on", count)
	}
	return warn("set selfservice.methods.code.passwordless_enabled to true, and configure Kratos' courier; if Kratos' environment sets it, ignore this",
		"%s, and kratos.yml does not have that switched on: they cannot log in", count)
}
