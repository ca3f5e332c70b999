// Package passwordhash converts the password hashes that Auth0 takes and exports to the form
// in which Kratos verifies them. It computes no hash and does no I/O.
//
//	parse the hash strictly, as Auth0 documents it
//	refuse what Kratos would compute in another way, and what costs too much
//	write the parts again, in Kratos' form
//
// A hash that is refused is of no harm: its user stays pending, and Auth0 verifies the
// password. A hash that is converted wrongly locks its user out, or lets others in. So
// whatever is not certain is refused.
//
// Errors say what is not supported, in words for the detail of a result. They contain no
// part of a hash, a salt or a key.
package passwordhash

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"ferry/secret"
	"ferry/strictjson"
)

// Auth0's names of the algorithms.
const (
	argon2 = "argon2"
	bcrypt = "bcrypt"
	hmac   = "hmac"
	ldap   = "ldap"
	md4    = "md4"
	md5    = "md5"
	pbkdf2 = "pbkdf2"
	scrypt = "scrypt"
	sha1   = "sha1"
	sha256 = "sha256"
	sha512 = "sha512"
)

// maxLength is the maximum length of a hash, a salt or a key in bytes, many times the usual.
const maxLength = 1024

var (
	errTooLong   = errors.New("the hash, the salt or the key is too long")
	errUnknown   = errors.New("the hash is not in a form that ferry knows")
	errObject    = errors.New("custom_password_hash is not an object as Auth0 documents it")
	errAlgorithm = errors.New("the algorithm is not one that Auth0 documents")
	errMD4       = errors.New("md4 is not supported by Kratos")
	errPassword  = errors.New("the hash is of a password that is not in UTF-8, which is not supported by Kratos")
	errSalt      = errors.New("the algorithm does not have a separate salt")
	errPepper    = errors.New("bcrypt with a further salt is not supported by Kratos")
	errHMACOnly  = errors.New("hash.key and hash.digest belong to hmac only")
	errUTF8Only  = errors.New("hash.encoding is not utf8")
)

// FromText converts a hash that names its own algorithm: bcrypt, argon2 and PBKDF2 in the
// PHC string format, and the schemes of LDAP.
func FromText(hash secret.String) (secret.String, error) {
	text := hash.Reveal()
	var form string
	var err error
	switch {
	case len(text) > maxLength:
		err = errTooLong
	case strings.HasPrefix(text, "$2"):
		form, err = fromBcrypt(text)
	case strings.HasPrefix(text, "$argon2"):
		form, err = fromArgon2(text)
	case strings.HasPrefix(text, "$pbkdf2-"):
		form, err = fromPBKDF2(text)
	case strings.HasPrefix(text, "{"):
		form, err = fromLDAP(text)
	default:
		err = errUnknown
	}
	return result(form, err)
}

// FromCustom converts a custom_password_hash of Auth0's users_import format, given as JSON.
func FromCustom(object secret.String) (secret.String, error) {
	text := []byte(object.Reveal())
	if _, err := strictjson.Value(text); err != nil {
		return secret.String{}, errObject
	}
	var c custom
	if err := json.Unmarshal(text, &c, json.RejectUnknownMembers(true)); err != nil {
		return secret.String{}, errObject
	}
	return result(c.convert())
}

func result(form string, err error) (secret.String, error) {
	if err != nil {
		return secret.String{}, err
	}
	return secret.New(form), nil
}

// custom is a custom_password_hash. The numbers are those of scrypt.
type custom struct {
	Algorithm string    `json:"algorithm"`
	Hash      hashValue `json:"hash"`
	Salt      saltValue `json:"salt"`
	Password  struct {
		Encoding string `json:"encoding"`
	} `json:"password"`
	KeyLength       *uint32 `json:"keylen"`
	Cost            *uint32 `json:"cost"`
	BlockSize       *uint32 `json:"blockSize"`
	Parallelization *uint32 `json:"parallelization"`
}

type hashValue struct {
	Value    string    `json:"value"`
	Encoding string    `json:"encoding"`
	Digest   string    `json:"digest"`
	Key      *keyValue `json:"key"`
}

type keyValue struct {
	Value    string `json:"value"`
	Encoding string `json:"encoding"`
}

type saltValue struct {
	Value    string `json:"value"`
	Encoding string `json:"encoding"`
	Position string `json:"position"`
}

// convert returns Kratos' form of the hash.
func (c custom) convert() (string, error) {
	switch {
	case len(c.Hash.Value) > maxLength || len(c.Salt.Value) > maxLength:
		return "", errTooLong
	case c.Password.Encoding != "" && c.Password.Encoding != encodingUTF8:
		return "", errPassword
	case c.Algorithm != hmac && (c.Hash.Key != nil || c.Hash.Digest != ""):
		return "", errHMACOnly
	}
	switch c.Algorithm {
	case bcrypt:
		if c.Salt.Value != "" {
			return "", errPepper
		}
		return c.fromText(fromBcrypt)
	case argon2:
		return c.fromText(fromArgon2)
	case pbkdf2:
		return c.fromText(fromPBKDF2)
	case ldap:
		return c.fromText(fromLDAP)
	case md5, sha1, sha256, sha512:
		return c.fromDigest()
	case hmac:
		return c.fromHMAC()
	case scrypt:
		return c.fromScrypt()
	case md4:
		return "", errMD4
	default:
		return "", errAlgorithm
	}
}

// fromText converts a hash that is a text with all its parameters.
func (c custom) fromText(convert func(string) (string, error)) (string, error) {
	switch {
	case c.Salt.Value != "":
		return "", errSalt
	case c.Hash.Encoding != "" && c.Hash.Encoding != encodingUTF8:
		return "", errUTF8Only
	}
	return convert(c.Hash.Value)
}
