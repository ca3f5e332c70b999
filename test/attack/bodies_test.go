package attack

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// login is the body of a migration hook call.
func login(identifier, password string) string {
	text, _ := json.Marshal(map[string]string{"identifier": identifier, "password": password}) //nolint:errchkjson // two texts
	return string(text)
}

// maxMiB is how much memory ferry may have used at any time of a test that feeds it bombs: more
// than it needs, and far less than one of the bombs unpacked.
const maxMiB = 160

// checkMemory compares the most memory that ferry has used with maxMiB.
func (s *stack) checkMemory(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.ferry.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("%s", text)
	}
	if kib, err := strconv.Atoi(fields[0]); err != nil || kib > maxMiB<<10 {
		t.Errorf("ferry used %s KiB (%v)", fields[0], err)
	}
}

// bomb is a gzip file of a JSON object with a long field.
func bomb(t *testing.T, size int, object string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for range size >> 20 {
		if _, err := w.Write(blanks); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte(object)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestBombs: a body that is compressed, endless, deep or ambiguous is refused on every hook, and
// ferry's memory stays small. Neither Kratos nor Auth0 is asked.
func TestBombs(t *testing.T) {
	s := start(t, "FERRY_ENSURE=true", "FERRY_SIGN_UP=true")
	s.admin.received()
	packed := bomb(t, 192<<20, login(kim, password))
	deep := func(open, shut string) string {
		n := 900 << 10 / (len(open) + len(shut))
		return `{"identifier":"a","password":"x","identity":` + strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) + `}`
	}
	var many strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&many, `"k%d":1,`, i)
	}
	set := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	none := func(*http.Request) {}
	cases := map[string]struct {
		body   string
		change func(*http.Request)
	}{
		"gzip":                  {packed, set("Content-Encoding", "gzip")},
		"gzip, unnamed":         {packed, none},
		"gzip in a second line": {packed, set("Content-Encoding", "identity", "gzip")},
		"x-gzip":                {packed, set("Content-Encoding", "x-gzip")},
		"deflate":               {packed, set("Content-Encoding", "deflate")},
		"br":                    {packed, set("Content-Encoding", "br")},
		"zstd":                  {packed, set("Content-Encoding", "zstd")},
		"identity, gzip":        {packed, set("Content-Encoding", "identity, gzip")},
		"+gzip media type":      {packed, set("Content-Type", "application/json+gzip")},
		"deep lists":            {deep("[", "]"), none},
		"deep objects":          {deep(`{"a":`, "}"), none},
		"deep, never closed":    {deep("[", ""), none},
		"many keys, one twice":  {`{"identifier":"a",` + many.String() + `"password":"x","k7":2}`, none},
		"password thrice":       {`{"identifier":"a","password":"x","password":"y","password":"x"}`, none},
		"key by an escape":      {`{"identifier":"a","password":"x","passwor\u0064":"y"}`, none},
		"key in another case":   {`{"identifier":"a","password":"x","PASSWORD":"y"}`, none},
		"inner key twice":       {`{"identifier":"a","password":"x","identity":{"id":"1","id":"2"}}`, none},
		"UTF-16":                {"\xff\xfe{\x00}\x00", none},
		"byte order mark":       {"\ufeff" + login("a", "x"), none},
		"invalid UTF-8":         {"{\"identifier\":\"a\xff\",\"password\":\"x\"}", none},
		"invalid UTF-8, key":    {"{\"identifier\":\"a\",\"password\":\"x\",\"k\xc0\x80\":1}", none},
		"overlong NUL":          {"{\"identifier\":\"a\",\"password\":\"x\xc0\x80\"}", none},
		"surrogate as bytes":    {"{\"identifier\":\"a\",\"password\":\"\xed\xa0\x80\"}", none},
		"half a surrogate":      {`{"identifier":"a","password":"\ud800"}`, none},
		"raw NUL":               {"{\"identifier\":\"a\x00\",\"password\":\"x\"}", none},
		"raw NUL behind":        {login("a", "x") + "\x00", none},
		"infinite number":       {`{"identifier":"a","password":1e999999}`, none},
		"not a number":          {`{"identifier":"a","password":NaN}`, none},
		"comment":               {`{"identifier":"a",/* */"password":"x"}`, none},
		"proto":                 {`{"__proto__":{"password":"x"},"identifier":"a"}`, none},
	}
	for _, hook := range []string{"password-migration", "ensure"} {
		for name, c := range cases {
			got := post(t, s.ferry.HooksURL()+"/hooks/"+hook, c.body, c.change)
			// ensure reads no password, and ignores what it does not know.
			if hook == "ensure" && got.status == http.StatusNoContent && !strings.Contains(name, "gzip") {
				continue
			}
			if got.status != http.StatusBadRequest && got.status != http.StatusUnsupportedMediaType || strings.Contains(got.body, kim) {
				t.Errorf("%s, %s: %s", hook, name, got)
			}
		}
	}
	for name, c := range cases {
		s.checkTolerant(t, name, c.body, c.change)
	}
	if got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(kim, strings.Repeat("x", 40<<20))); got.status != http.StatusForbidden {
		t.Errorf("40 MiB: %s", got)
	}
	if got := s.admin.received(); got != "" || s.sim.TokenRequests() != 0 {
		t.Errorf("Kratos got %q, Auth0 %d requests", got, s.sim.TokenRequests())
	}
	s.checkMemory(t)
}

