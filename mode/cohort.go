package mode

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ferry/secret"
	"ferry/wire"
)

// Cohort is the part of the users whose logins are decided. It has every user whom one of its
// terms has. The zero value has no one.
type Cohort struct {
	text    string
	all     bool
	share   uint64   // in points of shares
	domains []string // lower case
	traits  []traitTerm
}

// traitTerm has the users whose trait has the value.
type traitTerm struct {
	path  []string
	value string
}

// User is what is known about the user of a login.
type User struct {
	// Identifier is the identifier that was typed, normalized. It alone decides about a
	// share: it is the same before and after Kratos has the user.
	Identifier string
	// Identifiers and Traits are those of the identity; nil if Kratos does not have the user.
	Identifiers []string
	Traits      any
}

// shares is 100 %, in points: a percentage has at most three decimals.
const shares = 100_000

var (
	percentPattern = regexp.MustCompile(`^([0-9]{1,3})(?:\.([0-9]{1,3}))?%$`)
	domainPattern  = regexp.MustCompile(`^@[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// Everyone is the cohort of all users.
func Everyone() Cohort { return Cohort{text: wire.CohortAll, all: true} }

// ParseCohort reads a cohort: all, or terms separated by commas. A term is a percentage (25%),
// the domain of an e-mail address (@example.com) or a trait (traits.plan=beta). Errors do not
// quote the text.
func ParseCohort(text string) (Cohort, error) {
	if text == wire.CohortAll {
		return Everyone(), nil
	}
	c := Cohort{text: text}
	for term := range strings.SplitSeq(text, ",") {
		if err := c.add(strings.TrimSpace(term)); err != nil {
			return Cohort{}, err
		}
	}
	return c, nil
}

// add adds the users of a term.
func (c *Cohort) add(term string) error {
	if percent := percentPattern.FindStringSubmatch(term); percent != nil {
		points, err := strconv.ParseUint(percent[1]+(percent[2] + "000")[:3], 10, 64)
		if err != nil || points > shares {
			return errors.New("a percentage must be between 0% and 100%")
		}
		c.share = max(c.share, points)
		return nil
	}
	if domain := strings.ToLower(term); domainPattern.MatchString(domain) {
		c.domains = append(c.domains, domain)
		return nil
	}
	name, value, is := strings.Cut(term, "=")
	path, isTrait := strings.CutPrefix(name, "traits.")
	if !is || !isTrait || slices.Contains(strings.Split(path, "."), "") || value == "" {
		return errors.New("the cohort must be all, or terms such as 25%, @example.com or traits.plan=beta, separated by commas")
	}
	c.traits = append(c.traits, traitTerm{strings.Split(path, "."), value})
	return nil
}

// String returns the cohort as ParseCohort reads it; empty for the zero value.
func (c Cohort) String() string { return c.text }

// All reports whether it has every user.
func (c Cohort) All() bool { return c.all }

// Hashes reports whether a key decides who is in: the cohort has a percentage.
func (c Cohort) Hashes() bool { return c.share > 0 && c.share < shares }

// has reports whether the user is in the cohort.
func (c Cohort) has(u User, position func(identifier string) uint64) bool {
	switch {
	case c.all || c.share >= shares:
		return true
	case c.inDomain(u.Identifier) || slices.ContainsFunc(u.Identifiers, c.inDomain):
		return true
	case slices.ContainsFunc(c.traits, func(term traitTerm) bool { return term.has(u.Traits) }):
		return true
	}
	return c.Hashes() && position(u.Identifier) < c.share
}

func (c Cohort) inDomain(identifier string) bool {
	at := strings.LastIndexByte(identifier, '@')
	return at > 0 && slices.Contains(c.domains, identifier[at:])
}

// has reports whether the trait of the term has its value, or contains it if it is a list.
func (t traitTerm) has(traits any) bool {
	value := traits
	for _, name := range t.path {
		object, ok := value.(map[string]any)
		if !ok {
			return false
		}
		value = object[name]
	}
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, t.is)
	}
	return t.is(value)
}

func (t traitTerm) is(value any) bool {
	switch value := value.(type) {
	case string:
		return value == t.value
	case json.Number, bool:
		return fmt.Sprint(value) == t.value
	}
	return false
}

// positions returns the function that gives each identifier a fixed position in 0 to shares-1.
// Someone in a share of 25 % is in every larger share.
func positions(key secret.String) func(identifier string) uint64 {
	derived := hmac.New(sha256.New, []byte(key.Reveal()))
	derived.Write([]byte("ferry cohort"))
	cohortKey := derived.Sum(nil)
	return func(identifier string) uint64 {
		mac := hmac.New(sha256.New, cohortKey)
		mac.Write([]byte(identifier))
		point, _ := bits.Mul64(binary.BigEndian.Uint64(mac.Sum(nil)), shares)
		return point
	}
}
