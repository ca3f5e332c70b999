package auth0sim

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxPerPage     = 100
	defaultPerPage = 50
	// maxPaged is how many users can be paged through.
	maxPaged = 1000
)

// listQuery is the query string of a list.
type listQuery struct {
	url.Values

	page, perPage int
	totals        bool
}

// readListQuery refuses parameters that are unknown or no good, and repeated ones
// but for those named many.
func readListQuery(raw, many string, known ...string) (listQuery, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return listQuery{}, errors.New("unreadable")
	}
	q := listQuery{Values: values, perPage: defaultPerPage}
	known = append(known, "page", "per_page", "include_totals")
	for name, all := range values {
		if !slices.Contains(known, name) && name != many || len(all) > 1 && name != many {
			return listQuery{}, fmt.Errorf("additional or repeated property: %s", name)
		}
	}
	if values.Has("page") {
		if q.page, err = strconv.Atoi(values.Get("page")); err != nil || q.page < 0 {
			return listQuery{}, errors.New("page: expected an integer of 0 or more")
		}
	}
	if values.Has("per_page") {
		if q.perPage, err = strconv.Atoi(values.Get("per_page")); err != nil || q.perPage < 0 || q.perPage > maxPerPage {
			return listQuery{}, errors.New("per_page: expected an integer from 0 to 100")
		}
	}
	if values.Has("include_totals") {
		if q.totals, err = strconv.ParseBool(values.Get("include_totals")); err != nil {
			return listQuery{}, errors.New("include_totals: expected a boolean")
		}
	}
	return q, nil
}

// beyond says whether the page ends after the last user that can be paged to. No
// page number is too large to be asked.
func (q listQuery) beyond() bool {
	return q.perPage > 0 && q.page > (maxPaged-q.perPage)/q.perPage
}

// bounds are where the page begins and ends in a list of n.
func (q listQuery) bounds(n int) (from, to int) {
	if q.perPage > 0 && q.page > n/q.perPage {
		return n, n
	}
	from = min(q.page*q.perPage, n)
	return from, min(from+q.perPage, n)
}

// answer is one page of a list under its name, bare or with totals.
func (q listQuery) answer(name string, items []map[string]any, total int) response {
	if !q.totals {
		return managementResponse(items)
	}
	return managementResponse(map[string]any{
		"start": q.page * q.perPage, "limit": q.perPage, "length": len(items), "total": total, name: items,
	})
}

// search is the one term of a query in Lucene's syntax that the simulator knows; the
// zero value finds everybody.
type search struct{ field, value string }

// The fields that can be searched for.
const (
	searchConnection = "identities.connection"
	searchEmail      = "email"
	searchUsername   = "username"
	searchUserID     = "user_id"
)

var (
	searchTerm   = regexp.MustCompile(`^([a-z_.]+):"((?s:[^"\\]|\\.)*)"$`)
	searchEscape = regexp.MustCompile(`(?s)\\(.)`)
)

// parseSearch reads the parameter q.
func parseSearch(q string) (search, error) {
	if q == "" {
		return search{}, nil
	}
	parts := searchTerm.FindStringSubmatch(q)
	if parts == nil {
		return search{}, errors.New(`q: expected field:"value"`)
	}
	s := search{parts[1], searchEscape.ReplaceAllString(parts[2], "$1")}
	switch s.field {
	case searchConnection, searchEmail, searchUsername, searchUserID:
		return s, nil
	}
	return search{}, errors.New("q: this field is not imitated")
}

// String is the query again.
func (s search) String() string {
	if s.field == "" {
		return ""
	}
	return s.field + `:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.value) + `"`
}

// finds says whether a user matches: e-mail addresses and usernames without
// regard to case [INF].
func (s search) finds(u User) bool {
	switch s.field {
	case searchConnection:
		return u.livesIn(s.value)
	case searchEmail:
		return strings.EqualFold(u.Email, s.value)
	case searchUsername:
		return strings.EqualFold(u.Username, s.value)
	case searchUserID:
		return u.ID == s.value
	}
	return true
}
