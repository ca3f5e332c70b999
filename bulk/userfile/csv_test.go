package userfile_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCSVCells(t *testing.T) {
	const plain = "user_id,email_verified,phone_verified,blocked,logins_count,identities,multifactor,app_metadata,user_metadata,name"
	for name, c := range map[string]struct{ header, row, want string }{
		"texts":                  {"user_id,name,created_at", `auth0|1, x ,2020-01-01T00:00:00.000Z`, `{"user_id":"auth0|1","name":" x ","created_at":"2020-01-01T00:00:00.000Z"}`},
		"texts like others":      {"user_id,name,nickname", `1,true,{}`, `{"user_id":"1","name":"true","nickname":"{}"}`},
		"all kinds":              {plain, `1,true,FALSE,True,12,"[{""a"":1}]",[],"{""b"":{}}","{}",x`, `{"user_id":"1","email_verified":true,"phone_verified":false,"blocked":true,"logins_count":12,"identities":[{"a":1}],"multifactor":[],"app_metadata":{"b":{}},"user_metadata":{},"name":"x"}`},
		"all empty":              {plain, `,,,,,,,,,`, `{}`},
		"whole columns, no json": {plain, `1,,,,,a,b,c,d,`, `{"user_id":"1","identities":"a","multifactor":"b","app_metadata":"c","user_metadata":"d"}`},
		"no truth":               {plain, `1,canary,,,,,,,,`, `error: column email_verified is neither true nor false`},
		"no truth, blank":        {plain, `1,,,true ,,,,,,`, `error: column blocked is neither true nor false`},
		"no number":              {plain, `1,,,,canary,,,,,`, `error: column logins_count is not a number`},
		"no number of json":      {plain, `1,,,,007,,,,,`, `error: column logins_count is not a number`},
		"two numbers":            {plain, `1,,,,"1,2",,,,,`, `error: column logins_count is not a number`},
		"no json":                {plain, `1,,,,,,,{canary},,`, `error: column app_metadata begins like JSON but is not valid JSON`},
		"two values":             {plain, `1,,,,,,,"{},""email"":""canary""",,`, `error: column app_metadata begins like JSON but is not valid JSON`},
		"twice in json":          {plain, `1,,,,,,,"{""a"":1,""a"":2}",,`, `error: column app_metadata begins like JSON but is not valid JSON`},
		"nested":                 {"user_metadata.consent.given,user_id,app_metadata.plan,user_metadata.consent.at,user_metadata.x", `yes,1,free,,true`, `{"user_metadata":{"consent":{"given":"yes"},"x":"true"},"user_id":"1","app_metadata":{"plan":"free"}}`},
		"nested, nothing inside": {"user_metadata.consent.given,user_id,user_metadata.x", `,1,`, `{"user_id":"1"}`},
		"nested, json stays":     {"user_id,user_metadata.list,user_metadata.blocked", `1,[1],maybe`, `{"user_id":"1","user_metadata":{"list":"[1]","blocked":"maybe"}}`},
		"an index":               {"user_id,identities[0].connection,identities[0].isSocial", `1,db,false`, `{"user_id":"1","identities[0].connection":"db","identities[0].isSocial":"false"}`},
		"apostrophes":            {"user_id,phone_number,name,nickname,given_name", `'-1,'+15551234,'=x,'@y,'`, `{"user_id":"-1","phone_number":"+15551234","name":"=x","nickname":"@y","given_name":"'"}`},
		"single quotes":          {"user_id,name,nickname", `1,'x',''=`, `{"user_id":"1","name":"'x'","nickname":"''="}`},
		"escapes":                {"user_id,\"na\"\"me\"", "1,\"\\ \x00\u2028<\"", `{"user_id":"1","na\"me":"\\ \u0000` + "\u2028" + `<"}`},
		"too few":                {"user_id,name", `canary`, `error: the row has 1 cells and the header 2`},
		"too many":               {"user_id,name", `1,2,canary`, `error: the row has 3 cells and the header 2`},
		"quote inside":           {"user_id,name", `1,can"ary"`, `error: a quote is misplaced`},
		"quote and more":         {"user_id,name", `1,"can"ary`, `error: a quote is misplaced`},
		"quote over lines":       {"user_id,name", "1,\"x\n2,y\n3,\"canary\"", `error: a quote is misplaced or missing: lines 2 to 4 were read as one row`},
		"no utf-8":               {"user_id,name", "1,canaryü\xff", `error: column name is not UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			rows := mustPass(t, open(t, c.header+"\n"+c.row+"\n"+strings.Repeat(",", strings.Count(c.header, ","))+"\n"))
			if len(rows) != 2 {
				t.Fatalf("%d rows", len(rows))
			}
			if rows[0] != "2 "+c.want {
				t.Errorf("row:  %s\nwant: 2 %s", rows[0], c.want)
			}
			if !strings.HasSuffix(rows[1], " {}") {
				t.Errorf("the row after it: %s", rows[1])
			}
			if !strings.HasPrefix(c.want, "error") && !json.Valid([]byte(values(rows)[0])) {
				t.Error("it is no JSON")
			}
		})
	}
}

func TestCSVHeaders(t *testing.T) {
	same := func(a, b string) string {
		return `columns "` + a + `" and "` + b + `" of the header are the same, differ in case only, or one is a prefix of the other at row 1: export only one of them`
	}
	for name, c := range map[string]struct{ header, want string }{
		"no user_id":             {"uid,Email,canary,given_name", "the header has no column user_id among its 4, which have Email, given_name at row 1: rename the column whose cells look like auth0|… to user_id, or name it: --column user_id=…"},
		"no known name":          {"uid,canary", "the header has no column user_id among its 2 at row 1: rename the column whose cells look like auth0|… to user_id, or name it: --column user_id=…"},
		"no header":              {"email,canary,auth0|canary", "the header has no column user_id: the first row is a user at row 1: add a row with the column names above it: user_id, email, …"},
		"no header, apostrophes": {"'canary,'auth0|canary", "the header has no column user_id: the first row is a user at row 1: add a row with the column names above it: user_id, email, …"},
		"sep=|":                  {"sep=|\nuser_id|canary", "the columns are separated by | at row 1: separate them by commas, semicolons or tabs"},
		"bars":                   {"user_id|email|canary", "the columns are separated by bars at row 1: separate them by commas, semicolons or tabs: user ids contain bars"},
		"twice":                  {"user_id,name,name", same("name", "name")},
		"twice but for case":     {"user_id,User_ID", same("user_id", "User_ID")},
		"twice, kelvin sign":     {"user_id,k,\u212a", same("k", "\u212a")},
		"twice, nested":          {"user_id,a.b,a.B", same("a.b", "a.B")},
		"case of a part":         {"user_id,a.b,A.c", same("a.b", "A.c")},
		"part after whole":       {"user_id,user_metadata,user_metadata.x", same("user_metadata", "user_metadata.x")},
		"whole after part":       {"user_id,user_metadata.x,user_metadata", same("user_metadata.x", "user_metadata")},
		"no name":                {"user_id,", "column 2 of the header has no name, or an empty part in it at row 1: name it or remove it"},
		"no name of a part":      {"user_id,a..b", "column 2 of the header has no name, or an empty part in it at row 1: name it or remove it"},
		"no utf-8":               {"user_id,\xff", "the name of column 2 is not UTF-8 at row 1: save the file as UTF-8"},
		"too deep":               {"user_id,a" + strings.Repeat(".a", 100), "the name of column 2 has more than 100 parts at row 1: rename it or remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := pass(t.Context(), open(t, c.header+"\n1\n"))
			if err == nil || err.Error() != "read users file: "+c.want {
				t.Fatalf("err = %v\nwant: %s", err, c.want)
			}
			if len(rows) > 0 {
				t.Errorf("rows came of it: %s", rows)
			}
		})
	}
}

// TestTitledColumns: the dashboard and the extension give the columns titles.
func TestTitledColumns(t *testing.T) {
	for name, c := range map[string]struct{ header, row, want string }{
		"dashboard":            {"User ID,Email,Email Verified,Connection", "auth0|1,kim@example.org,TRUE,db", `{"user_id":"auth0|1","email":"kim@example.org","email_verified":true,"connection":"db"}`},
		"extension":            {"Id,Given Name,Email,Logins Count,Blocked", "auth0|1,Kim,kim@example.org,2,false", `{"user_id":"auth0|1","given_name":"Kim","email":"kim@example.org","logins_count":2,"blocked":false}`},
		"an id of its own too": {"Id,User_id,Plan", "7,auth0|1,pro", `{"Id":"7","user_id":"auth0|1","Plan":"pro"}`},
		"apostrophes":          {"'User ID,'Email", "'auth0|1,'kim@example.org", `{"user_id":"auth0|1","email":"kim@example.org"}`},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, mustPass(t, open(t, c.header+"\n"+c.row+"\n")), []string{"2 " + c.want})
		})
	}
}

// TestGuardedFiles: Auth0's export job puts an apostrophe before every text. Whether a
// file is one of those is decided once, by its first user id.
func TestGuardedFiles(t *testing.T) {
	const header = "user_id,email,email_verified,logins_count,name,user_metadata\n"
	for name, c := range map[string]struct {
		text string
		rows []string
	}{
		"texts alone": {
			header + `'auth0|1,'kim@example.org,true,2,'Kim,"'{""a"":1}"` + "\n" + `"'auth0|2","'+tag@example.org",false,,,` + "\n",
			[]string{`2 {"user_id":"auth0|1","email":"kim@example.org","email_verified":true,"logins_count":2,"name":"Kim","user_metadata":{"a":1}}`, `3 {"user_id":"auth0|2","email":"+tag@example.org","email_verified":false}`},
		},
		"everything": {
			header + "'auth0|1,'kim@example.org,'true,'2,',{}\n",
			[]string{`2 {"user_id":"auth0|1","email":"kim@example.org","email_verified":true,"logins_count":2,"user_metadata":{}}`},
		},
		"the header too": {
			"'user_id,'email,'user_metadata.a\n'auth0|1,'kim@example.org,'x\n",
			[]string{`2 {"user_id":"auth0|1","email":"kim@example.org","user_metadata":{"a":"x"}}`},
		},
		"one apostrophe is the name's own": {
			header + "'auth0|1,,,,''t Hooft,\n'auth0|2,,,,''=x,\n",
			[]string{`2 {"user_id":"auth0|1","name":"'t Hooft"}`, `3 {"user_id":"auth0|2","name":"'=x"}`},
		},
		"no apostrophes": {
			header + "auth0|1,,,,'t Hooft,\nauth0|2,'+tag@example.org,,,'=x,\n",
			[]string{`2 {"user_id":"auth0|1","name":"'t Hooft"}`, `3 {"user_id":"auth0|2","email":"+tag@example.org","name":"=x"}`},
		},
		"one apostrophe among others": {
			header + "auth0|1,,,,,\n'auth0|2,,,,'x,\n",
			[]string{`2 {"user_id":"auth0|1"}`, `3 {"user_id":"'auth0|2","name":"'x"}`},
		},
		"another export behind it": {
			header + "'auth0|1,,,,,\nauth0|2,,,,x,\n'auth0|3,,,,'x,\n",
			[]string{`2 {"user_id":"auth0|1"}`, "3 error: column user_id does not begin with ' as in earlier rows: the row is from another export", `4 {"user_id":"auth0|3","name":"x"}`},
		},
		"no user id at first": {
			header + ",,,,'x,\n'nobody,,,,,\n'auth0|2,,,,'x,\n",
			[]string{`2 {"name":"'x"}`, `3 {"user_id":"'nobody"}`, `4 {"user_id":"auth0|2","name":"x"}`},
		},
	} {
		for packing, text := range map[string]string{"plain": c.text, "gzip": pack(t, c.text)} {
			t.Run(name+"/"+packing, func(t *testing.T) {
				s := open(t, text)
				same(t, mustPass(t, s), c.rows)
				same(t, mustPass(t, s), c.rows)
			})
		}
	}
}

// TestRowErrorsHoldNoValue: every refused row above holds the same word.
func TestRowErrorsHoldNoValue(t *testing.T) {
	for _, text := range []string{
		"user_id,blocked\n1,canary\n", "user_id,logins_count\n1,canary\n", "user_id,app_metadata\n1,{canary\n",
		"user_id\ncanary,canary\n", "user_id\n\"canary\"canary\n", "user_id\ncanary\"\n", "user_id\ncanaryü\xff\n",
	} {
		rows := mustPass(t, open(t, text))
		if len(rows) != 1 || !strings.HasPrefix(rows[0], "2 error: ") || strings.Contains(rows[0], "canary") {
			t.Errorf("%q: %q", text, rows)
		}
	}
}
