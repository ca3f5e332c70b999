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
)

// Served is one call of a hook as it was answered.
type Served struct {
	Time  time.Time
	Route string
	Shape string
	// Header is the whole of it; what is not whitelisted is left out.
	Header http.Header
	// Body is what Redact left of it.
	Body json.RawMessage
	// Identifier and Password are as typed, to be sealed; empty where they must not
	// be. They go no further than Record.
	Identifier string
	Password   secret.String
	// Status and Answer are what was answered; no Answer where it tells of a person.
	Status int
	Answer string

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

// line is what is kept of the call, with what may be sealed sealed for key.
func (s Served) line(key *[32]byte, hash func(string) string) Line {
	l := Line{
		Version: Version, Time: s.Time.UTC(), Route: s.Route, Shape: s.Shape, Headers: headers(s.Header, hash), Body: s.Body,
		Status: s.Status, Outcome: s.Outcome, Reason: s.Reason, IdentityID: s.IdentityID, Identifier: s.IdentifierHash,
		UpstreamStatus: s.UpstreamStatus, UpstreamCode: s.UpstreamCode, Took: map[string]float64{"total": milliseconds(s.Took)},
	}
	if s.Answer != "" {
		l.Answer = json.RawMessage(s.Answer)
	}
	if s.KratosTook > 0 {
		l.Took["kratos"] = milliseconds(s.KratosTook)
	}
	if s.UpstreamTook > 0 {
		l.Took["auth0"] = milliseconds(s.UpstreamTook)
	}
	if key != nil && s.Identifier != "" && s.Outcome != outcome.Match.String() {
		l.Sealed = seal(key, s.Identifier, s.Password)
	}
	return l
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// The headers that are kept. Of all but the browser's name only what they are meant
// to hold: a caller without the key is recorded, too.
const (
	headerContentType     = "Content-Type"
	headerContentEncoding = "Content-Encoding"
	headerContentLength   = "Content-Length"
	headerUserAgent       = "User-Agent"
	headerRequestID       = "Ory-Webhook-Request-Id"
	headerTriggerID       = "Ory-Webhook-Trigger-Id"
	headerTraceparent     = "Traceparent"
)

// HeaderNames are the headers that a Line may have.
func HeaderNames() []string {
	return []string{
		headerContentType, headerContentEncoding, headerContentLength, headerUserAgent, headerRequestID, headerTriggerID, headerTraceparent,
	}
}

var (
	mediaPattern    = regexp.MustCompile(`^[A-Za-z0-9.+-]{1,40}/[A-Za-z0-9.+-]{1,40}(; ?charset="?[A-Za-z0-9-]{1,20}"?)?$`)
	encodingPattern = regexp.MustCompile(`^(?i:gzip|deflate|br|zstd|compress|identity)$`)
	tracePattern    = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

const maxUserAgent = 256

// headers are what is kept of a header.
func headers(header http.Header, hash func(string) string) map[string]string {
	kept := map[string]string{}
	for _, name := range HeaderNames() {
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

// mediaType is a media type without what does not matter: blanks, and parameters but
// the charset. What is none stays as it is.
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

// onlyWhere is the value where it is sound, else its hash, which still tells equal
// ones.
func onlyWhere(sound bool, value string, hash func(string) string) string {
	if sound {
		return value
	}
	return HashMark + hash(value)
}

// roundedUp hides how long a password is, as padding what is sealed does.
func roundedUp(length string) string {
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return ""
	}
	return strconv.FormatInt((n+padTo-1)/padTo*padTo, 10)
}
