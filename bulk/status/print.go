package status

import (
	"fmt"
	"io"
	"time"

	"ferry/bulk/kind"
)

// Print prints the status in human-readable form.
func (s Status) Print(w io.Writer) error {
	text := fmt.Sprintf("%s: %d identities, %d of them not from Auth0\n", s.At.Format(time.RFC3339), s.Total, s.Unbound)
	for _, kind := range kind.All() {
		text += fmt.Sprintf("%9d %s\n", s.Kinds[kind], kind)
	}
	text += fmt.Sprintf("%8.1f%% no longer need Auth0; %d migrated in the last day, %d in the last seven days\n", 100*s.Share, s.LastDay, s.LastWeek)
	if n := s.Kinds[kind.Unnoted]; n > 0 {
		text += fmt.Sprintf("%d of them migrated, or have set a password at Kratos, at an unknown time: only the after-login hook notes it\n", n)
	}
	switch {
	case s.Kinds[kind.Pending] == 0 && s.InactivePending > 0:
		text += fmt.Sprintf("no one is pending but %d inactive users: if they are activated, they need the hook, or recovery\n", s.InactivePending)
	case s.Kinds[kind.Pending] == 0:
		text += "no one is pending: the hook is no longer needed\n"
	case s.Done != nil:
		text += fmt.Sprintf("at %.1f a day the last would migrate on %s; the last users log in late, or never: write to them (--stragglers FILE)\n",
			s.PerDay, s.Done.Format(time.DateOnly))
	case s.LastWeek > 0 && s.PerDay == 0:
		text += "the first migrated less than a day ago: too early to say when the last will\n"
	case s.LastWeek > 0:
		text += fmt.Sprintf("at %.1f a day the last would not migrate in a hundred years: write to them (--stragglers FILE)\n", s.PerDay)
	case s.Kinds[kind.Unnoted] > 0:
		text += "no one is known to have migrated in the last seven days: too early to say when the last will\n"
	default:
		text += "no one migrated in the last seven days: too early to say when the last will\n"
	}
	if n := s.Kinds[kind.Bridge]; n > 0 {
		text += fmt.Sprintf("%d can log in at Auth0 only, over the bridge: before Auth0 is switched off, they set a password or a passkey in Kratos, or recover the account later\n", n)
	}
	if s.Observed != nil {
		text += s.Observed.text()
	}
	_, err := io.WriteString(w, text)
	return err
}
