package auth0sim

import (
	"fmt"
	"io"
)

// Seed is a tenant in a file, with the settings it starts with: one JSON
// object, the members of [Tenant] and "settings".
type Seed struct {
	Tenant

	// Settings override [DefaultSettings].
	Settings Settings `json:"settings"`
}

// ReadSeed reads a seed file. Unknown keys are refused.
func ReadSeed(r io.Reader) (Seed, error) {
	seed := Seed{Settings: DefaultSettings()}
	if err := decodeStrict(r, &seed); err != nil {
		return Seed{}, fmt.Errorf("seed: %w", err)
	}
	if err := seed.Settings.check(); err != nil {
		return Seed{}, fmt.Errorf("seed: %w", err)
	}
	return seed, nil
}
