package plan

import (
	"regexp"
	"strconv"

	"golang.org/x/crypto/bcrypt"

	"ferry/secret"
)

// bcryptForm matches a bcrypt hash of a version that Kratos accepts.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

// usable reports whether Kratos can verify a password against the hash. Auth0's hashes are
// bcrypt.
func usable(hash secret.String) bool {
	match := bcryptForm.FindStringSubmatch(hash.Reveal())
	if match == nil {
		return false
	}
	cost, err := strconv.Atoi(match[1])
	return err == nil && cost >= bcrypt.MinCost && cost <= bcrypt.MaxCost
}
