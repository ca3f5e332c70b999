package gen_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferry/bulk/hashfile"
	"ferry/bulk/userfile"
	"ferry/mapping"
	"ferry/test/auth0sim/gen"
)

// reading settles what the rules leave open: the files must not depend on it.
type reading struct {
	duplicatesClaim  bool // lines that rule 1 has dealt with claim identifiers too
	verifiesAll      bool // a verified address verifies every identifier of its line
	unverifiedGoogle bool // linked google accounts are claimed by unverified lines too
}

// subjectLine is what the rules need to know of a line.
type subjectLine struct {
	user        exportedUser
	readable    bool
	duplicate   bool
	database    bool
	google      bool
	identifiers []string
	verified    map[string]bool
	invalid     bool
}

type exportedUser struct {
	ID            string `json:"user_id"`
	Email         string
	EmailVerified bool `json:"email_verified"`
	Username      string
	Identities    []struct {
		Provider string
		ID       string `json:"user_id"`
	}
	Multifactor []string
	Reset       any `json:"last_password_reset"`
}

// subjects are the user_ids of all identities.
func (u exportedUser) subjects() []string {
	subjects := []string{u.ID}
	for _, identity := range u.Identities {
		subjects = append(subjects, identity.Provider+"|"+identity.ID)
	}
	return subjects
}

func databaseSubjects(line string) []string {
	var u exportedUser
	if json.Unmarshal([]byte(line), &u) != nil {
		return nil
	}
	var found []string
	for _, subject := range u.subjects() {
		if strings.HasPrefix(subject, "auth0|") && (len(found) == 0 || found[0] != subject) {
			found = append(found, subject)
		}
	}
	return found
}

// exportedHash is a line of the hash file as rule 6 reads it.
type exportedHash struct {
	subject, hash string
	set           time.Time
}

func readHashes(t *testing.T, dir string) []exportedHash {
	t.Helper()
	var all []exportedHash
	for _, line := range decoded[map[string]any](t, dir, gen.HashesFile) {
		id, _ := line["alt_id"].(string)
		for _, name := range []string{"_id", "_ID"} {
			if object, ok := line[name].(map[string]any); ok && id == "" {
				id, _ = object["$oid"].(string)
			}
		}
		hash, _ := line["passwordHash"].(string)
		if id == "" || hash == "" {
			t.Fatalf("got %v", line)
		}
		all = append(all, exportedHash{"auth0|" + id, hash, date(t, line["password_set_date"])})
	}
	return all
}

