package recording

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"

	"ferry/secret"
)

const (
	keyBytes = 32
	// padTo is the block size of sealed texts. Padding hides the length of the password.
	padTo = 128
	// maxSealed is more than any credentials that could match.
	maxSealed = 4096
)

// The errors of keys and sealed credentials. They quote nothing.
var (
	ErrKey    = errors.New("not a key of `ferry record keygen`: 32 bytes in base64")
	ErrSealed = errors.New("not sealed for this key")
)

// GenerateKey returns a new key pair. The public key seals credentials, and only the private
// key opens them.
func GenerateKey() (public, private *[32]byte, err error) {
	public, private, err = box.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	return public, private, nil
}

// FormatKey returns the text of a key, for ParseKey.
func FormatKey(key *[32]byte) string { return base64.StdEncoding.EncodeToString(key[:]) }

// ParseKey reads a public or private key from its text, or from the text of a file in which
// comment lines begin with #. The error is ErrKey.
func ParseKey(text string) (*[32]byte, error) {
	found := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if found != "" {
			return nil, ErrKey
		}
		found = line
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(found)
	if err != nil || len(raw) != keyBytes {
		return nil, ErrKey
	}
	return (*[32]byte)(raw), nil
}

// PublicKey returns the public key of a private key.
func PublicKey(private *[32]byte) (*[32]byte, error) {
	public, err := curve25519.X25519(private[:], curve25519.Basepoint)
	if err != nil {
		return nil, ErrKey
	}
	return (*[32]byte)(public), nil
}

// checkPublic rejects the few public keys that seal nothing.
func checkPublic(key *[32]byte) error {
	var any32 [32]byte
	_, _ = rand.Read(any32[:]) // never fails: crypto/rand crashes the process instead
	if _, err := curve25519.X25519(any32[:], key[:]); err != nil {
		return ErrKey
	}
	return nil
}

// credentials are the sealed values.
type credentials struct {
	Identifier string `json:"identifier"`
	Password   string `json:"password"`
}

// seal seals identifier and password, as typed, for the owner of the private key, in a sealed
// box of libsodium. It returns "" if they are longer than maxSealed.
func seal(public *[32]byte, identifier string, password secret.String) string {
	if len(identifier)+password.Len() > maxSealed {
		return ""
	}
	text, err := json.Marshal(credentials{identifier, password.Reveal()}) //nolint:gosec // G117: to be sealed
	if err != nil {
		return ""
	}
	padded := bytes.Repeat([]byte(" "), (len(text)+padTo-1)/padTo*padTo)
	copy(padded, text)
	defer func() { clear(text); clear(padded) }()
	sealed, err := box.SealAnonymous(nil, padded, public, rand.Reader)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(sealed)
}

// Open returns the credentials in Record.Sealed. The password is empty if Auth0 had accepted
// it. The error is ErrSealed or ErrKey.
func Open(text string, private *[32]byte) (identifier, password string, err error) {
	public, err := PublicKey(private)
	if err != nil {
		return "", "", err
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", "", ErrSealed
	}
	plain, ok := box.OpenAnonymous(nil, sealed, public, private)
	var c credentials
	if !ok || json.Unmarshal(plain, &c) != nil {
		return "", "", ErrSealed
	}
	return c.Identifier, c.Password, nil
}
