package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ferry/bulk/export"
	"ferry/bulk/progress"
	"ferry/bulk/userfile"
	"ferry/config"
)

// factorsPerSecond stays below the rate limit on reads of Auth0's smallest plan.
const factorsPerSecond = 2

// factorFlags are the flags of `ferry export --factors`.
type factorFlags struct {
	out, users string
	onlyMFA    bool
	perSecond  float64
	content    contentFlags
}

func (f *factorFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.out, "factors", "", "`FILE` to write the users' second factors and passkeys to, as NDJSON, instead of the users")
	cmd.Flags().StringVar(&f.users, "users", "", "with --factors: users `FILE`, whose users Auth0 is asked about")
	cmd.Flags().BoolVar(&f.onlyMFA, "only-mfa", false, "with --factors: ask only about users whose second factor the users file shows; it does not show passkeys")
	cmd.Flags().Float64Var(&f.perSecond, "per-second", factorsPerSecond, "with --factors: maximum requests per second; Auth0's plans allow from 2 to 16")
	f.content.bindColumns(cmd)
}

// factorOnly are the flags that need --factors.
func factorOnly() []string { return []string{"users", "only-mfa", "per-second", "column"} }

// firstGiven returns the first of the flags that was given; empty: none.
func firstGiven(given func(string) bool, names []string) string {
	for _, name := range names {
		if given(name) {
			return name
		}
	}
	return ""
}

// check finds wrong usage, before any request.
func (f factorFlags) check(of exportFlags, given func(string) bool) error {
	name := firstGiven(given, []string{"out", "connection", "job"})
	switch {
	case name != "":
		return errors.New("--" + name + " exports users: leave it out with --factors")
	case f.out == "-":
		return errors.New("--factors needs a file, not standard output: an interrupted export continues with it")
	case f.users == "" || f.users == "-":
		return errors.New("--factors needs a users file: --users FILE, such as that of `ferry export --out FILE`")
	case !(f.perSecond > 0): // not a number is none either
		return errors.New("--per-second must be more than 0")
	case samePlace(f.out, f.users), samePlace(f.out+export.PartSuffix, f.users):
		return errors.New("--factors would overwrite the users file: name another file")
	}
	if _, _, err := f.content.parse(); err != nil {
		return err
	}
	return export.CheckOut(f.out, of.force)
}

func runExportFactors(ctx context.Context, flags exportFlags, stdout, stderr io.Writer) (err error) {
	cfg, err := config.LoadFor(config.Management)
	if err != nil {
		return err
	}
	auth0, err := limitedManagement(cfg, nil, managementTimeout, flags.factors.perSecond)
	if err != nil {
		return err
	}
	columns, _, err := flags.factors.content.parse()
	if err != nil {
		return err
	}
	users, err := userfile.Open(ctx, flags.factors.users, nil, "", columns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	_, domain := tenantOf(cfg)
	reporter := progress.NewTerminal(stderr)
	done, err := export.Factors(ctx, export.FactorOptions{
		Auth0: auth0, Users: users, OnlyMFA: flags.factors.onlyMFA, Domain: domain, Out: flags.factors.out, Force: flags.force,
		PerSecond: flags.factors.perSecond, Progress: reporter,
	})
	switch {
	case ctx.Err() != nil && err != nil:
		return resumableError{err, "to continue, run the same command again"}
	case err != nil:
		return err
	}
	for _, note := range done.Notes() {
		reporter.Say(note)
	}
	if flags.json {
		return json.NewEncoder(stdout).Encode(done)
	}
	reporter.Say("exported the methods of " + progress.Grouped(done.Users) + " users to " + done.Path + ": " +
		progress.Grouped(done.Enrolled) + " have a second factor or a passkey")
	return nil
}
