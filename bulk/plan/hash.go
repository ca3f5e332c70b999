package plan

import (
	"errors"
	"strings"
	"time"

	"ferry/bulk/hashfile"
	"ferry/bulk/passwordhash"
	"ferry/bulk/results"
	"ferry/mapping"
	"ferry/secret"
)

// userHash is what is known of the hash of a user's password.
type userHash struct {
	// Form is the hash in Kratos' form; empty if there is a reason against it.
	Form secret.String
	// SetAt is when the password was set; zero: unknown.
	SetAt time.Time
	// Exported is true if the hash file has a hash of the user, usable or not.
	Exported bool
	// Why says why there is no usable hash.
	Why results.Cause
}

// hash finds the hash of the user. The hash file has precedence: it is of Auth0, and newer
// than a hash in the row, with which the user was once imported into Auth0.
func (o *Options) hash(profile mapping.Profile) (userHash, error) {
	exported, found, err := o.exported(profile)
	if err != nil {
		return userHash{}, err
	}
	h := userHash{SetAt: exported.SetAt, Exported: found}
	form, unusable := secret.String{}, error(nil)
	switch {
	case found && exported.Twice:
		unusable = errTwice
	case found:
		form, unusable = convert(exported.Hash, exported.Custom)
	case profile.OwnHash.Empty() || !strings.HasPrefix(profile.UserID, databasePrefix):
		h.Why = results.Because(results.ReasonNoHash, "")
		return h, nil
	default:
		form, unusable = convert(profile.OwnHash.Text, profile.OwnHash.Custom)
	}
	switch {
	case unusable != nil:
		h.Why = results.Because(results.ReasonUnusableHash, unusable.Error())
	case stale(h.SetAt, profile):
		h.Why = results.Because(results.ReasonStaleHash, "")
	default:
		h.Form = form
	}
	return h, nil
}

// databasePrefix begins the user ids of Auth0's own databases.
const databasePrefix = "auth0|"

var (
	errTwice = errors.New("the hash file does not say which hash of the user is the newest")
	errBoth  = errors.New("there is a hash both as a text and as custom_password_hash")
)

// exported finds the hash of one of the user's database identities in the hash file.
func (o *Options) exported(profile mapping.Profile) (hashfile.Hash, bool, error) {
	if o.Hashes == nil {
		return hashfile.Hash{}, false, nil
	}
	for _, subject := range profile.UserIDs {
		if !strings.HasPrefix(subject, databasePrefix) {
			continue
		}
		if hash, found, err := o.Hashes.Find(subject); err != nil || found {
			return hash, found, err
		}
	}
	return hashfile.Hash{}, false, nil
}

// convert returns Kratos' form of a hash, which is a text or a custom_password_hash.
func convert(text, custom secret.String) (secret.String, error) {
	switch {
	case custom.Empty():
		return passwordhash.FromText(text)
	case text.Empty():
		return passwordhash.FromCustom(custom)
	default:
		return secret.String{}, errBoth
	}
}

// stale reports whether the password was reset after the hash was exported. A hash without a
// date is stale if there was any reset. A reset before auth0Began is in another unit, such
// as seconds, and counts as unknown.
func stale(setAt time.Time, profile mapping.Profile) bool {
	value, told := profile.Claims["last_password_reset"]
	if !told || value == nil {
		return false
	}
	reset, ok := mapping.Time(value)
	return !ok || reset.Year() < auth0Began || setAt.Before(reset)
}

// auth0Began is the first year in which a password can have been reset at Auth0.
const auth0Began = 2013
