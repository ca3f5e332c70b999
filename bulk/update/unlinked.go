package update

import (
	"context"
	"errors"
	"slices"

	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/provenance"
)

// Unlinked returns the logins at providers that ferry gave the identity and whose accounts
// are not among those that the user has now, sorted. Without linked, which is then unknown, it
// returns none. The user's own logins, which no note has, are never among them. Nor are any of
// an identity that was bound to another user since.
func Unlinked(record kratos.Record, linked []string) (logins []string) {
	if len(linked) == 0 || len(record.Social)+len(record.SAML) == 0 || provenance.Rebinds(record.MetadataAdmin) > 0 {
		return nil
	}
	for login, userID := range provenance.ImportOf(record.MetadataAdmin).Logins {
		has := slices.Contains(record.Social, login) || slices.Contains(record.SAML, login)
		if has && !slices.Contains(linked, userID) {
			logins = append(logins, login)
		}
	}
	slices.Sort(logins)
	return logins
}

// LoginsKept says why ferry must not remove the logins of accounts that are no longer linked;
// empty: it may.
func LoginsKept(record kratos.Record, linked []string) string {
	others := len(record.Social) + len(record.SAML) - len(Unlinked(record, linked))
	if record.Pending || record.HasPassword || len(record.Codes) > 0 || others > 0 {
		return ""
	}
	return "the identity has no other login"
}

// removeLogins removes logins from the identity. kept says why Kratos refuses to.
func (e Editor) removeLogins(ctx context.Context, s steps, record kratos.Record) (after kratos.Record, kept results.Cause, err error) {
	after = record
	for _, login := range s.remove {
		removed, err := e.Kratos.RemoveLogin(ctx, after, login)
		var fault *kratos.Error
		switch {
		case errors.As(err, &fault) && fault.Final():
			return after, results.Refused(fault.Status, fault.Said), nil
		case err != nil:
			return after, kept, err
		}
		after = removed
	}
	return after, kept, nil
}
