package kratos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ferry/outcome"
)

const (
	pageSize    = 500
	pageRetries = 3
)

// Walk calls each for every identity, in the order of their ids, and stops at its first
// error. It holds one page of 500 in memory, retries a failed page up to three times, and
// waits between two pages as Options.Rest says.
// Identities created or deleted meanwhile may or may not be included; the others come
// exactly once, including those that ferry did not make: see Record.Foreign.
func (c *Client) Walk(ctx context.Context, each func(Record) error) error {
	asked := map[string]bool{}
	token := ""
	for {
		asked[token] = true
		began := time.Now()
		items, next, err := c.pageWithRetry(ctx, token)
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
		if c.rest != nil {
			if err := sleep(ctx, c.rest(time.Since(began))); err != nil {
				return noAnswer(err)
			}
		}
		token = next
	}
}

func (c *Client) pageWithRetry(ctx context.Context, token string) (items []jsontext.Value, next string, err error) {
	pause := c.retryPause
	for try := 0; ; try++ {
		items, next, err = c.page(ctx, token)
		if err == nil || try == pageRetries || !isTemporary(err) {
			return items, next, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, "", noAnswer(err)
		}
		pause *= 2
	}
}

// isTemporary reports whether the same request may succeed later.
func isTemporary(err error) bool {
	var fault *Error
	return errors.As(err, &fault) && fault.Outcome == outcome.Unavailable && fault.Reason != "caller_gone" && fault.Reason != "not_there"
}

// page reads one page. token is empty for the first page, next after the last.
func (c *Client) page(ctx context.Context, token string) (items []jsontext.Value, next string, err error) {
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
		return nil, "", invalidResponse("no_link") // a proxy dropped it: there may be more
	}
	return items, next, nil
}

var (
	// linkForm matches a link of a Link header (RFC 8288): its target and parameters.
	linkForm  = regexp.MustCompile(`<([^<>]*)>((?:` + paramForm.String() + `)*)`)
	paramForm = regexp.MustCompile(`\s*;\s*([\w*!-]+)\s*=\s*(?:"([^"]*)"|([^\s",;<]+))`)
)

// nextToken returns the page_token of the link to the next page; empty on the last page.
// The rest of the link does not matter: it is not followed. linked is false if there is no
// link at all: Kratos sends one to the first page with every page.
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

// isNext reports whether a link's parameters contain rel="next"; the first rel counts.
func isNext(params string) bool {
	for _, param := range paramForm.FindAllStringSubmatch(params, -1) {
		if strings.EqualFold(param[1], "rel") {
			return slices.Contains(strings.Fields(strings.ToLower(param[2]+param[3])), "next")
		}
	}
	return false
}
