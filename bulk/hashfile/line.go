package hashfile

import (
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ferry/secret"
	"ferry/strictjson"
)

// databases is the provider of users with a password in Auth0's own store.
const databases = "auth0|"

var (
	errNoID   = errors.New("there is neither an alt_id nor an _id")
	errNoHash = errors.New("there is no passwordHash")
	errDate   = errors.New("password_set_date is not a date")
)

// line is an entry of the file. Ory's guide shows the id as _ID; the decoder refuses a line
// with both spellings.
type line struct {
	ID           jsontext.Value `json:"_id"`
	UpperID      jsontext.Value `json:"_ID"`
	AltID        string         `json:"alt_id"`
	PasswordHash secret.String  `json:"passwordHash"`
	Custom       jsontext.Value `json:"custom_password_hash"`
	SetAt        jsontext.Value `json:"password_set_date"`
	Tenant       string         `json:"tenant"`
	Connection   string         `json:"connection"`
}

// parseLine reads one entry. The user id is alt_id if there is one: the id with which the
// user was imported into Auth0, and that Auth0 uses.
func parseLine(text []byte) (Hash, error) {
	var read line
	if err := strictjson.Unmarshal(text, &read); err != nil {
		return Hash{}, err
	}
	id := read.AltID
	if id == "" {
		var err error
		if id, err = objectID(read.ID, read.UpperID); err != nil {
			return Hash{}, err
		}
	}
	hash := Hash{Subject: databases + id, Hash: read.PasswordHash, Tenant: read.Tenant, Connection: read.Connection}
	if read.Custom.Kind() == '{' {
		hash.Custom = secret.New(string(read.Custom))
	}
	if hash.Hash.Empty() && hash.Custom.Empty() {
		return Hash{}, errNoHash
	}
	var err error
	hash.SetAt, err = parseDate(read.SetAt)
	if err != nil {
		return Hash{}, err
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

// parseDate reads a text, or {"$date":…} with a text, with milliseconds, or with
// milliseconds as {"$numberLong":"…"}. Without a value, or with null, the time is zero.
func parseDate(value jsontext.Value) (time.Time, error) {
	if len(value) == 0 {
		return time.Time{}, nil
	}
	switch value.Kind() {
	case 'n':
		return time.Time{}, nil
	case '"':
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
		at, err := time.Parse(time.RFC3339, text)
		return at.UTC(), err
	case '0':
		return parseMillis(string(value))
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

func parseMillis(digits string) (time.Time, error) {
	millis, err := strconv.ParseInt(digits, 10, 64)
	return time.UnixMilli(millis).UTC(), err
}
