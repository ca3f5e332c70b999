package recording

import (
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ferry/outcome"
	"ferry/secret"
	"ferry/wire"
)

// Event is one hook call and its answer.
type Event struct {
	Time  time.Time
	Route string
	Shape string
	// Header is the complete request header, including the key. Only headerNames are
	// recorded.
	Header http.Header
	// Body is the redacted body; nil if the body was not read.
	Body json.RawMessage
	// Identifier and Password are as typed, to be sealed. Both are empty after a match, and
	// Password is empty if Auth0 accepted it or may have accepted it. They go no further
	// than Writer.Record.
	Identifier string
	Password   secret.String
	// Status and Answer are ferry's answer. Answer is empty if it holds personal data.
	Status int
	Answer string

	// Outcome and the fields below are those of the log line.
	Outcome        string
	Reason         string
	IdentityID     string
	IdentifierHash string
	UpstreamStatus int
	UpstreamCode   string
	Took           time.Duration
	KratosTook     time.Duration
	UpstreamTook   time.Duration
}

// record returns the record of the event, with the credentials sealed for key.
func (e Event) record(key *[32]byte, hash func(string) string) Record {
	r := Record{
		Version: Version, Time: e.Time.UTC(), Route: e.Route, Shape: e.Shape, Headers: headers(e.Header, hash), Body: e.Body,
		Status: e.Status, Outcome: e.Outcome, Reason: e.Reason, IdentityID: e.IdentityID, Identifier: e.IdentifierHash,
		UpstreamStatus: e.UpstreamStatus, UpstreamCode: e.UpstreamCode, Took: map[string]float64{"total": milliseconds(e.Took)},
	}
	if e.Answer != "" {
		r.Answer = json.RawMessage(e.Answer)
	}
	if e.KratosTook > 0 {
		r.Took["kratos"] = milliseconds(e.KratosTook)
	}
	if e.UpstreamTook > 0 {
		r.Took["auth0"] = milliseconds(e.UpstreamTook)
	}
	if key != nil && e.Identifier != "" && e.Outcome != outcome.Match.String() && e.Outcome != outcome.Observed.String() {
		r.Sealed = seal(key, e.Identifier, e.Password)
	}
	return r
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// The recorded headers. Except for User-Agent, only valid values are recorded, because
// calls without the key are recorded too.
const (
	headerContentType     = "Content-Type"
	headerContentEncoding = "Content-Encoding"
	headerContentLength   = "Content-Length"
	headerUserAgent       = "User-Agent"
	headerTraceparent     = "Traceparent"
)

// headerNames are the headers that a Record may have.
func headerNames() []string {
	return []string{
		headerContentType, headerContentEncoding, headerContentLength, headerUserAgent, wire.HeaderRequestID, wire.HeaderTriggerID, headerTraceparent,
	}
}

var (
	mediaPattern    = regexp.MustCompile(`^[A-Za-z0-9.+-]{1,40}/[A-Za-z0-9.+-]{1,40}(; ?charset="?[A-Za-z0-9-]{1,20}"?)?$`)
	encodingPattern = regexp.MustCompile(`^(?i:gzip|deflate|br|zstd|compress|identity)$`)
	tracePattern    = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

const maxUserAgent = 256

// headers returns the recorded part of a header.
func headers(header http.Header, hash func(string) string) map[string]string {
	kept := map[string]string{}
	for _, name := range headerNames() {
		value := header.Get(name)
		if value == "" {
			continue
		}
		switch name {
		case headerContentType:
			value = mediaType(value)
			value = onlyWhere(mediaPattern.MatchString(value), value, hash)
		case headerContentEncoding:
			value = onlyWhere(encodingPattern.MatchString(value), value, hash)
		case headerContentLength:
			value = roundedUp(value)
		case headerUserAgent:
			value = value[:min(len(value), maxUserAgent)]
		case headerTraceparent:
			value = onlyWhere(tracePattern.MatchString(value), value, hash)
		default:
			value = onlyWhere(uuid.Validate(value) == nil, value, hash)
		}
		if value != "" {
			kept[name] = value
		}
	}
	return kept
}

// mediaType returns a media type in canonical form, without parameters except charset. An
// invalid one is returned as it is.
func mediaType(value string) string {
	media, params, err := mime.ParseMediaType(value)
	if err != nil {
		return value
	}
	kept := map[string]string{}
	if charset, ok := params["charset"]; ok {
		kept["charset"] = charset
	}
	if formatted := mime.FormatMediaType(media, kept); formatted != "" {
		return formatted
	}
	return value
}

// onlyWhere returns the value if it is valid, else its hash, by which equal values can
// still be recognized.
func onlyWhere(sound bool, value string, hash func(string) string) string {
	if sound {
		return value
	}
	return HashMark + hash(value)
}

// roundedUp rounds a length up, to hide the length of the password.
func roundedUp(length string) string {
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return ""
	}
	return strconv.FormatInt((n+padTo-1)/padTo*padTo, 10)
}
