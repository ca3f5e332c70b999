package reconcile

import (
	"fmt"
	"io"
	"strings"

	"ferry/bulk/kind"
	"ferry/bulk/results"
)

// Print prints the table, and the line for the ticket.
func (r Result) Print(w io.Writer) {
	line := results.Liner(w)
	line("%9d users in the file, %d identities in Kratos, %d of them not from Auth0", r.Users, r.Identities, r.Native)
	if r.Accounts > 0 {
		line("%9d of these users are an account of another user's identity (merged)", r.Accounts)
	}
	for _, kind := range kind.All() {
		line("%9d %s", r.Kinds[kind], kind)
	}
	for _, found := range kinds() {
		fixed := ""
		if n := r.Fixed[found]; n > 0 {
			fixed = fmt.Sprintf(", %d fixed", n)
		}
		line("%9d %s%s", r.Findings[found], found, fixed)
	}
	line("%s", r.verdict())
}

// verdict returns the line for the ticket.
func (r Result) verdict() string {
	var how []string
	add := func(n int, text string) {
		if n > 0 {
			how = append(how, fmt.Sprintf("%d %s", n, text))
		}
	}
	add(r.able(kind.Migrated), "with a password that migrated")
	add(r.able(kind.Unnoted), "with a password that migrated or was set at Kratos (no note tells which)")
	add(r.able(kind.Hash), "with the imported hash")
	add(r.able(kind.Own), "with a password set at Kratos")
	add(r.able(kind.Social), "at a social provider")
	add(r.able(kind.Code), "by a code")
	add(r.able(kind.Bridge), "only at Auth0, over the bridge")
	add(r.able(kind.Pending), "only while Auth0 answers (pending)")
	share := 0.0
	if r.Users > 0 {
		share = 100 * float64(r.Able()) / float64(r.Users)
	}
	text := fmt.Sprintf("verdict: %d of Auth0's %d users (%.1f %%) can log in to Kratos today", r.Able(), r.Users, share)
	if len(how) > 0 {
		text += ": " + strings.Join(how, ", ")
	}
	if cannot := r.Users - r.Able(); cannot > 0 {
		text += fmt.Sprintf("; %d cannot", cannot)
		var why []string
		for _, c := range []struct {
			n    int
			text string
		}{
			{r.Blocked + r.Refused, "are blocked at Auth0 too"},
			{r.Kinds[kind.Finished], "have to recover their account first (finished)"},
			{r.Stranded, "have a password of a linked account with another e-mail address"},
			{r.NoCode, "log in by a code only, and selfservice.methods.code.passwordless_enabled is off"},
			{r.Deactivated, "are deactivated in Kratos only"},
			{r.Factors, "have a second factor at Auth0, which the hook cannot pass or Kratos does not have"},
			{sum(r.Misnamed), "have another e-mail address or username at Auth0"},
			{sum(r.Outdated), "reset the password at Auth0 since: the old one works in Kratos"},
			{r.NeedVerified(), "have no verified address, which require_verified_address asks for"},
		} {
			if c.n > 0 {
				why = append(why, fmt.Sprintf("%d %s", c.n, c.text))
			}
		}
		if len(why) > 0 {
			text += ", of whom " + strings.Join(why, ", ")
		}
	}
	return text
}

func sum(counts map[kind.Kind]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}
