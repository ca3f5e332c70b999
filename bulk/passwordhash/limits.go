package passwordhash

// What a hash may cost to verify. The limits on costs are those of the release after Kratos
// 26.2, which refuses the import of other hashes. Earlier ones take them, and every login
// with one costs that much.
const (
	minBcryptCost = 4
	maxBcryptCost = 15

	maxArgon2Memory      = 1 << 20 // KiB
	maxArgon2Iterations  = 10
	maxArgon2Parallelism = 16
	minArgon2SaltLength  = 8

	maxPBKDF2Iterations = 10_000_000

	maxScryptCost            = 1 << 17
	maxScryptBlockSize       = 8
	maxScryptParallelization = 10

	// minKeyLength is the minimum length of a derived key in bytes. Kratos derives as much
	// as the hash has, so every password would match an empty one.
	minKeyLength = 16
)

// within reports whether a parameter is at least 1 and at most as given.
func within(value, most uint32) bool { return value >= 1 && value <= most }
