package hashfile

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ferry/secret"
	"ferry/strictjson"
)

// databases is the provider of users with a password in Auth0's own store.
const databases = "auth0|"

var (
	errNoID   = errors.New("it has no user id: neither an alt_id nor an _id")
	errNoHash = errors.New("it has no passwordHash")
	errDate   = errors.New("its password_set_date is not a date of a known form")
	errJSON   = errors.New("it is not a JSON object with the fields of a hash")
)

// line is an entry of the file, with the names that exports and Ory's guide use. The decoder
// refuses a line with two spellings of one name.
type line struct {
	ID            jsontext.Value `json:"_id"`
	UpperID       jsontext.Value `json:"_ID"`
	PlainID       jsontext.Value `json:"id"`
	UserID        jsontext.Value `json:"user_id"`
	CamelID       jsontext.Value `json:"userId"`
	AltID         string         `json:"alt_id"`
	PasswordHash  secret.String  `json:"passwordHash"`
	PasswordHash2 secret.String  `json:"password_hash"`
	PasswordHash3 secret.String  `json:"hash"`
	Custom        jsontext.Value `json:"custom_password_hash"`
	SetAt         jsontext.Value `json:"password_set_date"`
	SetAt2        jsontext.Value `json:"passwordSetDate"`
	Tenant        string         `json:"tenant"`
	Connection    string         `json:"connection"`
}

// parseLine reads one entry. The user id is alt_id if there is one: the id with which the
// user was imported into Auth0, and that Auth0 uses. With errDate it returns the user.
func parseLine(text []byte) (Hash, error) {
	var read line
	if err := strictjson.Unmarshal(text, &read); err != nil {
		return Hash{}, errJSON // the error's own text may quote the entry
	}
	id := read.AltID
	if id == "" {
		var err error
		if id, err = objectID(read.ID, read.UpperID, read.UserID, read.CamelID, read.PlainID); err != nil {
			return Hash{}, err
		}
	}
	if id = strings.TrimPrefix(id, databases); id == "" {
		return Hash{}, errNoID
	}
	hash := Hash{Subject: databases + id, Hash: read.PasswordHash, Tenant: read.Tenant, Connection: read.Connection}
	if hash.Hash.Empty() {
		hash.Hash = read.PasswordHash2
	}
	if hash.Hash.Empty() {
		hash.Hash = read.PasswordHash3
	}
	if read.Custom.Kind() == '{' {
		hash.Custom = secret.New(string(read.Custom))
	}
	if hash.Hash.Empty() && hash.Custom.Empty() {
		return Hash{}, errNoHash
	}
	set := read.SetAt
	if len(set) == 0 {
		set = read.SetAt2
	}
	var err error
	if hash.SetAt, err = parseDate(set); err != nil {
		return Hash{Subject: hash.Subject}, err
	}
	return hash, nil
}

// objectID reads {"$oid":"…"}, or a text. The strict decoder has checked the keys of the
// whole line already.
func objectID(values ...jsontext.Value) (id string, err error) {
	for _, value := range values {
		var object struct {
			OID string `json:"$oid"`
		}
		switch value.Kind() {
		case '{':
			err = json.Unmarshal(value, &object)
			id = object.OID
		case '"':
			err = json.Unmarshal(value, &id)
		default:
			continue
		}
		if err != nil || id == "" {
			return "", errNoID
		}
		return id, nil
	}
	return "", errNoID
}

// parseDate reads a date, or {"$date":…} with one: a text, a number of milliseconds or
// seconds since 1970, or milliseconds as {"$numberLong":"…"}. Without a value, or with null,
// the time is zero.
func parseDate(value jsontext.Value) (time.Time, error) {
	if len(value) == 0 {
		return time.Time{}, nil
	}
	switch value.Kind() {
	case 'n':
		return time.Time{}, nil
	case '"', '0':
	case '{':
		var object struct {
			Date jsontext.Value `json:"$date"`
		}
		if err := json.Unmarshal(value, &object); err != nil {
			return time.Time{}, errDate
		}
		value = object.Date
	default:
		return time.Time{}, errDate
	}
	at, err := parseInstant(value)
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}, errDate
	}
	return at, nil
}

func parseInstant(value jsontext.Value) (time.Time, error) {
	switch value.Kind() {
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return time.Time{}, err
		}
		return parseText(text)
	case '0':
		return parseNumber(string(value))
	case '{':
		var object struct {
			Long string `json:"$numberLong"`
		}
		if err := json.Unmarshal(value, &object); err != nil {
			return time.Time{}, err
		}
		return parseMillis(object.Long)
	default:
		return time.Time{}, errDate
	}
}

// parseText reads a text. One without a time zone is UTC, as Auth0's times are; a day begins
// at midnight. Forms in which day and month can be mistaken are not read.
func parseText(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", time.DateTime + " UTC", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	if len(text) < len("1000000000") { // a day without dashes is not a number of seconds
		return time.Time{}, errDate
	}
	return parseNumber(text)
}

// secondsBelow distinguishes seconds from milliseconds: as seconds it is the year 5138, as
// milliseconds 1973.
const secondsBelow = 100_000_000_000

func parseNumber(digits string) (time.Time, error) {
	at, err := parseMillis(digits)
	if millis := at.UnixMilli(); err == nil && millis > 0 && millis < secondsBelow {
		at = time.Unix(millis, 0).UTC()
	}
	return at, err
}

func parseMillis(digits string) (time.Time, error) {
	millis, err := strconv.ParseInt(digits, 10, 64)
	return time.UnixMilli(millis).UTC(), err
}
