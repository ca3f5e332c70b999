package recording

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// hashed stands in for the keyed hash and shows what was hashed.
func hashed(text string) string { return "<" + text + ">" }

const uuid1 = "e187bf45-fb83-4a45-8227-79025897309f"

func TestRedact(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"fixed":                   {`{"identifier":" Alice@X.org ","password":"pw"}`, `{"identifier":"#<alice@x.org>","password":"[password]"}`},
		"template":                {`{"identifier":"a","password":"pw","identity":{"id":"` + uuid1 + `","external_id":"crm-7","state":"active"},"flow":{"id":"` + uuid1 + `"},"client":{"ip":"192.0.2.1","user_agent":"Firefox"}}`, `{"identifier":"#<a>","password":"[password]","identity":{"id":"` + uuid1 + `","external_id":"#<crm-7>","state":"active"},"flow":{"id":"` + uuid1 + `"},"client":{"ip":"#<192.0.2.1>","user_agent":"#<Firefox>"}}`},
		"after login":             {`{"identity":{"schema_id":"person","state":"inactive"},"flow":{"type":"browser"}}`, `{"identity":{"schema_id":"person","state":"inactive"},"flow":{"type":"browser"}}`},
		"invalid ids":             {`{"identity":{"id":"alice","state":"alice","schema_id":"a@b"},"flow":{"id":"bob","type":"bob"}}`, `{"identity":{"id":"#<alice>","state":"#<alice>","schema_id":"#<a@b>"},"flow":{"id":"#<bob>","type":"#<bob>"}}`},
		"empty and null stay":     {`{"identifier":"","password":"","identity":null,"a":[],"b":{}}`, `{"identifier":"","password":"","identity":null,"a":[],"b":{}}`},
		"blank identifier":        {`{"identifier":" \t","password":"x"}`, `{"identifier":"","password":"[password]"}`},
		"traits":                  {`{"identity":{"traits":{"email":"A@x","age":41,"vip":true,"tags":["t",1,null]}}}`, `{"identity":{"traits":{"email":"#<A@x>","age":"#<41>","vip":"#<true>","tags":["#<t>","#<1>",null]}}}`},
		"other numbers":           {`{"identifier":49151,"flow":{"refresh":false,"n":1e3}}`, `{"identifier":0,"flow":{"refresh":false,"n":0}}`},
		"dropped":                 {`{"request_headers":{"Cookie":["s"]},"request_cookies":{"a":"b"},"session_token":"t","Authorization":"x","csrf":"c","ui":{"nodes":[1]},"ok":""}`, `{"ok":""}`},
		"other passwords":         {`{"password":"pw","Current_PassWord":"old","passphrases":["a",{"b":"c","n":5}]}`, `{"password":"[password]","Current_PassWord":"[password]","passphrases":["[password]",{"b":"[password]","n":null}]}`},
		"password repeated":       {`{"note":"hunter2","hunter2":1,"client":{"user_agent":"hunter2"},"password":"hunter2"}`, `{"note":"[password]","[password]":0,"client":{"user_agent":"[password]"},"password":"[password]"}`},
		"a word Kratos uses":      {`{"identifier":"a","password":"active","identity":{"schema_id":"person","state":"active"}}`, `{"identifier":"#<a>","password":"[password]","identity":{"schema_id":"person","state":"active"}}`},
		"the schema's name":       {`{"password":"person","identity":{"schema_id":"person","state":"person"}}`, `{"password":"[password]","identity":{"schema_id":"person","state":"[password]"}}`},
		"a key Kratos uses":       {`{"identifier":"a","password":"identity","identity":{"state":"active"},"traits":{"identity":"x"}}`, `{"identifier":"#<a>","password":"[password]","identity":{"state":"active"},"traits":{"identity":"#<x>"}}`},
		"both the same":           {`{"identifier":"Ada","password":"ada"}`, `{"identifier":"#<ada>","password":"[password]"}`},
		"the same, exactly":       {`{"password":"ada","identifier":"ada"}`, `{"password":"[password]","identifier":"#<ada>"}`},
		"identifier repeated":     {`{"identifier":" Alice","alice":1,"traits":{"ALICE":"alice"}}`, `{"identifier":"#<alice>","#<alice>":0,"traits":{"#<ALICE>":"#<alice>"}}`},
		"personal keys":           {`{"traits":{"alice@x.org":"a","+49 151":"b","1":"c"}}`, `{"traits":{"#<alice@x.org>":"#<a>","#<+49 151>":"#<b>","#<1>":"#<c>"}}`},
		"a password in the agent": {`{"password":"hunter2","client":{"user_agent":"Firefox hunter2"}}`, `{"password":"[password]","client":{"user_agent":"#<Firefox hunter2>"}}`},
		"response: parse":         {`{"response":"parse","x":{"response":"parse"}}`, `{"response":"parse","x":{"response":"#<parse>"}}`},
		"response: unknown":       {`{"response":"alice"}`, `{"response":"#<alice>"}`},
		"keys with dots":          {`{"client.user_agent":"alice","x":{"identity.id":"` + uuid1 + `"}}`, `{"#<client.user_agent>":"#<alice>","x":{"#<identity.id>":"#<` + uuid1 + `>"}}`},
		"agents in a list":        {`{"client":{"user_agent":["alice"]}}`, `{"client":{"user_agent":["#<alice>"]}}`},
		"blanks":                  {" {\n\"a\" : [ \"\" , null ] } ", `{"a":["",null]}`},
		"an array":                {`["a"]`, ""},
		"text":                    {`"alice"`, ""},
		"nothing":                 {``, ""},
		"two":                     {`{} {}`, ""},
		"truncated":               {`{"identifier":"al`, ""},
		"a key twice":             {`{"a":"x","a":"y"}`, ""},
		"invalid UTF-8":           {"{\"a\":\"\xff\"}", ""},
		"too deep":                {strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), ""},
		"too long":                {`{"a":"` + strings.Repeat("x", 33<<10) + `"}`, ""},
		"too many":                {`{"traits":[` + strings.Repeat("1,", 2000) + `1]}`, ""},
		"password not a string":   {`{"password":{"a":"x","b":7}}`, `{"password":{"a":"[password]","b":null}}`},
		"text that looks hashed":  {`{"a":"#0123456789abcdef"}`, `{"a":"#<#0123456789abcdef>"}`},
	} {
		if got := string(redact([]byte(c.body), hashed)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

var (
	fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	fuzzHash  = regexp.MustCompile(`^#h$`)
)

// isAllowed reports whether a text may remain after redaction at a path of keys.
func isAllowed(path, text string) bool {
	switch {
	case text == "", text == "[password]", fuzzHash.MatchString(text):
		return true
	case path == "/identity/id", path == "/flow/id":
		return regexp.MustCompile(`^[0-9a-fA-F-]{36}$`).MatchString(text)
	case path == "/identity/state":
		return text == "active" || text == "inactive"
	case path == "/flow/type":
		return text == "api" || text == "browser"
	case path == "/identity/schema_id":
		return fieldName.MatchString(text)
	case path == "/response":
		return text == "ignore" || text == "parse"
	}
	return false
}

func checkRedacted(t *testing.T, value any, path, password string) {
	t.Helper()
	switch v := value.(type) {
	case string:
		if !isAllowed(path, v) {
			t.Fatalf("%q is left at %s", v, path)
		}
	case float64:
		if v != 0 {
			t.Fatalf("%v is left at %s", v, path)
		}
	case []any:
		for _, element := range v {
			checkRedacted(t, element, path+"/[]", password)
		}
	case map[string]any:
		for key, element := range v {
			if !fieldName.MatchString(key) && key != "[password]" && !fuzzHash.MatchString(key) {
				t.Fatalf("the key %q is left at %s", key, path)
			}
			if key == password && !isOwnKey(key) && key != PasswordPlaceholder && !fuzzHash.MatchString(key) {
				t.Fatalf("the password is left as a key at %s", path)
			}
			checkRedacted(t, element, path+"/"+key, password)
		}
	}
}

// FuzzRedact: of any body, only field names and values known to be harmless in their
// place remain.
func FuzzRedact(f *testing.F) {
	for _, body := range payloads(f) {
		if len(body) < 1<<10 { // longer inputs are slow to minimize
			f.Add(body)
		}
	}
	for _, seed := range []string{"", "null", "{}", `{"identifier":"A ","password":"p","client":{"user_agent":"p"}}`, `{"password":["x"],"a":{"p":"p"}}`, `{"password":"flow","flow":{"type":"api"}}`, `{"password":"p","a":{"p":1e999}}`, `{"password":1e999}`, "\xff", `{"a":1}{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := redact(body, func(string) string { return "h" })
		if got == nil {
			return
		}
		var before map[string]json.RawMessage // a number may be one that no float64 holds
		var after any
		if json.Unmarshal(got, &after) != nil || json.Unmarshal(body, &before) != nil || strings.ContainsRune(string(got), '\n') {
			t.Fatalf("%q became %q", body, got)
		}
		var password string
		_ = json.Unmarshal(before["password"], &password) // empty if it is not a text
		checkRedacted(t, after, "", password)
	})
}

// payloads returns the bodies that a real Kratos sent.
func payloads(tb testing.TB) [][]byte {
	tb.Helper()
	names, err := filepath.Glob("../test/testdata/payloads/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatalf("%d payloads, %v", len(names), err)
	}
	var bodies [][]byte
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		type recorded struct {
			Body json.RawMessage `json:"body"`
		}
		var many []recorded
		if json.Unmarshal(text, &many) != nil {
			many = make([]recorded, 1)
			if json.Unmarshal(text, &many[0]) != nil {
				continue
			}
		}
		for _, one := range many {
			if len(one.Body) > 0 {
				bodies = append(bodies, one.Body)
			}
		}
	}
	return bodies
}

// TestRedactPayloads: of real bodies, including the whole ctx, no text remains that is
// longer than Kratos' own words.
func TestRedactPayloads(t *testing.T) {
	t.Parallel()
	redacted := 0
	for _, body := range payloads(t) {
		var before map[string]any
		if json.Unmarshal(body, &before) != nil {
			continue
		}
		got := redact(body, func(string) string { return "h" })
		var after any
		if err := json.Unmarshal(got, &after); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		redacted++
		password, _ := before["password"].(string)
		checkRedacted(t, after, "", password)
		for _, word := range []string{"@example", "Secr3t", "csrf_token_", "Bearer", "203.0.113"} {
			if strings.Contains(string(got), word) {
				t.Errorf("%q is left in %s", word, got)
			}
		}
	}
	if redacted < 8 {
		t.Errorf("only %d payloads were redacted", redacted)
	}
}
