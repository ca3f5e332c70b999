package config

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"ferry/transport"
)

// AllClients in FERRY_REMINT_CLIENTS stands for every client of Hydra.
const AllClients = "*"

// Remints reports whether refresh tokens of Auth0 are replaced by those of Hydra.
func (c *Config) Remints() bool { return c.TokenListen != "" && len(c.RemintClients) > 0 }

// checkHydra checks the addresses of Hydra.
func (c *Config) checkHydra(k *checker) {
	public := checkHydraURL(k, "HYDRA_PUBLIC_URL", c.HydraPublicURL)
	admin := checkHydraURL(k, "HYDRA_ADMIN_URL", c.HydraAdminURL)
	k.require(c.HydraAdminURL == "" || c.HydraPublicURL != "", "HYDRA_PUBLIC_URL", "is not set, but FERRY_HYDRA_ADMIN_URL is; set both or neither")
	k.require(admin == nil || c.HydraAdminToken.Empty() || admin.Scheme == "https" || transport.IsLoopback(admin.Hostname()), "HYDRA_ADMIN_URL", "must be https, or http on loopback: FERRY_HYDRA_ADMIN_TOKEN is sent there")
	k.require(public == nil || admin == nil || public.Host != admin.Host || public.Path != admin.Path, "HYDRA_PUBLIC_URL", "is the same as FERRY_HYDRA_ADMIN_URL: the token front would let everyone use the admin API")
}

func (c *Config) checkTokenFront(k *checker) {
	k.require(c.TokenTrustedProxies >= 0 && c.TokenTrustedProxies <= maxProxies, "TOKEN_TRUSTED_PROXIES", "must be between 0 and 16")
	k.require(c.TokenPerMinute >= 1 && c.TokenPerMinute <= maxPerMinute, "TOKEN_PER_MINUTE", "must be between 1 and 100000")
	if c.TokenListen != "" {
		k.require(c.HydraPublicURL != "", "HYDRA_PUBLIC_URL", "is not set, but FERRY_TOKEN_LISTEN needs it")
		k.require(c.HydraAdminURL != "", "HYDRA_ADMIN_URL", "is not set, but FERRY_TOKEN_LISTEN needs it")
	}
	k.require(!slices.ContainsFunc(c.RemintClients, func(id string) bool { return id == "" || strings.TrimSpace(id) != id }), "REMINT_CLIENTS", "contains an empty client id, or blanks around one")
	k.require(len(c.RemintClients) < 2 || !slices.Contains(c.RemintClients, AllClients), "REMINT_CLIENTS", "has * beside other clients: * stands for all of them")
	k.require(len(slices.Compact(slices.Sorted(slices.Values(c.RemintClients)))) == len(c.RemintClients), "REMINT_CLIENTS", "lists a client twice")
	k.require(len(c.RemintClients) == 0 || c.TokenListen != "", "TOKEN_LISTEN", "is not set, but FERRY_REMINT_CLIENTS needs it")
	k.require(!c.Remints() || c.Redis() || c.DataDir != "", "DATA_DIR", "is not set, but FERRY_REMINT_CLIENTS needs it, or Redis: what Auth0 answers must outlive a restart")
	k.require(!c.Remints() || utf8.RuneCountInString(c.StateKey.Reveal()) >= minKeyLength, "STATE_KEY", "must have 32 characters or more if FERRY_REMINT_CLIENTS is set: tokens are kept encrypted")
}

func checkHydraURL(k *checker, name, text string) *url.URL {
	if text == "" {
		return nil
	}
	parsed, problem := parseURL(text)
	k.require(problem == "", name, problem)
	return parsed
}
