package bulk

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/md4" //nolint:staticcheck // passwords that were hashed with it
	"golang.org/x/crypto/scrypt"
)

// object is a JSON object.
type object map[string]any

// hashedRow is a password in one of the forms of Auth0's users_import format.
type hashedRow struct {
	name string
	// fields returns the fields of the row, computed from the password.
	fields func(password string) (object, error)
}

// digests are the hash functions that Auth0 and Kratos share.
func digests() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{
		"md4": md4.New, "md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
}

func sum(digest string, parts ...[]byte) []byte {
	h := digests()[digest]()
	for _, part := range parts {
		_, _ = h.Write(part) // a hash takes everything
	}
	return h.Sum(nil)
}

// encoding is a way to write bytes, and the name that Auth0 has for it; without one, the
// field is left out.
type encoding struct {
	name  string
	write func([]byte) string
}

func (e encoding) put(into object, value []byte) object {
	into["value"] = e.write(value)
	if e.name != "" {
		into["encoding"] = e.name
	}
	return into
}

func binaryEncodings() []encoding {
	return []encoding{
		{"hex", hex.EncodeToString},
		{"hex", func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }},
		{"base64", base64.StdEncoding.EncodeToString},
		{"base64", base64.RawURLEncoding.EncodeToString},
	}
}

// secretEncodings are those of salts and keys, each with a value. A text has what could be
// mistaken for a part of Kratos' format.
func secretEncodings() map[sample]encoding {
	text := func(b []byte) string { return string(b) }
	return map[sample]encoding{
		{"utf8", "sält{PASSWORD}$"}:         {"utf8", text},
		{"default", "{SALT}"}:               {"", text},
		{"hex", "\x00\xff$\x80salt"}:        {"hex", hex.EncodeToString},
		{"base64", "\xfb\xff\xfe\x00salt$"}: {"base64", base64.StdEncoding.EncodeToString},
		{"URL base64", "\xfb\xff\xfe\x00s"}: {"base64", base64.RawURLEncoding.EncodeToString},
	}
}

// sample names an encoding, and has the value to write with it.
type sample struct{ name, value string }

func custom(algorithm string, hash, more object) object {
	all := object{"algorithm": algorithm, "hash": hash}
	for name, value := range more {
		all[name] = value
	}
	return object{"custom_password_hash": all}
}

// hashedRows are all forms that ferry converts.
func hashedRows() []hashedRow {
	var all []hashedRow
	for _, rows := range [][]hashedRow{digestRows(), hmacRows(), ldapRows(), scryptRows(), textRows()} {
		all = append(all, rows...)
	}
	return all
}

// digestRows are md5, sha1, sha256 and sha512: without a salt, and with one at every
// position, in all encodings.
func digestRows() []hashedRow {
	var rows []hashedRow
	for _, algorithm := range []string{"md5", "sha1", "sha256", "sha512"} {
		for i, in := range binaryEncodings() {
			rows = append(rows, hashedRow{fmt.Sprintf("%s/%s %d", algorithm, in.name, i), func(password string) (object, error) {
				return custom(algorithm, in.put(object{}, sum(algorithm, []byte(password))), nil), nil
			}})
			for _, position := range []string{"", "prefix", "suffix"} {
				for salt, saltIn := range secretEncodings() {
					name := fmt.Sprintf("%s/%s %d/salt %q in %s", algorithm, in.name, i, position, salt.name)
					rows = append(rows, saltedRow(name, algorithm, position, salt.value, in, saltIn))
				}
			}
		}
	}
	return rows
}

func saltedRow(name, algorithm, position, salt string, in, saltIn encoding) hashedRow {
	return hashedRow{name, func(password string) (object, error) {
		before, behind := []byte(salt), []byte(password)
		told := saltIn.put(object{}, before)
		if position != "" {
			told["position"] = position
		}
		if position == "suffix" {
			before, behind = behind, before
		}
		return custom(algorithm, in.put(object{}, sum(algorithm, before, behind)), object{"salt": told}), nil
	}}
}

func hmacRows() []hashedRow {
	var rows []hashedRow
	for digest, function := range digests() {
		for i, in := range binaryEncodings() {
			for key, keyIn := range secretEncodings() {
				rows = append(rows, hashedRow{fmt.Sprintf("hmac %s/%s %d/key in %s", digest, in.name, i, key.name), func(password string) (object, error) {
					mac := hmac.New(function, []byte(key.value))
					_, _ = mac.Write([]byte(password)) // it takes everything
					return custom("hmac", in.put(object{"digest": digest, "key": keyIn.put(object{}, []byte(key.value))}, mac.Sum(nil)), nil), nil
				}})
			}
		}
	}
	return rows
}

func ldapRows() []hashedRow {
	var rows []hashedRow
	for scheme, digest := range map[string]string{"MD5": "md5", "SMD5": "md5", "SHA": "sha1", "SSHA": "sha1", "sha256": "sha256", "SSHA256": "sha256", "SHA512": "sha512", "ssha512": "sha512"} {
		rows = append(rows, hashedRow{"ldap " + scheme, func(password string) (object, error) {
			var salt []byte
			if strings.HasPrefix(strings.ToUpper(scheme), "SS") || scheme == "SMD5" {
				salt = []byte("\x00s$\xffalt")
			}
			value := append(sum(digest, []byte(password), salt), salt...)
			return custom("ldap", object{"value": "{" + scheme + "}" + base64.StdEncoding.EncodeToString(value), "encoding": "utf8"}, nil), nil
		}})
	}
	return rows
}

