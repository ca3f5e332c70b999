package passwordhash

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into docs/import-files.md")

const (
	docsPage  = "../../docs/import-files.md"
	tableHead = "| Algorithm at Auth0 | Variants | Limits | In Kratos |\n| --- | --- | --- | --- |\n"
)

// TestDocs: the table in docs/import-files.md has every algorithm of Auth0, the forms that
// the conversions have, and the limits.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), tableHead)
	if !found {
		t.Fatal("there is no table of hashes")
	}
	rows := documentedRows(t)
	end := 0
	for strings.HasPrefix(rest[end:], "|") {
		end += strings.Index(rest[end:], "\n") + 1
	}
	if *update {
		if err := os.WriteFile(docsPage, []byte(before+tableHead+rows+rest[end:]), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := rest[:end]; got != rows {
		t.Errorf("the table of hashes is\n%s\nnot\n%s\nwrite it with: go test ./bulk/passwordhash -run TestDocs -update", got, rows)
	}
}

// documentedRows converts a sample of every variant that Auth0 documents, and lists those
// that Kratos has, with the beginnings of their forms.
func documentedRows(t *testing.T) string {
	t.Helper()
	var rows strings.Builder
	for _, row := range []struct {
		algorithm string
		variants  []string
		sample    func(variant string) string
		limits    string
	}{
		{bcrypt, []string{"2a", "2b", "2x", "2y"}, sampleBcrypt, fmt.Sprintf("cost %d to %d, no further salt", minBcryptCost, maxBcryptCost)},
		{argon2, []string{"argon2d", "argon2i", "argon2id"}, sampleArgon2, fmt.Sprintf("version 19, `m` up to %d, `t` up to %d, `p` up to %d", maxArgon2Memory, maxArgon2Iterations, maxArgon2Parallelism)},
		{pbkdf2, []string{"md4", "md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512", "whirlpool"}, samplePBKDF2, fmt.Sprintf("`i` up to %d", maxPBKDF2Iterations)},
		{scrypt, nil, sampleScrypt, fmt.Sprintf("`cost` up to %d, `blockSize` up to %d, `parallelization` up to %d", maxScryptCost, maxScryptBlockSize, maxScryptParallelization)},
		{md4, nil, sampleDigest(md4), ""},
		{md5, nil, sampleDigest(md5), ""},
		{sha1, nil, sampleDigest(sha1), ""},
		{sha256, nil, sampleDigest(sha256), ""},
		{sha512, nil, sampleDigest(sha512), ""},
		{hmac, []string{"md4", "md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512", "whirlpool"}, sampleHMAC, "no salt"},
		{ldap, []string{"CRYPT", "MD5", "SMD5", "SHA", "SSHA", "SHA224", "SSHA224", "SHA256", "SSHA256", "SHA384", "SSHA384", "SHA512", "SSHA512"}, sampleLDAP, ""},
	} {
		var taken, forms []string
		for _, variant := range slices.Concat(row.variants, []string{""})[:max(len(row.variants), 1)] {
			form, err := convert(row.sample(variant))
			if err != nil {
				continue
			}
			begin := "`" + form[:strings.Index(form[1:], "$")+2] + "…`"
			if !slices.Contains(forms, begin) {
				forms = append(forms, begin)
			}
			if variant != "" {
				taken = append(taken, variant)
			}
		}
		if len(forms) == 0 {
			forms, row.limits = []string{"not supported"}, ""
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", row.algorithm, strings.Join(taken, ", "), row.limits, strings.Join(forms, ", "))
	}
	return rows.String()
}

func sampleBcrypt(version string) string { return strings.Replace(bcryptHash, "2b", version, 1) }

func sampleArgon2(kind string) string { return strings.Replace(argon2Hash, "argon2id", kind, 1) }

func samplePBKDF2(digest string) string { return "$pbkdf2-" + digest + pbkdf2Tail }

func sampleScrypt(string) string {
	return object(scrypt, scryptHex, `,"encoding":"hex"},"salt":{"value":"s"},"keylen":32`)
}

// lengths are those of the digests in bytes.
func lengths() map[string]int {
	return map[string]int{md4: 16, md5: 16, "ripemd160": 20, sha1: 20, "sha224": 28, sha256: 32, "sha384": 48, sha512: 64, "whirlpool": 64}
}

func sampleDigest(algorithm string) func(string) string {
	return func(string) string {
		return object(algorithm, strings.Repeat("ab", lengths()[algorithm]), `,"encoding":"hex"}`)
	}
}

func sampleHMAC(digest string) string {
	return object(hmac, strings.Repeat("ab", lengths()[digest]), fmt.Sprintf(`,"encoding":"hex","digest":%q,"key":{"value":"k"}}`, digest))
}

func sampleLDAP(scheme string) string {
	digest := strings.ToLower(scheme)
	salted := strings.HasPrefix(digest, "s") && !strings.HasPrefix(digest, "sha")
	if salted {
		digest = digest[1:]
	}
	if digest == "sha" {
		digest = sha1
	}
	length := lengths()[digest]
	if salted {
		length += 4
	}
	return "{" + scheme + "}" + encode(strings.Repeat("a", length))
}
