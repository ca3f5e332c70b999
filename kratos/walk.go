package kratos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"ferry/outcome"
)

const (
	pageSize    = 500
	pageRetries = 3
)

// Walk calls each for every identity, in the order of their ids, and ends with its
// first error. It holds one page of 500 in memory. A page that Kratos does not answer
// is asked for up to three times more. Identities that are created or deleted
// meanwhile may be missing or not; the others come once each.
//
// Identities that ferry did not make come too: see Record.Foreign.
func (c *Client) Walk(ctx context.Context, each func(Record) error) error {
	asked := map[string]bool{}
	token := ""
	for {
		asked[token] = true
		items, next, err := c.patientPage(ctx, token)
		if err != nil {
			return err
		}
		for _, item := range items {
			record, err := anyRecord(item)
			if err != nil {
				return err
			}
			if err := each(record); err != nil {
				return err
			}
		}
		switch {
		case next == "":
			return nil
		case asked[next]:
			return invalidResponse("page_again") // it would never end
		}
		token = next
	}
}

func (c *Client) patientPage(ctx context.Context, token string) (items []jsontext.Value, next string, err error) {
	pause := c.retryPause
	for try := 0; ; try++ {
		items, next, err = c.page(ctx, token)
		if err == nil || try == pageRetries || !passing(err) {
			return items, next, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, "", noAnswer(err)
		}
		pause *= 2
	}
}

// passing reports whether the same request may be answered in a while.
func passing(err error) bool {
	var fault *Error
	return errors.As(err, &fault) && fault.Outcome == outcome.Unavailable && fault.Reason != "caller_gone" && fault.Reason != "not_there"
}

// page reads one; token is empty for the first, next after the last.
func (c *Client) page(ctx context.Context, token string) (items []jsontext.Value, next string, err error) {
	ctx, cancel := c.many.bound(ctx)
	defer cancel()
	// Social logins are listed all the same; to include them makes Kratos decrypt tokens.
	call := c.many.ListIdentities(ctx).PageSize(pageSize).IncludeCredential([]string{password})
	if token != "" {
		call = call.PageToken(token)
	}
	items, header, err := list(call)
	if err != nil {
		var fault *Error
		if errors.As(err, &fault) && fault.Status == http.StatusBadRequest && token != "" {
			fault.Reason = "page_token_refused" // expired, or not from this Kratos
		}
		return nil, "", err
	}
	next, linked, err := nextToken(header.Values("Link"))
	switch {
	case err != nil:
		return nil, "", err
	case !linked && len(items) >= pageSize:
		return nil, "", invalidResponse("no_link") // lost on the way: there may be more
	}
	return items, next, nil
}

var (
	// linkForm is a link of a Link header (RFC 8288): its address and parameters.
	linkForm  = regexp.MustCompile(`<([^<>]*)>((?:` + paramForm.String() + `)*)`)
	paramForm = regexp.MustCompile(`\s*;\s*([\w*!-]+)\s*=\s*(?:"([^"]*)"|([^\s",;<]+))`)
)

// nextToken is the page_token of the link to the next page; empty: this is the last.
// Where the link leads besides does not matter, it is not followed. linked is false where
// there is no link at all: Kratos gives one to the first page with every page.
func nextToken(headers []string) (token string, linked bool, err error) {
	links := linkForm.FindAllStringSubmatch(strings.Join(headers, ","), -1)
	for _, link := range links {
		if !isNext(link[2]) {
			continue
		}
		to, err := url.Parse(link[1])
		if err != nil || to.Query().Get("page_token") == "" || token != "" {
			return "", true, invalidResponse("page_link")
		}
		token = to.Query().Get("page_token")
	}
	return token, len(links) > 0, nil
}

// isNext looks for rel="next" among a link's parameters; the first rel counts.
func isNext(params string) bool {
	for _, param := range paramForm.FindAllStringSubmatch(params, -1) {
		if strings.EqualFold(param[1], "rel") {
			return slices.Contains(strings.Fields(strings.ToLower(param[2]+param[3])), "next")
		}
	}
	return false
}
