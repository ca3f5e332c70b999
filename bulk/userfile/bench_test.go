package userfile_test

import (
	"fmt"
	"strings"
	"testing"

	"ferry/bulk/userfile"
)

// BenchmarkRows passes over 20,000 users of about 1 KB.
func BenchmarkRows(b *testing.B) {
	const rows = 20_000
	filler := strings.Repeat("lorem ipsum 0123 ", 50)
	var ndjson, table strings.Builder
	table.WriteString("user_id,email,email_verified,logins_count,user_metadata.a,user_metadata.b,created_at\n")
	for i := range rows {
		fmt.Fprintf(&ndjson, `{"user_id":"auth0|%024d","email":"user%d@example.com","email_verified":true,"logins_count":%d,"user_metadata":{"a":"%s","b":"x"},"created_at":"2020-01-01T00:00:00.000Z"}`+"\n", i, i, i, filler)
		fmt.Fprintf(&table, "auth0|%024d,user%d@example.com,true,%d,%s,\"x, y\",2020-01-01T00:00:00.000Z\n", i, i, i, filler)
	}
	array := "[" + strings.ReplaceAll(strings.TrimSpace(ndjson.String()), "\n", ",\n") + "]"
	for _, c := range []struct{ name, text string }{
		{"ndjson", ndjson.String()}, {"array", array}, {"csv", table.String()},
	} {
		for packing, text := range map[string]string{"plain": c.text, "gzip": pack(b, c.text)} {
			b.Run(c.name+"/"+packing, func(b *testing.B) {
				b.SetBytes(int64(len(c.text)))
				benchmarkRows(b, text, rows)
			})
		}
	}
}

func benchmarkRows(b *testing.B, text string, rows int) {
	b.Helper()
	s, err := userfile.Open(b.Context(), write(b, text), nil, "", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	seen := 0
	for b.Loop() {
		for _, err := range s.Rows(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			seen++
		}
	}
	b.ReportMetric(float64(seen)/b.Elapsed().Seconds(), "rows/s")
	if seen != b.N*rows {
		b.Fatalf("%d rows", seen)
	}
}
