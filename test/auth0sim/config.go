package auth0sim

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// DefaultDomain is the tenant domain if [Config] has none.
const DefaultDomain = "sim.auth0.test"

// Config configures a simulator. The zero value is an empty tenant called
// [DefaultDomain] with Auth0's default limits and the cheapest password hashes.
type Config struct {
	// Domain is the tenant's domain. Tokens name https://DOMAIN/ as their
	// issuer, independent of the address that the simulator listens on.
	Domain string
	// Issuer replaces https://DOMAIN/ in tokens and in the discovery document.
	Issuer string
	// Clock is the source of time; nil means the system clock. See
	// [Server.SetClock] and [Server.Advance].
	Clock func() time.Time
	// Log gets one line per request, without passwords, tokens or secrets; nil
	// is silence.
	Log io.Writer
	// Tenant is what exists at the start; nil is an empty tenant.
	Tenant *Tenant
	// Settings are the limits and answers; nil is [DefaultSettings].
	Settings *Settings
}

// withDefaults fills in empty fields, and validates the others.
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
	if c.Clock == nil {
		c.Clock = time.Now
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
	return c, nil
}
