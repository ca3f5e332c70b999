package clients

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"ferry/hydra/redirect"
)

// callbacks registers the callbacks that Hydra can match.
func (b *builder) callbacks() {
	for _, callback := range b.app.Callbacks {
		b.expand("callbacks", callback, func(target string) {
			if reason := callbackFault(target); reason != "" {
				b.lose("callbacks", target, reason, "")
				return
			}
			b.plan.Client.RedirectUris = addNew(b.plan.Client.RedirectUris, target)
		})
	}
}

// expand calls take with a URL, or with those that it stands for.
func (b *builder) expand(field, pattern string, take func(string)) {
	if targets, ok := b.opts.Expansions[pattern]; ok {
		for _, target := range targets {
			take(target)
		}
		return
	}
	switch {
	case strings.Contains(pattern, "{"):
		b.lose(field, pattern, ReasonPlaceholder, "")
	case strings.Contains(pattern, "*"):
		b.lose(field, pattern, ReasonWildcard, "")
	default:
		take(pattern)
	}
}

// callbackFault returns why Hydra cannot use a redirect URI; empty: it can.
func callbackFault(callback string) Reason {
	u, err := url.ParseRequestURI(callback)
	switch {
	case err != nil, u.Scheme == "":
		return ReasonInvalidURL
	case strings.Contains(callback, "#"):
		return ReasonFragment
	case u.Scheme == "http" && !redirect.IsLocalhost(u.Hostname()):
		return ReasonPlainHTTP
	}
	return ""
}

// logoutURLs registers the logout URLs that Hydra takes.
func (b *builder) logoutURLs() {
	for _, logout := range b.app.LogoutURLs {
		b.expand("allowed_logout_urls", logout, func(target string) {
			u, err := url.ParseRequestURI(target)
			switch {
			case err != nil, u.Scheme == "":
				b.lose("allowed_logout_urls", target, ReasonInvalidURL, "")
			case !slices.ContainsFunc(b.plan.Client.RedirectUris, func(redirect string) bool { return sameOrigin(redirect, u) }):
				b.lose("allowed_logout_urls", target, ReasonOtherOrigin, "")
			default:
				b.plan.Client.PostLogoutRedirectUris = addNew(b.plan.Client.PostLogoutRedirectUris, target)
			}
		})
	}
}

// sameOrigin compares scheme, host and port, as Hydra does: a default port is not the same as
// none.
func sameOrigin(redirect string, u *url.URL) bool {
	other, err := url.Parse(redirect)
	return err == nil && other.Hostname() == u.Hostname() && other.Port() == u.Port() && other.Scheme == u.Scheme
}

// origins registers the CORS origins. Auth0 allows those of the callbacks as well, which matters
// to applications in a browser.
func (b *builder) origins() {
	for _, field := range []struct {
		name   string
		values []string
	}{{"web_origins", b.app.WebOrigins}, {"allowed_origins", b.app.AllowedOrigins}} {
		for _, value := range field.values {
			switch origin, ok := corsOrigin(value); {
			case strings.Contains(value, "{"):
				b.lose(field.name, value, ReasonPlaceholder, "")
			case !ok:
				b.lose(field.name, value, ReasonOrigin, "")
			default:
				b.addOrigin(origin)
			}
		}
	}
	if b.app.Type != "spa" {
		return
	}
	for _, redirect := range b.plan.Client.RedirectUris {
		if u, err := url.Parse(redirect); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			b.addOrigin(u.Scheme + "://" + u.Host)
		}
	}
}

func (b *builder) addOrigin(origin string) {
	b.plan.Client.AllowedCorsOrigins = addNew(b.plan.Client.AllowedCorsOrigins, origin)
}

// corsOrigin returns an origin as Hydra stores it.
func corsOrigin(value string) (string, bool) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return "", false
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	return u.String(), true
}

// backChannel registers the URL that Hydra calls at a logout.
func (b *builder) backChannel() {
	for i, target := range b.app.Logout.BackChannel {
		if i > 0 {
			b.lose("oidc_logout.backchannel_logout_urls", target, ReasonNoCounterpart, "Hydra calls one URL")
			continue
		}
		session := true
		b.plan.Client.BackchannelLogoutUri, b.plan.Client.BackchannelLogoutSessionRequired = &target, &session
	}
}

func addNew(values []string, value string) []string {
	if slices.Contains(values, value) {
		return values
	}
	return append(values, value)
}

// ParseExpansions reads the values PATTERN=URL,... that say what callbacks with a wildcard or a
// placeholder stand for. Each URL must fit its pattern, so that a typing error does not send codes
// to someone else.
func ParseExpansions(values []string) (map[string][]string, error) {
	expansions := map[string][]string{}
	for _, value := range values {
		pattern, urls, ok := cutExpansion(value)
		if !ok {
			return nil, fmt.Errorf("--expand-callback %s: want PATTERN=URL, with more URLs after commas", value)
		}
		fits, err := patternOf(pattern)
		if err != nil {
			return nil, fmt.Errorf("--expand-callback %s: %w", pattern, err)
		}
		for _, target := range urls {
			if !fits.MatchString(target) {
				return nil, fmt.Errorf("--expand-callback %s: %s does not fit the pattern", pattern, target)
			}
			expansions[pattern] = addNew(expansions[pattern], target)
		}
	}
	return expansions, nil
}

// cutExpansion splits at the first = that absolute URLs follow: a pattern can have one in its
// query.
func cutExpansion(value string) (pattern string, urls []string, ok bool) {
	for i := range len(value) {
		if value[i] != '=' {
			continue
		}
		urls = strings.Split(value[i+1:], ",")
		if !slices.ContainsFunc(urls, func(target string) bool {
			return !strings.Contains(target, "://") || callbackFault(target) == ReasonInvalidURL
		}) {
			return value[:i], urls, true
		}
	}
	return "", nil, false
}

var errNotWild = errors.New("it has no * and no {…}, so it stands for itself")

// patternOf returns an expression for the URLs that a callback of Auth0 stands for. In a host a
// wildcard is a part of a name; elsewhere it is anything but another part of a URL.
func patternOf(pattern string) (*regexp.Regexp, error) {
	if !strings.ContainsAny(pattern, "*{") {
		return nil, errNotWild
	}
	scheme, rest, _ := strings.Cut(pattern, "://")
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.Count(pattern, "{") != strings.Count(pattern, "}") {
		return nil, errors.New("its braces do not match")
	}
	return regexp.Compile("^" + regexp.QuoteMeta(scheme+"://") + open(host, "[A-Za-z0-9._-]+") + open(path, "[^?#]*") + "$")
}

// open quotes a text for an expression, and replaces what is left open in it.
func open(text, by string) string {
	var out strings.Builder
	for text != "" {
		i := strings.IndexAny(text, "*{")
		if i < 0 {
			i = len(text)
		}
		out.WriteString(regexp.QuoteMeta(text[:i]))
		if text = text[i:]; text == "" {
			break
		}
		out.WriteString(by)
		if end := strings.IndexByte(text, '}'); text[0] == '{' && end > 0 {
			text = text[end+1:]
		} else {
			text = text[1:]
		}
	}
	return out.String()
}
