package upstream

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	headerRetryAfter = "Retry-After"
	headerReset      = "X-Ratelimit-Reset"
	headerRemaining  = "X-Ratelimit-Remaining"
	headerLimit      = "X-Ratelimit-Limit"
	headerAuth0      = "Auth0-Ratelimit"
)

// rateLimit is what one of Auth0's headers says about a rate limit (contract, 4.4). A value
// that is missing, given twice or not a number of 0 or more is untold.
type rateLimit struct {
	limit, remaining int64         // untold if it was not told
	reset            time.Duration // until the limit resets; untold if it was not told
}

const untold = -1

// rateLimits returns what the headers say, by the name of the header.
func rateLimits(header http.Header, now time.Time) map[string]rateLimit {
	said := map[string]rateLimit{}
	classic := rateLimit{number(header, headerLimit), number(header, headerRemaining), untold}
	if unix := number(header, headerReset); unix != untold {
		classic.reset = max(time.Unix(unix, 0).Sub(clock(header, now)), 0)
	}
	if classic != (rateLimit{untold, untold, untold}) {
		said["x-ratelimit"] = classic
	}
	if tight, ok := parsePolicies(single(header, headerAuth0)); ok {
		said["auth0-ratelimit"] = tight
	}
	return said
}

// parsePolicies reads a header of several policies, such as
//
//	"login";q=100;r=0;t=12, b=per_hour;q=1000;r=900;t=60
//	limit=100, remaining=0, reset=12
//
// and returns the one of which the least remains. Auth0 does not document the form of
// Auth0-RateLimit; these are the forms of the IETF's drafts and of Auth0's quota headers. One
// value that cannot be read makes the header unreadable.
func parsePolicies(text string) (tight rateLimit, ok bool) {
	current := rateLimit{untold, untold, untold}
	tight = current
	end := func() {
		if current.remaining != untold && (tight.remaining == untold || current.remaining < tight.remaining) {
			tight = current
		}
		current = rateLimit{untold, untold, untold}
	}
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		key, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		var field *int64
		switch strings.ToLower(key) {
		case "q", "limit":
			field = &current.limit
		case "r", "remaining":
			field = &current.remaining
		case "t", "reset":
			field = (*int64)(&current.reset)
		default: // the name of the next policy
			end()
			continue
		}
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || *field != untold {
			return rateLimit{untold, untold, untold}, false
		}
		*field = int64(n)
		if field == (*int64)(&current.reset) {
			current.reset *= time.Duration(time.Second)
		}
	}
	end()
	return tight, tight.remaining != untold
}

// waitAsked is the delay that an answer asks for: Retry-After in seconds or as a date
// (RFC 9110, 10.2.3), else the time until a rate limit resets; 0 if it asks for none.
func waitAsked(header http.Header, now time.Time) time.Duration {
	after := single(header, headerRetryAfter)
	if seconds, err := strconv.ParseUint(after, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(after); err == nil {
		return date.Sub(clock(header, now))
	}
	wait := time.Duration(0)
	for _, said := range rateLimits(header, now) {
		wait = max(wait, said.reset)
	}
	return wait
}

// clock is Auth0's clock, where the answer has it: ferry's may differ.
func clock(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(single(header, "Date")); err == nil {
		return date
	}
	return now
}

// single returns the value of a header that is there once; else it is empty.
func single(header http.Header, name string) string {
	if values := header.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// number returns the number in a header, or untold.
func number(header http.Header, name string) int64 {
	n, err := strconv.ParseUint(single(header, name), 10, 63)
	if err != nil {
		return untold
	}
	return int64(n)
}
