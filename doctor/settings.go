package doctor

import (
	"context"
	"fmt"
	"strings"

	"ferry/wire"
)

func (e *doctor) settings(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	s.run(ctx, "settings", func(context.Context) Check {
		faults := e.Settings.Faults
		if len(faults) == 0 {
			return ok("all settings are valid")
		}
		names, problems := make([]string, len(faults)), make([]string, len(faults))
		for i, fault := range faults {
			names[i], problems[i] = fault.Name, fault.Name+" "+fault.Problem
		}
		return fail("fix "+strings.Join(names, ", ")+": set what is missing, correct or unset the others; `ferry config` shows every setting and its source",
			"serve does not start: %s", strings.Join(problems, "; "))
	})
	s.run(ctx, "settings.password_length", e.checkPasswordLength)
	s.run(ctx, "settings.mode", e.checkMode)
	return s.checks
}

// checkMode checks what a ferry that starts with the settings does with logins.
func (e *doctor) checkMode(context.Context) Check {
	const fix = "set FERRY_MODE, or its file, to on when users are to migrate (docs/modes.md)"
	switch e.Mode {
	case wire.ModeOn:
		return ok("ferry decides logins (FERRY_MODE)")
	case wire.ModeObserve:
		return warn(fix, "ferry observes (FERRY_MODE): a right password ends in an outage too, and no user migrates")
	case wire.ModeOff:
		return warn(fix, "ferry is off (FERRY_MODE): every login of a pending user ends in an outage")
	}
	return skipped("the mode is not valid")
}

// checkPasswordLength compares FERRY_MAX_PASSWORD_BYTES with the limit of Kratos' hasher in
// kratos.yml.
func (e *doctor) checkPasswordLength(context.Context) Check {
	longest := e.Settings.MaxPasswordBytes
	hasher := e.config.text("hashers", "algorithm")
	if hasher == "" {
		hasher = "bcrypt" // Kratos' own default
	}
	known := e.config != nil && !unresolved(hasher)
	switch {
	case longest <= 0:
		return skipped("FERRY_MAX_PASSWORD_BYTES is not valid")
	case longest <= wire.BcryptBytes:
		return ok("ferry accepts passwords of up to %d bytes, which any hasher supports", longest)
	case !known:
		return warn("set FERRY_MAX_PASSWORD_BYTES to 72, unless Kratos has `hashers.algorithm: argon2`; with --kratos-config doctor checks that",
			"ferry accepts passwords of up to %d bytes, and Kratos' bcrypt 72: Kratos always refuses longer ones, also if they are right at Auth0", longest)
	case hasher == "bcrypt":
		return fail("set FERRY_MAX_PASSWORD_BYTES to 72, or `hashers.algorithm: argon2` in kratos.yml",
			"ferry accepts passwords of up to %d bytes, and Kratos hashes with bcrypt, which supports 72: Kratos always refuses longer ones, also if they are right at Auth0", longest)
	}
	return ok("ferry accepts passwords of up to %d bytes, and Kratos hashes with %s", longest, plain(hasher))
}

// plain removes control characters from a word for the report, and shortens it.
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

// count returns "1 thing" or "3 things".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
