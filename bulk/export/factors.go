package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/blake2b"

	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/userfile"
	"ferry/mapping"
	"ferry/upstream"
)

// FactorOptions say whose second factors and passkeys to export, and where. All but OnlyMFA,
// Domain and Force are required.
type FactorOptions struct {
	Auth0 *upstream.Management
	// Users is the users file, which says whom to ask about.
	Users *userfile.Source
	// OnlyMFA leaves out users whose second factors the users file does not show. A users file does
	// not show passkeys.
	OnlyMFA bool
	// Domain is the canonical domain of the tenant that Auth0 is asked about; empty: unknown.
	Domain string
	// Out is the file to write. Until it is complete it has the suffix PartSuffix.
	Out string
	// Force replaces Out if it exists.
	Force bool
	// PerSecond is the limit of Auth0's requests, for the estimate alone.
	PerSecond float64

	Progress progress.Reporter
}

// PartSuffix is the suffix of a file of factors that is not complete.
const PartSuffix = ".part"

const (
	// atOnce is the number of requests in flight; askStep that of users between two writes.
	atOnce  = 8
	askStep = 32
)

// FactorResult describes a complete export of factors. Each field but Path counts users.
type FactorResult struct {
	Users int64 `json:"users"` // lines of the file
	// Enrolled have a second factor or a passkey.
	Enrolled int64 `json:"enrolled"`
	// NoSecret have an authenticator app whose secret Auth0 does not give, NoHandle a passkey
	// without a user handle, and RecoveryCode a recovery code.
	NoSecret     int64 `json:"no_secret"`
	NoHandle     int64 `json:"no_user_handle"`
	RecoveryCode int64 `json:"recovery_code"`
	// Gone are those of this run whom Auth0 does not know any more.
	Gone int64  `json:"gone"`
	Path string `json:"path"`
}

// factorExport is one export of factors.
//
//	read the incomplete file of an earlier run: its users are done
//	for the others of the users file, in order, some at a time:
//	    ask Auth0 for their methods, append a line each
//	rename the file
//
// A line is written only after Auth0's answer, so an interruption loses nothing but answers.
type factorExport struct {
	FactorOptions

	file   *results.File
	done   map[[16]byte]struct{} // by user id
	result FactorResult
	told   atomic.Bool // that Auth0 does not answer
}

// Factors asks Auth0 for the authentication methods of each user of a users file, and writes
// a line each to Out, as factorfile reads it. Interrupted, it continues when it is called
// again. Errors wrap *upstream.ManagementError if Auth0 refused or failed.
func Factors(ctx context.Context, opts FactorOptions) (FactorResult, error) {
	if opts.Auth0 == nil || opts.Users == nil || opts.Progress == nil || !(opts.PerSecond > 0) {
		return FactorResult{}, errors.New("export factors: auth0, users, a rate and progress are required")
	}
	x := &factorExport{FactorOptions: opts, done: map[[16]byte]struct{}{}}
	err := x.run(ctx)
	if err != nil {
		return FactorResult{}, fmt.Errorf("export factors: %w", err)
	}
	x.result.Path = x.Out
	return x.result, nil
}

func (x *factorExport) run(ctx context.Context) (err error) {
	if err := CheckOut(x.Out, x.Force); err != nil {
		return err
	}
	asked, err := x.count(ctx)
	if err != nil {
		return err
	}
	if x.file, err = results.Open(x.Out + PartSuffix); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, x.file.Close())
		if err != nil && x.result.Users > 0 {
			err = fmt.Errorf("%w; %d users are in %s: to continue, run the same command again", err, x.result.Users, x.Out+PartSuffix)
		}
	}()
	if err := x.resume(); err != nil {
		return err
	}
	x.Progress.Start("users asked about", asked)
	defer x.Progress.Done()
	x.Progress.Add(x.result.Users)
	if err := x.all(ctx); err != nil {
		return err
	}
	if err := CheckOut(x.Out, x.Force); err != nil { // another program may have created it meanwhile
		return err
	}
	if err := x.file.Sync(); err != nil {
		return err
	}
	return os.Rename(x.Out+PartSuffix, x.Out)
}

// count returns the number of users to ask about, and says how long that takes. A user who is
// in the file twice counts twice.
func (x *factorExport) count(ctx context.Context) (asked int64, err error) {
	var all int64
	for row, err := range x.Users.Rows(ctx) {
		if err != nil {
			return 0, err
		}
		if row.Err != nil {
			continue
		}
		all++
		profile, wanted := x.wanted(row.JSON)
		if of := profile.Tenant; of != "" && x.Domain != "" && !strings.EqualFold(of, x.Domain) {
			return 0, fmt.Errorf("the users file is of the tenant %q, not of %q, which the settings name; give the right file", of, x.Domain)
		}
		if wanted {
			asked++
		}
	}
	if all > 0 && asked == 0 && !x.OnlyMFA {
		return 0, errors.New("the users file has no user with a user_id")
	}
	about := time.Duration(float64(asked) / x.PerSecond * float64(time.Second)).Round(time.Second)
	x.Progress.Say(fmt.Sprintf("one request a user: %s of %s users, at most %g a second: %s at least",
		progress.Grouped(asked), progress.Grouped(all), x.PerSecond, about))
	return asked, nil
}

// wanted returns a user of the file, and whether to ask about the user. The import reports rows
// that are not users.
func (x *factorExport) wanted(row []byte) (profile mapping.Profile, wanted bool) {
	profile, err := mapping.FromUser(row)
	return profile, err == nil && mapping.IsUserID(profile.UserID) && (!x.OnlyMFA || len(profile.Factors) > 0)
}

// resume notes the users of an earlier run.
func (x *factorExport) resume() error {
	err := x.file.Load(func(line []byte) error {
		user, err := mapping.ReadMethods(line)
		if err != nil {
			return err
		}
		x.isNew(user.UserID)
		x.tally(user)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w; remove it to start over", x.Out+PartSuffix, err)
	}
	if x.result.Users > 0 {
		x.Progress.Say("continuing " + x.Out + PartSuffix + ", which has " + progress.Grouped(x.result.Users) + " users")
	}
	return nil
}

// isNew notes the user, and reports whether that is the first time.
func (x *factorExport) isNew(userID string) bool {
	sum := blake2b.Sum256([]byte(userID))
	mark := [16]byte(sum[:16])
	_, known := x.done[mark]
	x.done[mark] = struct{}{}
	return !known
}