// checkTolerant sends a bad body to the hooks that answer a login or a sign-up in progress: it
// must not fail.
func (s *stack) checkTolerant(t *testing.T, name, body string, change func(*http.Request)) {
	t.Helper()
	for _, hook := range []string{"after-login", "after-registration"} {
		if got := post(t, s.ferry.HooksURL()+"/hooks/"+hook, body, change); got.status != http.StatusNoContent && strings.TrimSpace(got.body) != "{}" {
			t.Errorf("%s, %s: %s", hook, name, got)
		}
	}
}

// TestOddText: text that other programs cut, fold or interpret arrives at Auth0 as it was typed,
// or nowhere.
func TestOddText(t *testing.T) {
	s := start(t)
	for name, typed := range map[string]string{
		"NUL":                     "a\x00b",
		"NUL first":               "\x00" + password,
		"NUL behind the password": password + "\x00",
		"line ends":               "a\r\nrealm=other&password=b\r\n",
		"form syntax":             "a&grant_type=client_credentials&realm=other;b=%00%0d%0a+ +",
		"JSON syntax":             `a","realm":"other`,
		"U+FFFD":                  "a\ufffdb",
		"noncharacter":            "a\uffff",
		"right to left":           "\u202ea",
		"not normalized":          "o\u0308",
		"full width":              "ｐａｓｓ",
		"private use":             "\U0010fffd",
		"template syntax":         "{{.}} ${jndi:ldap://x} %s %n",
		"blanks":                  " \t\u00a0 ",
		"DEL":                     "\x7f",
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.sim.Requests())
			got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(kim, typed))
			if got.status != http.StatusForbidden {
				t.Fatalf("password: %s", got)
			}
			requests := s.sim.Requests()[before:]
			if len(requests) != 1 || requests[0].Realm != users || requests[0].Username != kim || !requests[0].PasswordIs(typed) {
				t.Errorf("Auth0 got %+v, not %q", requests, typed)
			}
			if got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(typed+"@x", password)); got.status != http.StatusForbidden && got.status != http.StatusFailedDependency {
				t.Errorf("identifier: %s", got)
			}
			flow := `{"method":"password","identifier":` + quoted(typed+"@y") + `,"password":"x"}`
			if got := post(t, s.ferry.GatewayURL()+"/self-service/login?flow=3f6b8f5e-6a0e-4f39-9d3e-1c2d3e4f5a6b", flow); got.status != http.StatusBadRequest {
				t.Errorf("gateway: %s", got)
			}
		})
	}
	// The right one still matches.
	if got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(" "+strings.ToUpper(kim)+"\t", password)); got.body != `{"status":"password_match"}` {
		t.Errorf("%s", got)
	}
}

func quoted(text string) string {
	out, _ := json.Marshal(text) //nolint:errchkjson // a text
	return string(out)
}
