package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ferry/mode"
	"ferry/wire"
)

// checkMode checks the mode and the cohort. Their files are read by package mode.
func (c *Config) checkMode(k *checker) {
	k.require(slices.Contains([]string{wire.ModeOn, wire.ModeObserve, wire.ModeOff}, c.Mode), "MODE", "must be on, observe or off")
	k.require(c.ModeFile == "" || c.sources[Prefix+"MODE"] == sourceDefault, "MODE_FILE", "both it and FERRY_MODE are set; keep one")
	k.require(c.CohortFile == "" || c.sources[Prefix+"COHORT"] == sourceDefault, "COHORT_FILE", "both it and FERRY_COHORT are set; keep one")
	cohort, err := mode.ParseCohort(c.Cohort)
	k.require(err == nil, "COHORT", fmt.Sprint(err))
	k.require(!cohort.Hashes() || !c.StateKey.Empty(), "STATE_KEY", "is not set, but the percentage of FERRY_COHORT needs it")
	if key := c.AdminKey.Reveal(); key != "" {
		k.require(utf8.RuneCountInString(key) >= minKeyLength, "ADMIN_KEY", "must have 32 characters or more; `head -c 32 /dev/urandom | base64` generates one")
		k.require(!strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }), "ADMIN_KEY", "may contain visible ASCII characters only, no blanks: it is sent in a header")
		for _, hook := range c.HookKeys {
			k.require(!hook.Equal(c.AdminKey), "ADMIN_KEY", "is one of FERRY_HOOK_KEYS: Kratos' configuration has those, give it a key of its own")
		}
	}
}