func scryptRows() []hashedRow {
	var rows []hashedRow
	row := func(name string, in, saltIn encoding, salt string, cost, block, parallel, length int, more object) {
		rows = append(rows, hashedRow{name, func(password string) (object, error) {
			key, err := scrypt.Key([]byte(password), []byte(salt), cost, block, parallel, length)
			if err != nil {
				return nil, err
			}
			fields := object{"keylen": length, "salt": saltIn.put(object{}, []byte(salt))}
			for name, value := range more {
				fields[name] = value
			}
			return custom("scrypt", in.put(object{}, key), fields), nil
		}})
	}
	for i, in := range binaryEncodings() {
		for salt, saltIn := range secretEncodings() {
			row(fmt.Sprintf("scrypt/%s %d/salt in %s", in.name, i, salt.name), in, saltIn, salt.value, 256, 4, 2, 64, object{"cost": 256, "blockSize": 4, "parallelization": 2})
		}
	}
	in := binaryEncodings()[0]
	row("scrypt by default", in, in, "salt", 16384, 8, 1, 32, nil)
	return rows
}

// textRows are the hashes that are texts with all their parameters.
func textRows() []hashedRow {
	bare := base64.RawStdEncoding.EncodeToString
	text := func(name, algorithm string, value func(password string) (string, error)) hashedRow {
		return hashedRow{name, func(password string) (object, error) {
			hashed, err := value(password)
			return custom(algorithm, object{"value": hashed}, nil), err
		}}
	}
	bcrypted := func(version string) func(password string) (string, error) {
		return func(password string) (string, error) {
			value, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
			if err != nil {
				return "", err
			}
			return "$" + version + string(value[3:]), nil
		}
	}
	rows := []hashedRow{{"password_hash", func(password string) (object, error) {
		hashed, err := bcrypted("2b")(password)
		return object{"password_hash": hashed}, err
	}}}
	for _, version := range []string{"2a", "2b", "2y"} {
		rows = append(rows, text("bcrypt "+version, "bcrypt", bcrypted(version)))
	}
	salt := []byte("\x00salt\xffsalt")
	rows = append(rows,
		text("argon2id", "argon2", func(password string) (string, error) {
			return fmt.Sprintf("$argon2id$v=19$m=64,t=2,p=3$%s$%s", bare(salt), bare(argon2.IDKey([]byte(password), salt, 2, 64, 3, 32))), nil
		}),
		text("argon2i", "argon2", func(password string) (string, error) {
			return fmt.Sprintf("$argon2i$v=19$p=1,t=3,m=32$%s$%s", bare(salt), bare(argon2.Key([]byte(password), salt, 3, 32, 1, 16))), nil
		}),
	)
	for name, c := range map[string]struct {
		head, digest string
		iterations   int
		length       int
	}{
		"sha1":                         {"$pbkdf2-sha1$i=11,l=20", "sha1", 11, 20},
		"sha256":                       {"$pbkdf2-sha256$l=33,i=12", "sha256", 12, 33},
		"sha512":                       {"$pbkdf2-sha512$i=13,l=100", "sha512", 13, 100},
		"sha512WithRSAEncryption, i":   {"$pbkdf2-sha512WithRSAEncryption$i=14", "sha512", 14, 64},
		"RSA-SHA256, all by default":   {"$pbkdf2-RSA-SHA256", "sha256", 100_000, 64},
		"RSA-SHA1-2, keylen by itself": {"$pbkdf2-RSA-SHA1-2$l=64", "sha1", 100_000, 64},
	} {
		rows = append(rows, text("pbkdf2 "+name, "pbkdf2", func(password string) (string, error) {
			key, err := pbkdf2.Key(digests()[c.digest], password, salt, c.iterations, c.length)
			if err != nil {
				return "", err
			}
			return c.head + "$" + bare(salt) + "$" + bare(key), nil
		}))
	}
	return rows
}

// unusableRows are forms of Auth0's that Kratos cannot verify.
func unusableRows() []hashedRow {
	digest := func(more object) func(password string) (object, error) {
		return func(password string) (object, error) {
			return custom("sha256", object{"value": hex.EncodeToString(sum("sha256", []byte(password))), "encoding": "hex"}, more), nil
		}
	}
	return []hashedRow{
		{"md4", func(password string) (object, error) {
			return custom("md4", object{"value": hex.EncodeToString(sum("md4", []byte(password))), "encoding": "hex"}, nil), nil
		}},
		{"UTF-16", digest(object{"password": object{"encoding": "utf16le"}})},
		{"bcrypt at 16", func(string) (object, error) {
			return object{"password_hash": "$2b$16$C9hB01.YxRSTcn/ZOOo4j.TW7xCKKFKBSF.C7E0xiUwumqIDqWUXG"}, nil
		}},
		{"bcrypt with a salt", func(string) (object, error) {
			return custom("bcrypt", object{"value": "$2b$10$C9hB01.YxRSTcn/ZOOo4j.TW7xCKKFKBSF.C7E0xiUwumqIDqWUXG"}, object{"salt": object{"value": "s"}}), nil
		}},
		{"pbkdf2 sha384", func(password string) (object, error) {
			key, err := pbkdf2.Key(sha512.New384, password, []byte("salt"), 10, 64)
			if err != nil {
				return nil, err
			}
			return custom("pbkdf2", object{"value": "$pbkdf2-sha384$i=10,l=64$c2FsdA$" + base64.RawStdEncoding.EncodeToString(key)}, nil), nil
		}},
	}
}
