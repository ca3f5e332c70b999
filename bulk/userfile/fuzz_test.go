package userfile_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"ferry/bulk/userfile"
)

// FuzzRows: whatever the file, a pass ends, its lines go up, no row has both a user and
// an error, what CSV becomes is JSON, a second pass sees the same, and a copy of all
// rows reads as they do.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{
		"", "\ufeff", "{\"a\":1}\r\n\n{\"a\":2}", "[{},1,\"x\"]", "[{},", "[{}]x", "{}\nhello\n[",
		"user_id,email_verified,logins_count\n1,true,2\n2,x,y\n3\n", "user_id,a.b,a.c\n1,\"x\ny\",'=z\n", "user_id,user_metadata\n1,{}\n\"x",
		"user_id\n\"a\"b\nc\"d\n\r\n\r", "user_id\n\"\"0\"\n ", "\n \nuser_id,identities[0].connection\n\n1,db", "user_id,a,A\n", "user_id,app_metadata\n1,\"[1,{\"\"x\"\":2}]\"",
		"{\n\"a\":1}\n{}", "{}{}", "[{}]\n[1]", `{"users":[{"a":1},2],"total":2}{"users":[]}`, `[{"users":[{}]}]`, "{\n", "PK\x03\x04",
		"user_id,name\n'auth0|1,''x\nauth0|2,x\n", "'user_id,'name\n'auth0|1,'x\n", "User ID,Email Verified\nauth0|1,TRUE\n", "Id;Email\n1;2",
	} {
		f.Add([]byte(seed))
		f.Add([]byte(pack(f, seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := userfile.OpenBytes(t.Context(), data)
		if err != nil {
			return
		}
		last, rows := 0, 0
		for row, err := range s.Rows(t.Context()) {
			if err != nil {
				if errors.Is(err, io.EOF) {
					t.Fatalf("the end of the file is an error: %v", err)
				}
				break
			}
			checkRow(t, s.Format(), row, last)
			last = row.Line
			rows++
		}
		if again, _ := pass(t.Context(), s); len(again) != rows {
			t.Fatalf("%d rows, then %d", rows, len(again))
		}
		roundTrip(t, s)
	})
}

func checkRow(t *testing.T, format userfile.Format, row userfile.Row, last int) {
	t.Helper()
	if row.Line <= last {
		t.Fatalf("line %d after line %d", row.Line, last)
	}
	if (row.Err == nil) != (len(row.JSON) > 0) {
		t.Fatalf("line %d: %q with %v", row.Line, row.JSON, row.Err)
	}
	if format == userfile.CSV && row.Err == nil && (!json.Valid(row.JSON) || !strings.HasPrefix(string(row.JSON), "{")) {
		t.Fatalf("line %d is no JSON object: %q", row.Line, row.JSON)
	}
}
