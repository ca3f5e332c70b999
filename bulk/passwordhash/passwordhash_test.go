package passwordhash

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ferry/secret"
)

// conversion is a hash of Auth0's documentation, or one made like them, and what becomes of
// it.
type conversion struct {
	auth0 string // a JSON object is a custom_password_hash
	want  string // Kratos' form
	err   error
}

const (
	bcryptHash = "$2b$10$C9hB01.YxRSTcn/ZOOo4j.TW7xCKKFKBSF.C7E0xiUwumqIDqWUXG"
	argon2Hash = "$argon2id$v=19$m=65536,t=2,p=1$J6Q/82PCyaNpYKRELJyTZg$m04qUAB8rexWDR4+/0f+SFB+4XMFxt7YAvAq2UycYos"
	pbkdf2Tail = "$KNyFsA2rWoE$I2CQGI9H0JxdDf3kERRI97kPCGxh0KWBIV3MxyaS191gDGfzVBGyS4BibhgqWQ0/ails8mHuU9ckASxHOOq58w"
	shaHex     = "d24e794fce503c3ddb1cd1ba1dd5d9b250cf9917336a0316fefd87fecf79200f"
	shaBase64  = "0k55T85QPD3bHNG6HdXZslDPmRczagMW/v2H/s95IA8="
	scryptHex  = "097f6197e1b41538f723e32aa7a68e8d76227d8e432ce5faa4882a913032db29"
)

// object returns a custom_password_hash.
func object(algorithm, value, more string) string {
	return fmt.Sprintf(`{"algorithm":%q,"hash":{"value":%q%s}`, algorithm, value, more)
}

