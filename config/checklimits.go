package config

const (
	// maxBruteForce is the highest threshold that Auth0 takes.
	maxBruteForce   = 100
	maxSuspiciousIP = 100_000
	maxPerUser      = 100_000
)

func (c *Config) checkLimits(k *checker) {
	// With a threshold of 1 ferry could never ask.
	k.require(c.Auth0BruteForceAttempts == 0 || c.Auth0BruteForceAttempts >= 2 && c.Auth0BruteForceAttempts <= maxBruteForce,
		"AUTH0_BRUTE_FORCE_ATTEMPTS", "must be between 2 and 100, or 0 for no limit")
	k.require(c.Auth0SuspiciousIPAttempts >= 0 && c.Auth0SuspiciousIPAttempts <= maxSuspiciousIP,
		"AUTH0_SUSPICIOUS_IP_ATTEMPTS", "must be between 0 and 100000")
	k.require(c.AttemptsPerUser >= 0 && c.AttemptsPerUser <= maxPerUser, "ATTEMPTS_PER_USER", "must be between 0 and 100000")
}
