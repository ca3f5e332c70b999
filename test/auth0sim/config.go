package auth0sim

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// DefaultDomain is the tenant domain where [Config] names none.
const DefaultDomain = "sim.auth0.test"

const (
	defaultBcryptCost  = bcrypt.MinCost
	defaultJournalSize = 10000
)

// Config says what to simulate. The zero value is an empty tenant called
// [DefaultDomain] with Auth0's default limits and the cheapest password hashes.
type Config struct {
	// Domain is the tenant's domain. Tokens name https://DOMAIN/ as their
	// issuer, whatever address the simulator listens on.
	Domain string
	// Issuer replaces https://DOMAIN/ in tokens and in the discovery document.
	Issuer string
	// BcryptCost is the cost of the password hashes; 0 is 4, the lowest.
	BcryptCost int
	// Clock is where time comes from; nil is the machine's clock. See
	// [Server.SetClock] and [Server.Advance].
	Clock func() time.Time
	// Keys are the RS256 keys, generated when first needed; nil is one pool
	// shared by the whole process, because RSA keys are slow to generate.
	Keys *KeyPool
	// Log gets one line per request, without passwords, tokens or secrets; nil
	// is silence.
	Log io.Writer
	// Tenant is what exists at the start; nil is an empty tenant.
	Tenant *Tenant
	// Settings are the limits and answers; nil is [DefaultSettings].
	Settings *Settings
	// JournalSize is how many requests [Server.Requests] keeps; 0 is 10000.
	JournalSize int
	// TLS makes the simulator serve HTTPS; nil is plain HTTP.
	TLS *tls.Config
}

// withDefaults fills in what the caller left out, and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if c.Domain == "" {
		c.Domain = DefaultDomain
	}
	if strings.ContainsAny(c.Domain, "/ ") {
		return Config{}, fmt.Errorf("domain %q: want a host name, without scheme or path", c.Domain)
	}
	if c.Issuer == "" {
		c.Issuer = "https://" + c.Domain + "/"
	}
	if c.BcryptCost == 0 {
		c.BcryptCost = defaultBcryptCost
	}
	if c.BcryptCost < bcrypt.MinCost || c.BcryptCost > bcrypt.MaxCost {
		return Config{}, fmt.Errorf("bcrypt cost %d: want %d to %d", c.BcryptCost, bcrypt.MinCost, bcrypt.MaxCost)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Keys == nil {
		c.Keys = processKeys
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	if c.Tenant == nil {
		c.Tenant = &Tenant{}
	}
	if c.Settings == nil {
		settings := DefaultSettings()
		c.Settings = &settings
	}
	if c.JournalSize <= 0 {
		c.JournalSize = defaultJournalSize
	}
	return c, nil
}