func conversions() map[string]conversion {
	const md5Hex, hmacKey = "67a1e09bb1f83f5007dc119c14d663aa", `,"encoding":"base64","digest":"sha1","key":{"value":"736868","encoding":"hex"}}`
	pf := func(format string) string { return "pf=" + base64.StdEncoding.EncodeToString([]byte(format)) }
	digest := func(algorithm, more string) string {
		return fmt.Sprintf(`{"algorithm":%q,"hash":{"value":%q,"encoding":"hex"}%s}`, algorithm, shaHex, more)
	}
	scrypt := func(more string) string {
		return fmt.Sprintf(`{"algorithm":"scrypt","hash":{"value":%q,"encoding":"hex"},"salt":{"value":"abc123","encoding":"utf8"}%s}`, scryptHex, more)
	}
	return map[string]conversion{
		"bcrypt":                   {auth0: bcryptHash, want: bcryptHash},
		"bcrypt object":            {auth0: object("bcrypt", bcryptHash, "}"), want: bcryptHash},
		"bcrypt at 15":             {auth0: strings.Replace(bcryptHash, "10", "15", 1), want: strings.Replace(bcryptHash, "10", "15", 1)},
		"bcrypt at 16":             {auth0: strings.Replace(bcryptHash, "10", "16", 1), err: errBcryptCost},
		"bcrypt at 3":              {auth0: strings.Replace(bcryptHash, "10", "03", 1), err: errBcryptCost},
		"bcrypt 2x":                {auth0: strings.Replace(bcryptHash, "2b", "2x", 1), err: errBcrypt},
		"bcrypt cut":               {auth0: bcryptHash[:59], err: errBcrypt},
		"bcrypt with a salt":       {auth0: object("bcrypt", bcryptHash, `},"salt":{"value":"s"}`), err: errPepper},
		"bcrypt of UTF-16":         {auth0: object("bcrypt", bcryptHash, `},"password":{"encoding":"utf16le"}`), err: errPassword},
		"bcrypt in hex":            {auth0: object("bcrypt", bcryptHash, `,"encoding":"hex"}`), err: errUTF8Only},
		"argon2id":                 {auth0: object("argon2", argon2Hash, "}"), want: argon2Hash},
		"argon2i, another order":   {auth0: "$argon2i$v=19$p=1,t=2,m=8$c2FsdHNhbHQ$" + strings.Repeat("A", 22), want: "$argon2i$v=19$m=8,t=2,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 22)},
		"argon2d":                  {auth0: strings.Replace(argon2Hash, "2id", "2d", 1), err: errArgon2Type},
		"argon2 of version 16":     {auth0: strings.Replace(argon2Hash, "v=19", "v=16", 1), err: errArgon2Type},
		"argon2 without a version": {auth0: strings.Replace(argon2Hash, "v=19$", "", 1), err: errArgon2Type},
		"argon2 of 2 GiB":          {auth0: strings.Replace(argon2Hash, "65536", "2097152", 1), err: errArgon2},
		"argon2, no iterations":    {auth0: strings.Replace(argon2Hash, "t=2", "t=0", 1), err: errArgon2},
		"argon2 twice t":           {auth0: strings.Replace(argon2Hash, "t=2", "t=2,t=2", 1), err: errPHC},
		"argon2 with a keyid":      {auth0: strings.Replace(argon2Hash, "p=1", "p=1,keyid=aa", 1), err: errPHC},
		"argon2 with an empty key": {auth0: "$argon2id$v=19$m=65536,t=2,p=1$J6Q/82PCyaNpYKRELJyTZg$", err: errShort},
		"argon2 in bcrypt":         {auth0: object("bcrypt", argon2Hash, "}"), err: errBcrypt},
		"argon2 with a salt":       {auth0: object("argon2", argon2Hash, `},"salt":{"value":"s"}`), err: errSalt},
		"pbkdf2":                   {auth0: object("pbkdf2", "$pbkdf2-sha512$i=100000,l=64"+pbkdf2Tail, "}"), want: "$pbkdf2-sha512$i=100000,l=64" + pbkdf2Tail},
		"pbkdf2 by default":        {auth0: "$pbkdf2-RSA-SHA512" + pbkdf2Tail, want: "$pbkdf2-sha512$i=100000,l=64" + pbkdf2Tail},
		"pbkdf2 without l":         {auth0: "$pbkdf2-sha1$i=7" + pbkdf2Tail, want: "$pbkdf2-sha1$i=7,l=64" + pbkdf2Tail},
		"pbkdf2 with another l":    {auth0: "$pbkdf2-sha512$i=1,l=63" + pbkdf2Tail, err: errPBKDF2Length},
		"pbkdf2 of sha384":         {auth0: "$pbkdf2-sha384$i=1,l=64" + pbkdf2Tail, err: errPBKDF2Digest},
		"pbkdf2 of md4":            {auth0: "$pbkdf2-md4$i=1,l=64" + pbkdf2Tail, err: errPBKDF2Digest},
		"pbkdf2 without end":       {auth0: "$pbkdf2-sha1$i=10000001,l=64" + pbkdf2Tail, err: errPBKDF2},
		"pbkdf2 with an empty key": {auth0: "$pbkdf2-sha1$i=1,l=0$KNyFsA2rWoE$", err: errShort},
		"pbkdf2, signed":           {auth0: "$pbkdf2-sha1$i=+1,l=64" + pbkdf2Tail, err: errPHC},
		"sha256, salt before":      {auth0: digest("sha256", `,"salt":{"value":"abc123","position":"prefix"}`), want: "$sha256$" + pf("{SALT}{PASSWORD}") + "$YWJjMTIz$" + shaBase64},
		"sha256, salt by default":  {auth0: digest("sha256", `,"salt":{"value":"YWJjMTIz","encoding":"base64"}`), want: "$sha256$" + pf("{SALT}{PASSWORD}") + "$YWJjMTIz$" + shaBase64},
		"sha256, salt behind":      {auth0: digest("sha256", `,"salt":{"value":"616263313233","encoding":"hex","position":"suffix"}`), want: "$sha256$" + pf("{PASSWORD}{SALT}") + "$YWJjMTIz$" + shaBase64},
		"sha256 without a salt":    {auth0: digest("sha256", ""), want: "$sha256$" + pf("{PASSWORD}") + "$$" + shaBase64},
		"sha256, salt elsewhere":   {auth0: digest("sha256", `,"salt":{"value":"s","position":"infix"}`), err: errPosition},
		"sha512 of 32 bytes":       {auth0: digest("sha512", ""), err: errSize},
		"sha256 with a key":        {auth0: object("sha256", shaHex, `,"encoding":"hex","key":{"value":"k"}}`), err: errHMACOnly},
		"sha256 without encoding":  {auth0: object("sha256", shaHex, "}"), err: errEncoding},
		"sha256 not in hex":        {auth0: object("sha256", shaBase64, `,"encoding":"hex"}`), err: errDecode},
		"md5 in base64":            {auth0: object("md5", "Z6Hgm7H4P1AH3BGcFNZjqg", `,"encoding":"base64"}`), want: "$md5$" + pf("{PASSWORD}") + "$$Z6Hgm7H4P1AH3BGcFNZjqg=="},
		"md5 in capitals":          {auth0: object("md5", strings.ToUpper(md5Hex), `,"encoding":"hex"}`), want: "$md5$" + pf("{PASSWORD}") + "$$Z6Hgm7H4P1AH3BGcFNZjqg=="},
		"md4":                      {auth0: object("md4", "AbuUujgF0pPPkJPSFRTpmA==", `,"encoding":"base64"}`), err: errMD4},
		"hmac":                     {auth0: object("hmac", "cg7f42jH39/2EaAU4wNd4s2lKIk=", hmacKey), want: "$hmac-sha1$NzIwZWRmZTM2OGM3ZGZkZmY2MTFhMDE0ZTMwMzVkZTJjZGE1Mjg4OQ==$c2ho"},
		"hmac of whirlpool":        {auth0: object("hmac", "cg7f42jH39/2EaAU4wNd4s2lKIk=", strings.Replace(hmacKey, "sha1", "whirlpool", 1)), err: errDigest},
		"hmac with a salt":         {auth0: object("hmac", "cg7f42jH39/2EaAU4wNd4s2lKIk=", hmacKey+`,"salt":{"value":"s"}`), err: errHMACSalt},
		"hmac without a key":       {auth0: object("hmac", "cg7f42jH39/2EaAU4wNd4s2lKIk=", `,"encoding":"base64","digest":"sha1"}`), err: errNoKey},
		"hmac of another digest":   {auth0: object("hmac", "cg7f42jH39/2EaAU4wNd4s2lKIk=", strings.Replace(hmacKey, "sha1", "sha224", 1)), err: errSize},
		"ldap sha":                 {auth0: object("ldap", "{SHA}cg7f42jH39/2EaAU4wNd4s2lKIk=", "}"), want: "$sha1$" + pf("{PASSWORD}") + "$$cg7f42jH39/2EaAU4wNd4s2lKIk="},
		"ldap smd5":                {auth0: "{smd5}Z6Hgm7H4P1AH3BGcFNZjqmFiYw==", want: "$md5$" + pf("{PASSWORD}{SALT}") + "$YWJj$Z6Hgm7H4P1AH3BGcFNZjqg=="},
		"ldap ssha256":             {auth0: "{SSHA256}0k55T85QPD3bHNG6HdXZslDPmRczagMW/v2H/s95IA9hYmM=", want: "$sha256$" + pf("{PASSWORD}{SALT}") + "$YWJj$" + shaBase64},
		"ldap ssha, no salt":       {auth0: "{SSHA}cg7f42jH39/2EaAU4wNd4s2lKIk=", err: errNoSalt},
		"ldap sha with a salt":     {auth0: "{SHA}cg7f42jH39/2EaAU4wNd4s2lKIlhYmM=", err: errSize},
		"ldap ssha384":             {auth0: object("ldap", "{SSHA384}/cgEjdoZh85DhurDeOQEMO1rMlAur93SVPbYe5XSD4lF7nNuvrBju5hUeg9A6agRemgSXGl5YuE=", `,"encoding":"utf8"}`), err: errScheme},
		"ldap crypt":               {auth0: "{CRYPT}$1$salt$hash", err: errScheme},
		"ldap, no scheme":          {auth0: object("ldap", "cg7f42jH39/2EaAU4wNd4s2lKIk=", "}"), err: errUnknown},
		"scrypt":                   {auth0: scrypt(`,"keylen":32,"cost":4096`), want: "$scrypt$ln=4096,r=8,p=1$YWJjMTIz$CX9hl+G0FTj3I+Mqp6aOjXYifY5DLOX6pIgqkTAy2yk="},
		"scrypt by default":        {auth0: scrypt(`,"keylen":32`), want: "$scrypt$ln=16384,r=8,p=1$YWJjMTIz$CX9hl+G0FTj3I+Mqp6aOjXYifY5DLOX6pIgqkTAy2yk="},
		"scrypt without keylen":    {auth0: scrypt(""), err: errKeyLength},
		"scrypt with another":      {auth0: scrypt(`,"keylen":64`), err: errKeyLength},
		"scrypt of 4097":           {auth0: scrypt(`,"keylen":32,"cost":4097`), err: errScrypt},
		"scrypt of 256 MiB":        {auth0: scrypt(`,"keylen":32,"cost":262144`), err: errScrypt},
		"scrypt of blocks":         {auth0: scrypt(`,"keylen":32,"blockSize":16`), err: errScrypt},
		"scrypt, not in parallel":  {auth0: scrypt(`,"keylen":32,"parallelization":0`), err: errScrypt},
		"scrypt without a salt":    {auth0: object("scrypt", scryptHex, `,"encoding":"hex"},"keylen":32`), err: errNoSalt},
		"scrypt, salt behind":      {auth0: strings.Replace(scrypt(`,"keylen":32`), `"utf8"`, `"utf8","position":"suffix"`, 1), err: errScryptEnd},
		"another algorithm":        {auth0: object("rot13", "x", "}"), err: errAlgorithm},
		"no algorithm":             {auth0: `{"hash":{"value":"x"}}`, err: errAlgorithm},
		"the form of before":       {auth0: `{"algorithm":"md5","hash":"67a1","encoding":"hex","salt_prefix":"s"}`, err: errObject},
		"more than Auth0 takes":    {auth0: digest("sha256", `,"iterations":5`), err: errObject},
		"a key twice":              {auth0: digest("sha256", `,"salt":{"value":"a","Value":"b"}`), err: errObject},
		"a digest of no algorithm": {auth0: md5Hex, err: errUnknown},
		"md5-crypt":                {auth0: "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", err: errUnknown},
		"a long one":               {auth0: "{MD5}" + strings.Repeat("A", maxLength), err: errTooLong},
		"a long salt":              {auth0: digest("sha256", fmt.Sprintf(`,"salt":{"value":%q}`, strings.Repeat("s", maxLength+1))), err: errTooLong},
	}
}

// convert reads an object as a custom_password_hash and everything else as a text.
func convert(auth0 string) (string, error) {
	from := FromText
	if strings.HasPrefix(auth0, `{"`) {
		from = FromCustom
	}
	form, err := from(secret.New(auth0))
	return form.Reveal(), err
}

func TestConversions(t *testing.T) {
	t.Parallel()
	for name, c := range conversions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := convert(c.auth0); got != c.want || err != c.err { //nolint:errorlint // the very error
				t.Errorf("%s\nis  %q, %v\nnot %q, %v", c.auth0, got, err, c.want, c.err)
			}
		})
	}
}

