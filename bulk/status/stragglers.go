package status

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/bulk/progress"
	"ferry/bulk/scan"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// straggler is a user who is pending.
type straggler struct {
	address               string
	verified              bool
	identityID, userID    string
	connection            string
	importedAt, lastLogin time.Time // zero: unknown
	locale, name          string
}

// stragglers is the list of pending users, for a mail campaign.
type stragglers struct {
	wanted bool
	all    []straggler
}

func (s *stragglers) add(record kratos.Record) {
	if !s.wanted {
		return
	}
	one := straggler{
		identityID: record.ID, userID: record.Binding.Primary(), connection: record.Binding.Connection,
		importedAt: provenance.ImportOf(record.MetadataAdmin).At, locale: textIn(record.Traits, "locale"), name: nameIn(record.Traits),
	}
	one.address, one.verified = reach(record)
	s.all = append(s.all, one)
}

// complete adds what a users file has: the last login, and the locale and name if the traits
// do not have them.
func (s *stragglers) complete(ctx context.Context, users *userfile.Source, reporter progress.Reporter) error {
	if !s.wanted || users == nil {
		return nil
	}
	byUser := make(map[string]*straggler, len(s.all))
	for i := range s.all {
		byUser[s.all[i].userID] = &s.all[i]
	}
	for row, err := range scan.Users(ctx, users, reporter, "users") {
		if err != nil {
			return err
		}
		if row.Err != nil {
			continue
		}
		profile, err := mapping.FromUser(row.JSON)
		one := byUser[profile.UserID]
		if err != nil || one == nil {
			continue
		}
		one.lastLogin, _ = mapping.Time(profile.Claims["last_login"])
		one.locale = cmp.Or(one.locale, textIn(profile.Claims, "locale"), textIn(profile.UserMetadata, "locale"))
		one.name = cmp.Or(one.name, nameIn(profile.Claims))
	}
	return nil
}

// write writes the list, the latest login first.
func (s *stragglers) write(to io.Writer) error {
	if !s.wanted {
		return nil
	}
	slices.SortStableFunc(s.all, func(a, b straggler) int { return b.lastLogin.Compare(a.lastLogin) })
	out := csv.NewWriter(to)
	err := out.Write([]string{"address", "verified", "identity_id", "user_id", "connection", "imported_at", "last_login", "locale", "name"})
	for i := 0; err == nil && i < len(s.all); i++ {
		err = out.Write(s.all[i].row())
	}
	out.Flush()
	if err = cmp.Or(err, out.Error()); err != nil {
		return fmt.Errorf("write the stragglers: %w", err)
	}
	return nil
}

func (s straggler) row() []string {
	row := []string{
		s.address, strconv.FormatBool(s.verified), s.identityID, s.userID, s.connection,
		utc(s.importedAt), utc(s.lastLogin), s.locale, s.name,
	}
	for i := range row {
		row[i] = escapeCSVCell(row[i])
	}
	return row
}

// utc formats a time; the zero time is empty.
func utc(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func textIn(values map[string]any, key string) string {
	text, _ := values[key].(string)
	return strings.TrimSpace(text)
}

// nameIn finds a user's name in traits or claims: name, as a string or with first and last,
// or given_name and family_name.
func nameIn(values map[string]any) string {
	if name := textIn(values, "name"); name != "" {
		return name
	}
	if parts, isObject := values["name"].(map[string]any); isObject {
		return strings.TrimSpace(textIn(parts, "first") + " " + textIn(parts, "last"))
	}
	return strings.TrimSpace(textIn(values, "given_name") + " " + textIn(values, "family_name"))
}

// plainNumber matches a phone number, which a spreadsheet does not compute.
var plainNumber = regexp.MustCompile(`^\+[0-9 ]+$`)

// escapeCSVCell puts a quote before a cell that a spreadsheet would run as a formula. Users
// choose their names and addresses, and operators open the file.
func escapeCSVCell(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n\x00", rune(cell[0])) && !plainNumber.MatchString(cell) {
		return "'" + cell
	}
	return cell
}

// reach returns the address to write to: a verified address before others, e-mail before
// phone, and an identifier if there is no address.
func reach(record kratos.Record) (address string, verified bool) {
	all := slices.Clone(record.Addresses)
	slices.SortStableFunc(all, func(a, b kratos.Address) int { return rankAddress(b) - rankAddress(a) })
	if len(all) > 0 {
		return all[0].Value, all[0].Verified
	}
	if len(record.Identifiers) > 0 {
		return record.Identifiers[0], false
	}
	return "", false
}

func rankAddress(a kratos.Address) int {
	rank := 0
	if a.Verified {
		rank += 2
	}
	if a.Via == "email" {
		rank++
	}
	return rank
}
