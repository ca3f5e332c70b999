package passwordhash

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	errBcrypt     = errors.New("the hash is not a complete bcrypt hash of version 2a, 2b or 2y")
	errBcryptCost = fmt.Errorf("the cost of bcrypt is not between %d and %d, as Kratos demands", minBcryptCost, maxBcryptCost)
	errPHC        = errors.New("the hash is not in the PHC string format, with all its parts")
	errArgon2Type = errors.New("argon2 is supported by Kratos only as argon2id or argon2i of version 19")
	errArgon2     = fmt.Errorf("the parameters of argon2 are not those that Kratos takes: m at most %d and at least 8 times p, t at most %d, p at most %d",
		maxArgon2Memory, maxArgon2Iterations, maxArgon2Parallelism)
	errPBKDF2Digest = errors.New("PBKDF2 is supported by Kratos only with sha1, sha256 and sha512")
	errPBKDF2       = fmt.Errorf("the iterations of PBKDF2 are not those that Kratos takes: at most %d", maxPBKDF2Iterations)
	errPBKDF2Length = errors.New("the hash does not have the length that its parameter l names")
	errShort        = fmt.Errorf("the salt is too short, or the hash is shorter than %d bytes", minKeyLength)
)

// bcryptForm matches a bcrypt hash of a version that Kratos and Auth0 share.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

func fromBcrypt(text string) (string, error) {
	match := bcryptForm.FindStringSubmatch(text)
	if match == nil {
		return "", errBcrypt
	}
	cost, err := strconv.Atoi(match[1])
	if err != nil || cost < minBcryptCost || cost > maxBcryptCost {
		return "", errBcryptCost
	}
	return text, nil
}

// phc is a hash in the PHC string format: $id[$v=version][$parameters]$salt$hash.
type phc struct {
	id, version string
	parameters  map[string]uint32
	salt, hash  []byte
}

// parsePHC reads a hash with no parameters but those that are named.
func parsePHC(text string, names ...string) (phc, error) {
	parts := strings.Split(text, "$")
	if len(parts) < 4 || len(parts) > 6 || parts[0] != "" {
		return phc{}, errPHC
	}
	p := phc{id: parts[1], parameters: map[string]uint32{}}
	middle, last := parts[2:len(parts)-2], parts[len(parts)-2:]
	if len(middle) > 0 && strings.HasPrefix(middle[0], "v=") {
		p.version, middle = middle[0], middle[1:]
	}
	switch len(middle) {
	case 0:
	case 1:
		if err := p.readParameters(middle[0], names); err != nil {
			return phc{}, err
		}
	default:
		return phc{}, errPHC
	}
	var err error
	if p.salt, err = decodeBase64(last[0]); err != nil {
		return phc{}, err
	}
	if p.hash, err = decodeBase64(last[1]); err != nil {
		return phc{}, err
	}
	return p, nil
}

// decimal matches a number as the format writes it.
var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})$`)

func (p phc) readParameters(text string, names []string) error {
	for parameter := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(parameter, "=")
		number, err := strconv.ParseUint(value, 10, 32)
		if _, twice := p.parameters[name]; twice || err != nil || !decimal.MatchString(value) || !slices.Contains(names, name) {
			return errPHC
		}
		p.parameters[name] = uint32(number)
	}
	return nil
}

// fromArgon2 converts $argon2id$v=19$m=65536,t=2,p=1$salt$hash.
func fromArgon2(text string) (string, error) {
	p, err := parsePHC(text, "m", "t", "p")
	if err != nil {
		return "", err
	}
	memory, iterations, parallelism := p.parameters["m"], p.parameters["t"], p.parameters["p"]
	switch {
	case p.id != "argon2id" && p.id != "argon2i", p.version != "v=19":
		return "", errArgon2Type
	case !within(memory, maxArgon2Memory), !within(iterations, maxArgon2Iterations), !within(parallelism, maxArgon2Parallelism), memory < 8*parallelism:
		return "", errArgon2
	case len(p.salt) < minArgon2SaltLength, len(p.hash) < minKeyLength:
		return "", errShort
	}
	return fmt.Sprintf("$%s$v=19$m=%d,t=%d,p=%d$%s$%s", p.id, memory, iterations, parallelism, encodeBare(p.salt), encodeBare(p.hash)), nil
}

// fromPBKDF2 converts $pbkdf2-sha512$i=100000,l=64$salt$hash; Auth0's defaults are those
// numbers.
func fromPBKDF2(text string) (string, error) {
	p, err := parsePHC(text, "i", "l")
	if err != nil {
		return "", err
	}
	iterations, told := p.parameters["i"]
	if !told {
		iterations = 100_000
	}
	length, told := p.parameters["l"]
	if !told {
		length = 64
	}
	digest := pbkdf2Digest(strings.TrimPrefix(p.id, "pbkdf2-"))
	switch {
	case digest == "" || !strings.HasPrefix(p.id, "pbkdf2-"):
		return "", errPBKDF2Digest
	case p.version != "":
		return "", errPHC
	case !within(iterations, maxPBKDF2Iterations):
		return "", errPBKDF2
	case int64(length) != int64(len(p.hash)):
		return "", errPBKDF2Length
	case len(p.salt) == 0, len(p.hash) < minKeyLength:
		return "", errShort
	}
	return fmt.Sprintf("$pbkdf2-%s$i=%d,l=%d$%s$%s", digest, iterations, length, encodeBare(p.salt), encodeBare(p.hash)), nil
}

// pbkdf2Digest returns Kratos' name of a digest from one of OpenSSL's, which are Auth0's; ""
// if Kratos does not have it. Kratos computes its sha224 and sha384 with SHA-3, Auth0 with
// SHA-2: those are not the same.
func pbkdf2Digest(name string) string {
	switch strings.ToLower(name) {
	case sha1, "rsa-sha1", "rsa-sha1-2", "sha1withrsaencryption", "ssl3-sha1":
		return sha1
	case sha256, "rsa-sha256", "sha256withrsaencryption":
		return sha256
	case sha512, "rsa-sha512", "sha512withrsaencryption":
		return sha512
	default:
		return ""
	}
}