// kratosForms match what Kratos splits into parts, with the lengths that keep a hash from
// matching every password.
var kratosForms = []*regexp.Regexp{
	regexp.MustCompile(`^\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$`),
	regexp.MustCompile(`^\$argon2id?\$v=19\$m=[1-9][0-9]{0,6},t=([1-9]|10),p=([1-9]|1[0-6])\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}$`),
	regexp.MustCompile(`^\$pbkdf2-sha(1|256|512)\$i=[1-9][0-9]{0,7},l=[1-9][0-9]{1,3}\$[A-Za-z0-9+/]{2,}\$[A-Za-z0-9+/]{22,}$`),
	regexp.MustCompile(`^\$scrypt\$ln=[1-9][0-9]{0,5},r=[1-8],p=([1-9]|10)\$[A-Za-z0-9+/]{2,}=*\$[A-Za-z0-9+/]{22,}=*$`),
	regexp.MustCompile(`^\$(md5|sha1|sha256|sha512)\$pf=[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]*=*\$[A-Za-z0-9+/]{22,}=*$`),
	regexp.MustCompile(`^\$hmac-(md4|md5|sha1|sha224|sha256|sha384|sha512)\$[A-Za-z0-9+/]{43,}=*\$[A-Za-z0-9+/]{2,}=*$`),
}

