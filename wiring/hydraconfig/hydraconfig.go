// Package hydraconfig makes the part of hydra.yml that applications need which come from Auth0.
// It reads and writes no files.
package hydraconfig

import (
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"

	"ferry/wire"
)

// DefaultGrace is a grace period that covers a lost answer and its repetition.
const DefaultGrace = 30 * time.Second

// MaxGrace is the longest grace period that Hydra accepts.
const MaxGrace = 5 * time.Minute

// Options say what the configuration is for.
type Options struct {
	// Issuer is https://DOMAIN/, with the domain that is built into the applications. Required.
	Issuer string
	// TokenFront is true if ferry's token front is in front of Hydra, and answers at Auth0's paths.
	TokenFront bool
	// Grace is how long a rotated refresh token is still valid, in whole seconds.
	Grace time.Duration
	// Claims are at the top level of access tokens.
	Claims []string
	// Login, Consent and Logout are the URLs of the pages; empty: they are not written.
	Login, Consent, Logout string
}

// LoggedOut is where Hydra sends a browser after a logout without an ID token: to the token front.
func (o Options) LoggedOut() string { return strings.TrimRight(o.Issuer, "/") + wire.LogoutDonePath }

// DefaultClaims are the claims that Auth0 writes into access tokens itself.
func DefaultClaims() []string { return []string{"azp", "permissions", "org_id"} }

// Check returns what is wrong with the options.
func (o Options) Check() error {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" || issuer.Path != "/" || issuer.RawQuery != "" || issuer.Fragment != "" || issuer.User != nil {
		return errors.New("the issuer must be https://DOMAIN/, with the slash at the end")
	}
	if o.Grace < 0 || o.Grace > MaxGrace || o.Grace%time.Second != 0 {
		return fmt.Errorf("the grace period must be whole seconds, between 0s and %s", MaxGrace)
	}
	for _, address := range []string{o.Login, o.Consent, o.Logout} {
		page, err := url.Parse(address)
		if address != "" && (err != nil || page.Host == "" || page.Scheme != "https" && page.Scheme != "http") {
			return errors.New("a page must be an http or https URL")
		}
	}
	for _, claim := range o.Claims {
		if claim == "" || strings.ContainsFunc(claim, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
			return errors.New("a claim must be a name without blanks, such as permissions or https://example.com/roles")
		}
	}
	return nil
}

//go:embed hydra.yml.tmpl
var source string

// Fragment returns the part of hydra.yml, as YAML with comments. The options must pass Check.
func Fragment(o Options) (string, error) {
	made, err := template.New("hydra.yml").Funcs(template.FuncMap{"quote": strconv.Quote, "duration": seconds}).Parse(source)
	if err != nil {
		return "", fmt.Errorf("make hydra.yml: %w", err)
	}
	var text strings.Builder
	if err := made.Execute(&text, o); err != nil {
		return "", fmt.Errorf("make hydra.yml: %w", err)
	}
	return text.String(), nil
}

// seconds writes a duration as Hydra reads it.
func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }
