package hashfile

import (
	"strings"
	"testing"
	"time"
)

func TestParseLine(t *testing.T) {
	at := time.Date(2019, 12, 6, 18, 36, 12, 412e6, time.UTC)
	for name, c := range map[string]struct {
		text, subject string
		setAt         time.Time
	}{
		"plain":                   {`{"_id":{"$oid":"5d"},"passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"upper case":              {`{"_ID":{"$oid":"5d"},"passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"id is a text":            {`{"_id":"5d","passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"alt_id":                  {`{"_id":{"$oid":"5d"},"alt_id":"euclid","passwordHash":"h"}`, "auth0|euclid", time.Time{}},
		"alt_id alone":            {`{"alt_id":"euclid","passwordHash":"h"}`, "auth0|euclid", time.Time{}},
		"alt_id empty":            {`{"_id":{"$oid":"5d"},"alt_id":"","passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"alt_id null":             {`{"_id":{"$oid":"5d"},"alt_id":null,"passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"date":                    {`{"_id":"5d","passwordHash":"h","password_set_date":{"$date":"2019-12-06T18:36:12.412Z"}}`, "auth0|5d", at},
		"date, elsewhere":         {`{"_id":"5d","passwordHash":"h","password_set_date":{"$date":"2019-12-06T19:36:12.412+01:00"}}`, "auth0|5d", at},
		"date, milliseconds":      {`{"_id":"5d","passwordHash":"h","password_set_date":{"$date":1575657372412}}`, "auth0|5d", at},
		"date, long milliseconds": {`{"_id":"5d","passwordHash":"h","password_set_date":{"$date":{"$numberLong":"1575657372412"}}}`, "auth0|5d", at},
		"date, text":              {`{"_id":"5d","passwordHash":"h","password_set_date":"2019-12-06T18:36:12.412Z"}`, "auth0|5d", at},
		"date, a number":          {`{"_id":"5d","passwordHash":"h","password_set_date":1575657372412}`, "auth0|5d", at},
		"date, seconds":           {`{"_id":"5d","passwordHash":"h","password_set_date":1575657372}`, "auth0|5d", at.Truncate(time.Second)},
		"date, digits as text":    {`{"_id":"5d","passwordHash":"h","password_set_date":"1575657372412"}`, "auth0|5d", at},
		"date, no zone":           {`{"_id":"5d","passwordHash":"h","password_set_date":"2019-12-06T18:36:12.412"}`, "auth0|5d", at},
		"date, of a database":     {`{"_id":"5d","passwordHash":"h","password_set_date":"2019-12-06 18:36:12.412"}`, "auth0|5d", at},
		"date, with an offset":    {`{"_id":"5d","passwordHash":"h","password_set_date":"2019-12-06 20:36:12.412 +0200"}`, "auth0|5d", at},
		"date, a day":             {`{"_id":"5d","passwordHash":"h","password_set_date":"2019-12-06"}`, "auth0|5d", at.Truncate(24 * time.Hour)},
		"other names":             {`{"user_id":"auth0|5d","password_hash":"h","passwordSetDate":"2019-12-06T18:36:12.412Z"}`, "auth0|5d", at},
		"id, and the provider":    {`{"_id":"auth0|5d","passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"plain id":                {`{"id":"5d","passwordHash":"h"}`, "auth0|5d", time.Time{}},
		"date null":               {`{"_id":"5d","passwordHash":"h","password_set_date":null}`, "auth0|5d", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := parseLine([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if hash.Subject != c.subject || !hash.SetAt.Equal(c.setAt) || hash.Hash.Reveal() != "h" || hash.Twice {
				t.Errorf("read %+v", hash)
			}
		})
	}
}

func TestCustomHash(t *testing.T) {
	hash, err := parseLine([]byte(`{"_id":{"$oid":"5d"},"custom_password_hash":{"algorithm":"md5"}}`))
	if err != nil || hash.Subject != "auth0|5d" || !hash.Hash.Empty() || hash.Custom.Reveal() != `{"algorithm":"md5"}` {
		t.Errorf("read %+v, %v", hash, err)
	}
}

func TestParseLineRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no json":               `canary`,
		"custom hash a text":    `{"_id":"canary","custom_password_hash":"canary"}`,
		"custom hash null":      `{"_id":"canary","custom_password_hash":null}`,
		"cut":                   `{"_id":{"$oid":"canary"},"passwordHash":"h"`,
		"two values":            `{"_id":"canary","passwordHash":"h"}{}`,
		"list":                  `[{"_id":"canary","passwordHash":"h"}]`,
		"null":                  `null`,
		"both ids":              `{"_id":{"$oid":"canary"},"_ID":{"$oid":"canary"},"passwordHash":"h"}`,
		"id twice":              `{"_id":"canary","_id":"canary","passwordHash":"h"}`,
		"hash twice":            `{"_id":"canary","passwordHash":"h","passwordhash":"g"}`,
		"no id":                 `{"email":"canary","passwordHash":"h"}`,
		"id only a provider":    `{"_id":"auth0|","email":"canary","passwordHash":"h"}`,
		"id null":               `{"_id":null,"email":"canary","passwordHash":"h"}`,
		"id empty":              `{"_id":"","email":"canary","passwordHash":"h"}`,
		"id empty object":       `{"_id":{},"email":"canary","passwordHash":"h"}`,
		"id empty oid":          `{"_id":{"$oid":""},"email":"canary","passwordHash":"h"}`,
		"id a number":           `{"_id":5,"email":"canary","passwordHash":"h"}`,
		"oid a number":          `{"_id":{"$oid":5},"email":"canary","passwordHash":"h"}`,
		"alt_id a number":       `{"_id":"canary","alt_id":5,"passwordHash":"h"}`,
		"no hash":               `{"_id":"canary"}`,
		"hash null":             `{"_id":"canary","passwordHash":null}`,
		"hash empty":            `{"_id":"canary","passwordHash":""}`,
		"hash a number":         `{"_id":"canary","passwordHash":5}`,
		"hash, other case":      `{"_id":"canary","passwordhash":"h"}`,
		"date no date":          `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":"canary"}}`,
		"date empty":            `{"_id":"canary","passwordHash":"h","password_set_date":""}`,
		"date empty object":     `{"_id":"canary","passwordHash":"h","password_set_date":{}}`,
		"date, day or month":    `{"_id":"canary","passwordHash":"h","password_set_date":"01/02/2024"}`,
		"date a list":           `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":[]}}`,
		"date a fraction":       `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":1.5}}`,
		"date too far":          `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":9223372036854775807}}`,
		"date too long":         `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":{"$numberLong":"92233720368547758070"}}}`,
		"date, long a number":   `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":{"$numberLong":5}}}`,
		"date, long no number":  `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":{"$numberLong":""}}}`,
		"date, twice but case":  `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":1,"$Date":2}}`,
		"date, not of this era": `{"_id":"canary","passwordHash":"h","password_set_date":{"$date":-99999999999999}}`,
		"no utf-8":              "{\"_id\":\"canary\xff\",\"passwordHash\":\"h\"}",
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := parseLine([]byte(text))
			if err == nil {
				t.Fatalf("read as %+v", hash)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds a value: %v", err)
			}
		})
	}
}

// FuzzParseLine: what is read has a user, a hash and a date that can be written.
func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{
		theirs, `{"_ID":{"$oid":"5d"},"passwordHash":"h"}`, `{"_id":"5d","alt_id":"a","passwordHash":"h","password_set_date":{"$date":{"$numberLong":"1"}}}`,
		`{"_id":"5d","passwordHash":"h","password_set_date":"0000-01-01T00:00:00Z"}`, `{"_id":"5d","passwordHash":"h","password_set_date":{"$date":-1}}`, `[]`, `{"_id":"5d","custom_password_hash":{}}`,
		`{"alt_id":"auth0|","passwordHash":"h"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		hash, err := parseLine(text)
		if err != nil {
			return
		}
		if id, ok := strings.CutPrefix(hash.Subject, "auth0|"); !ok || id == "" || hash.Hash.Empty() && hash.Custom.Empty() {
			t.Fatalf("read %+v", hash)
		}
		if _, err := hash.SetAt.MarshalText(); err != nil {
			t.Fatalf("a date that cannot be written: %v", err)
		}
	})
}
