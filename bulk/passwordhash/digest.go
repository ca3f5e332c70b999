package passwordhash

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

var (
	errSize      = errors.New("the hash does not have the length that belongs to its algorithm")
	errPosition  = errors.New("salt.position is neither prefix nor suffix")
	errDigest    = errors.New("the digest of the hmac is not supported by Kratos")
	errNoKey     = errors.New("hash.key is missing")
	errHMACSalt  = errors.New("hmac with a salt is not supported by Kratos")
	errScheme    = errors.New("the LDAP scheme of the hash is not supported by Kratos")
	errNoSalt    = errors.New("the salt is missing")
	errKeyLength = errors.New("keylen is missing, or is not the length of the hash")
	errScryptEnd = errors.New("scrypt does not have a salt behind the password")
	errScrypt    = fmt.Errorf("the parameters of scrypt are not those that Kratos takes: cost a power of two of at most %d, blockSize at most %d, parallelization at most %d",
		maxScryptCost, maxScryptBlockSize, maxScryptParallelization)
)

// sizeOf returns the length of a digest in bytes; 0: Kratos does not have it.
func sizeOf(digest string) int {
	switch digest {
	case md4, md5:
		return 16
	case sha1:
		return 20
	case "sha224":
		return 28
	case sha256:
		return 32
	case "sha384":
		return 48
	case sha512:
		return 64
	default:
		return 0
	}
}

// saltFormat is how Kratos puts password and salt together before it hashes them.
type saltFormat string

const (
	unsalted   saltFormat = "{PASSWORD}"
	saltBefore saltFormat = "{SALT}{PASSWORD}"
	saltBehind saltFormat = "{PASSWORD}{SALT}"
)

// fromDigest converts md5, sha1, sha256 and sha512, with or without a salt.
func (c custom) fromDigest() (string, error) {
	sum, err := decode(c.Hash.Value, c.Hash.Encoding, false)
	if err != nil {
		return "", err
	}
	salt, err := decodeText(c.Salt.Value, c.Salt.Encoding)
	if err != nil {
		return "", err
	}
	var format saltFormat
	switch c.Salt.Position {
	case "", "prefix":
		format = saltBefore
	case "suffix":
		format = saltBehind
	default:
		return "", errPosition
	}
	if len(salt) == 0 {
		format = unsalted
	}
	return digestForm(c.Algorithm, format, salt, sum)
}

func digestForm(algorithm string, format saltFormat, salt, sum []byte) (string, error) {
	if len(sum) != sizeOf(algorithm) {
		return "", errSize
	}
	return fmt.Sprintf("$%s$pf=%s$%s$%s", algorithm, encode(string(format)), encode(salt), encode(sum)), nil
}

// fromHMAC converts an hmac. Kratos compares its hexadecimal digits.
func (c custom) fromHMAC() (string, error) {
	size := sizeOf(c.Hash.Digest)
	switch {
	case size == 0:
		return "", errDigest
	case c.Salt.Value != "":
		return "", errHMACSalt
	case c.Hash.Key == nil || c.Hash.Key.Value == "":
		return "", errNoKey
	case len(c.Hash.Key.Value) > maxLength:
		return "", errTooLong
	}
	sum, err := decode(c.Hash.Value, c.Hash.Encoding, false)
	if err != nil {
		return "", err
	}
	key, err := decodeText(c.Hash.Key.Value, c.Hash.Key.Encoding)
	if err != nil {
		return "", err
	}
	if len(sum) != size {
		return "", errSize
	}
	return fmt.Sprintf("$hmac-%s$%s$%s", c.Hash.Digest, encode(hex.EncodeToString(sum)), encode(key)), nil
}

// fromLDAP converts a userPassword of RFC 2307: {SCHEME} and base64, of the digest, or of the
// digest with the salt behind it.
func fromLDAP(text string) (string, error) {
	scheme, value, found := strings.Cut(strings.TrimPrefix(text, "{"), "}")
	if !found || !strings.HasPrefix(text, "{") {
		return "", errUnknown
	}
	scheme = strings.ToLower(scheme)
	algorithm, salted := scheme, false
	switch {
	case scheme == "smd5":
		algorithm, salted = md5, true
	case strings.HasPrefix(scheme, "ssha"):
		algorithm, salted = scheme[1:], true
	}
	if algorithm == "sha" {
		algorithm = sha1
	}
	if !slices.Contains([]string{md5, sha1, sha256, sha512}, algorithm) {
		return "", errScheme
	}
	decoded, err := decodeBase64(value)
	if err != nil {
		return "", err
	}
	size := sizeOf(algorithm)
	switch {
	case len(decoded) < size:
		return "", errSize
	case !salted:
		return digestForm(algorithm, unsalted, nil, decoded)
	case len(decoded) == size:
		return "", errNoSalt
	}
	return digestForm(algorithm, saltBehind, decoded[size:], decoded[:size])
}

// fromScrypt converts scrypt.
func (c custom) fromScrypt() (string, error) {
	key, err := decode(c.Hash.Value, c.Hash.Encoding, false)
	if err != nil {
		return "", err
	}
	salt, err := decodeText(c.Salt.Value, c.Salt.Encoding)
	if err != nil {
		return "", err
	}
	cost, blockSize, parallel := or(c.Cost, 16384), or(c.BlockSize, 8), or(c.Parallelization, 1)
	switch {
	case len(salt) == 0:
		return "", errNoSalt
	case c.Salt.Position != "" && c.Salt.Position != "prefix":
		return "", errScryptEnd
	case len(key) < minKeyLength:
		return "", errSize
	case c.KeyLength == nil || int64(*c.KeyLength) != int64(len(key)):
		return "", errKeyLength
	case cost < 2 || cost > maxScryptCost || bits.OnesCount32(cost) != 1 || !within(blockSize, maxScryptBlockSize) || !within(parallel, maxScryptParallelization):
		return "", errScrypt
	}
	return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", cost, blockSize, parallel, encode(salt), encode(key)), nil
}

func or(value *uint32, fallback uint32) uint32 {
	if value == nil {
		return fallback
	}
	return *value
}