// date reads every form of a date; none is the zero time.
func date(t *testing.T, v any) time.Time {
	t.Helper()
	if object, ok := v.(map[string]any); ok {
		if v = object["$date"]; v == nil {
			millis, err := strconv.ParseInt(object["$numberLong"].(string), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return time.UnixMilli(millis).UTC()
		}
		return date(t, v)
	}
	text, _ := v.(string)
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// oracle applies the rules to the files, with another program than the one that made
// them and with ferry's own mapping.
type oracle struct {
	lines  []subjectLine
	hashes map[string][]exportedHash
	claims map[string][]int // lines, by identifier
}

func consult(t *testing.T, dir string, users []string, how reading) []gen.Expected {
	t.Helper()
	schema, err := mapping.ParseSchema(gen.Schema())
	if err != nil {
		t.Fatal(err)
	}
	mapper := mapping.Default(schema)
	o := oracle{hashes: map[string][]exportedHash{}, claims: map[string][]int{}}
	for _, h := range readHashes(t, dir) {
		o.hashes[h.subject] = append(o.hashes[h.subject], h)
	}
	seen := map[string]bool{}
	for i, line := range users {
		l := readLine(t, line, schema, mapper, how)
		l.duplicate = l.readable && seen[l.user.ID]
		if l.readable {
			seen[l.user.ID] = true
		}
		if l.readable && (!l.duplicate || how.duplicatesClaim) {
			for _, identifier := range l.identifiers {
				o.claims[identifier] = append(o.claims[identifier], i)
			}
		}
		o.lines = append(o.lines, l)
	}
	var verdicts []gen.Expected
	for i, line := range users {
		if line == "" {
			continue
		}
		e := gen.Expected{Line: i + 1, UserID: o.lines[i].user.ID}
		e.Outcome, e.Reason = o.decide(t, i)
		verdicts = append(verdicts, e)
	}
	return verdicts
}

func readLine(t *testing.T, line string, schema *mapping.Schema, mapper mapping.Mapper, how reading) subjectLine {
	t.Helper()
	l := subjectLine{verified: map[string]bool{}}
	profile, err := mapping.FromUser([]byte(line))
	if err != nil {
		return l
	}
	if err := json.Unmarshal([]byte(line), &l.user); err != nil {
		t.Fatal(err)
	}
	l.readable = true
	identity, err := mapper.Map(profile)
	if err != nil {
		t.Fatal(err)
	}
	if schema.Validate(map[string]any{"phone": identity.Traits["phone"]}) != nil {
		delete(identity.Traits, "phone") // it is optional, and no identifier here
	}
	l.invalid = schema.Validate(identity.Traits) != nil
	l.claim(identity.Traits, how)
	return l
}

// claim notes what the line claims.
func (l *subjectLine) claim(traits map[string]any, how reading) {
	believed := l.user.EmailVerified && strings.HasPrefix(l.user.ID, "auth0|")
	add := func(identifier string, verified bool) {
		if !slices.Contains(l.identifiers, identifier) {
			l.identifiers = append(l.identifiers, identifier)
			l.verified[identifier] = verified
		}
	}
	for _, trait := range []string{"email", "username"} {
		if text, _ := traits[trait].(string); text != "" {
			add(strings.ToLower(strings.TrimSpace(text)), believed && (trait == "email" || how.verifiesAll))
		}
	}
	for i, subject := range l.user.subjects() {
		provider, id, _ := strings.Cut(subject, "|")
		switch provider {
		case "auth0":
			l.database = true
		case "google-oauth2":
			l.google = true
			if i == 0 || l.user.EmailVerified || how.unverifiedGoogle {
				add("google:"+id, believed && how.verifiesAll)
			}
		}
	}
}

var kratosBcrypt = regexp.MustCompile(`^\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$`)

func (o oracle) decide(t *testing.T, i int) (gen.Outcome, gen.Reason) {
	t.Helper()
	l := o.lines[i]
	switch {
	case !l.readable:
		return gen.Failed, gen.Unreadable
	case l.duplicate:
		return gen.Failed, gen.DuplicateUser
	case len(l.user.Multifactor) > 0:
		return gen.Skipped, gen.MFA
	case !l.database && !l.google:
		return gen.Skipped, gen.NoLoginMethod
	case l.invalid:
		return gen.Failed, gen.Invalid
	case l.database && l.user.Email == "" && l.user.Username == "":
		return gen.Failed, gen.NoIdentifier
	}
	for _, identifier := range l.identifiers {
		if !o.owns(i, identifier) {
			return gen.Failed, gen.IdentifierTwice
		}
	}
	if !l.database {
		return gen.CreatedSocial, ""
	}
	return o.hash(t, l)
}

// owns is rule 5.
func (o oracle) owns(line int, identifier string) bool {
	claimants := o.claims[identifier]
	if len(claimants) == 1 {
		return true
	}
	for _, claimant := range claimants {
		if o.lines[claimant].verified[identifier] {
			return claimant == line
		}
	}
	return false
}

// hash is rule 6.
func (o oracle) hash(t *testing.T, l subjectLine) (gen.Outcome, gen.Reason) {
	t.Helper()
	subjects := map[string]bool{}
	var found []exportedHash
	for _, subject := range l.user.subjects() {
		if !subjects[subject] {
			subjects[subject] = true
			found = append(found, o.hashes[subject]...)
		}
	}
	if len(found) == 0 {
		return gen.CreatedPending, gen.NoHash
	}
	newest, ties := found[0], 0
	for _, h := range found[1:] {
		switch {
		case h.set.After(newest.set):
			newest, ties = h, 0
		case h.set.Equal(newest.set):
			ties++
		}
	}
	reset := date(t, l.user.Reset)
	unusable := ties > 0 || !kratosBcrypt.MatchString(newest.hash)
	stale := !reset.IsZero() && newest.set.Before(reset)
	switch {
	case unusable && stale:
		t.Errorf("%s has a hash that is stale and unusable: the rules do not say which", l.user.ID)
	case unusable:
		return gen.CreatedPending, gen.UnusableHash
	case stale:
		return gen.CreatedPending, gen.StaleHash
	}
	return gen.CreatedHash, ""
}

// What is expected is what the rules say, however what they leave open is read.
func TestRules(t *testing.T) {
	t.Parallel()
	dirs := map[string]string{}
	dirs["a few"], _ = generate(t, gen.Options{Users: 40, Seed: 1})
	dirs["some"], _ = generate(t, gen.Options{Users: 500, Seed: 2})
	dirs["many"], _ = generate(t, gen.Options{Users: 1000, Seed: 3})
	for name, dir := range dirs {
		expected := decoded[gen.Expected](t, dir, gen.ExpectedFile)
		for i := range 8 {
			how := reading{i&1 > 0, i&2 > 0, i&4 > 0}
			if name == "many" && i%7 != 0 {
				continue // all or nothing is enough
			}
			verdicts := consult(t, dir, lines(t, dir, gen.UsersFile), how)
			if len(verdicts) != len(expected) {
				t.Fatalf("%s: %d verdicts, %d expected", name, len(verdicts), len(expected))
			}
			for i, v := range verdicts {
				if e := expected[i]; v.Line != e.Line || v.Outcome != e.Outcome || v.Reason != e.Reason {
					t.Errorf("%s, %+v: got %s %s, want %+v", name, how, v.Outcome, v.Reason, e)
				}
			}
		}
	}
}

// The other formats, as ferry reads them, come to the same.
func TestRulesInEveryFormat(t *testing.T) {
	t.Parallel()
	dir, _ := generate(t, gen.Options{Users: 700, Seed: 4, Format: gen.FormatAll})
	expected := decoded[gen.Expected](t, dir, gen.ExpectedFile)
	expected = slices.DeleteFunc(expected, func(e gen.Expected) bool { return e.Element == 0 })
	for _, name := range []string{gen.CSVFile, gen.ArrayFile} {
		verdicts := consult(t, dir, read(t, filepath.Join(dir, name)), reading{})
		if len(verdicts) != len(expected) {
			t.Fatalf("%s: %d verdicts, %d expected", name, len(verdicts), len(expected))
		}
		for i, v := range verdicts {
			if e := expected[i]; v.Outcome != e.Outcome || v.Reason != e.Reason {
				t.Errorf("%s: got %s %s, want %+v", name, v.Outcome, v.Reason, e)
			}
		}
	}
}

// read is every user of a file as JSON.
func read(t *testing.T, name string) []string {
	t.Helper()
	source, err := userfile.Open(t.Context(), name, nil, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var users []string
	for row, err := range source.Rows(t.Context()) {
		if err != nil || row.Err != nil {
			t.Fatalf("%s: %v, %v", name, err, row.Err)
		}
		users = append(users, string(row.JSON))
	}
	return users
}

// Every line of the hash file is one to ferry too.
func TestHashesAreRead(t *testing.T) {
	t.Parallel()
	dir, s := generate(t, gen.Options{Users: 500, Seed: 6})
	index, err := hashfile.Open(t.Context(), filepath.Join(dir, gen.HashesFile), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	if bad := index.Unreadable(); len(bad) != 0 || index.Len() == 0 || index.Len() > s.Hashes {
		t.Errorf("unreadable are %v; %d hashes of %d", bad, index.Len(), s.Hashes)
	}
	newest := map[string]exportedHash{}
	for _, h := range readHashes(t, dir) {
		if known, ok := newest[h.subject]; !ok || h.set.After(known.set) {
			newest[h.subject] = h
		}
	}
	for subject, want := range newest {
		got, found, err := index.Find(subject)
		if err != nil || !found || !got.Twice && got.Hash.Reveal() != want.hash || !got.SetAt.Equal(want.set) {
			t.Errorf("%s: got %+v, %t, %v; want %+v", subject, got, found, err, want)
		}
	}
}