// FuzzConversions: a result has one of Kratos' forms, and is the same after a second
// conversion where Kratos' form is Auth0's too; an error has no part of the hash.
func FuzzConversions(f *testing.F) {
	for _, c := range conversions() {
		f.Add(c.auth0)
	}
	said := map[string]bool{}
	for _, c := range conversions() {
		if c.err != nil {
			said[c.err.Error()] = true
		}
	}
	f.Fuzz(func(t *testing.T, auth0 string) {
		form, err := convert(auth0)
		if err != nil {
			if form != "" || !said[err.Error()] {
				t.Fatalf("%q: the error is not one of the constant ones: %v", form, err)
			}
			return
		}
		if !slices.ContainsFunc(kratosForms, func(kratos *regexp.Regexp) bool { return kratos.MatchString(form) }) || len(form) > 4*maxLength {
			t.Fatalf("%q has none of Kratos' forms", form)
		}
		if again, err := convert(form); err == nil && again != form {
			t.Fatalf("%q becomes %q", form, again)
		}
	})
}

// TestObjectsOfTexts: a hash that names its algorithm is the same as a text and in an object.
func TestObjectsOfTexts(t *testing.T) {
	t.Parallel()
	for algorithm, text := range map[string]string{"bcrypt": bcryptHash, "argon2": argon2Hash, "ldap": "{SHA}cg7f42jH39/2EaAU4wNd4s2lKIk="} {
		value, err := json.Marshal(map[string]any{"algorithm": algorithm, "hash": map[string]any{"value": text, "encoding": "utf8"}, "password": map[string]any{"encoding": "utf8"}})
		if err != nil {
			t.Fatal(err)
		}
		one, err1 := convert(text)
		two, err2 := convert(string(value))
		if one != two || err1 != nil || err2 != nil {
			t.Errorf("%q, %v and %q, %v", one, err1, two, err2)
		}
	}
}
