package doctor

import (
	"context"
	"fmt"
	"strings"
)

// bcryptBytes is the longest password that Kratos' bcrypt hashes. Auth0 may accept longer
// ones, and compare only the beginning of them.
const bcryptBytes = 72

func (e *doctor) settings(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	s.run(ctx, "settings", func(context.Context) Check {
		faults := e.Settings.Faults
		if len(faults) == 0 {
			return ok("every setting can be used")
		}
		names, problems := make([]string, len(faults)), make([]string, len(faults))
		for i, fault := range faults {
			names[i], problems[i] = fault.Name, fault.Name+" "+fault.Problem
		}
		return fail("mend "+strings.Join(names, ", ")+": set what is missing, correct or unset the others; `ferry config` shows every setting and where it comes from",
			"serve does not start: %s", strings.Join(problems, "; "))
	})
	s.run(ctx, "settings.password_length", e.checkPasswordLength)
	return s.checks
}

// checkPasswordLength holds FERRY_MAX_PASSWORD_BYTES against Kratos' hasher, as far as
// kratos.yml tells of it.
func (e *doctor) checkPasswordLength(context.Context) Check {
	longest := e.Settings.MaxPasswordBytes
	hasher := e.config.text("hashers", "algorithm")
	if hasher == "" {
		hasher = "bcrypt" // Kratos' own default
	}
	known := e.config != nil && !unresolved(hasher)
	switch {
	case longest <= 0:
		return skipped("FERRY_MAX_PASSWORD_BYTES cannot be read")
	case longest <= bcryptBytes:
		return ok("passwords of up to %d bytes are asked about: any hasher takes them", longest)
	case !known:
		return warn("set FERRY_MAX_PASSWORD_BYTES to 72, unless Kratos has `hashers.algorithm: argon2`; --kratos-config lets doctor look",
			"passwords of up to %d bytes are asked about, and Kratos' bcrypt takes 72: longer ones are right at Auth0 and refused by Kratos, every time", longest)
	case hasher == "bcrypt":
		return fail("set FERRY_MAX_PASSWORD_BYTES to 72, or `hashers.algorithm: argon2` in kratos.yml",
			"passwords of up to %d bytes are asked about, and Kratos hashes with bcrypt, which takes 72: longer ones are right at Auth0 and refused by Kratos, every time", longest)
	}
	return ok("passwords of up to %d bytes are asked about, and Kratos hashes with %s", longest, plain(hasher))
}

// plain keeps a word of a file from breaking the report, and bounds it.
func plain(text string) string { return bounded(text, 60) }

// shortened is plain for a sentence.
func shortened(text string) string { return bounded(text, 200) }

func bounded(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	if len(text) > most {
		text = text[:most] + "..."
	}
	return text
}

// count says "1 thing" and "3 things".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
