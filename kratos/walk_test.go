package kratos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferry/kratos"
	"ferry/outcome"
)

// identityList returns n identities in the form of a list. Some were not created by ferry.
func identityList(n int) []string {
	var all []string
	for i := range n {
		one := fmt.Sprintf(`{"id":"00000000-0000-4000-8000-%012d","state":"active","traits":{"email":"kim%d@example.org"},"metadata_public":null,`+
			`"metadata_admin":{"auth0":{"user_id":"auth0|%d"}},"credentials":{"password":{"identifiers":["kim%d@example.org"],`+
			`"config":{"hashed_password":"","use_password_migration_hook":true}}}}`, i, i, i, i)
		if i%100 == 7 {
			one = strings.Replace(one, `{"auth0":{"user_id":"auth0|`+strconv.Itoa(i)+`"}}`, `{"X":1,"x":{"auth0":7}}`, 1)
		}
		all = append(all, one)
	}
	return all
}

// pages answers like Kratos: the token of the next page is the last id of this page.
func pages(t *testing.T, all []string, maxSize int) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		size, err := strconv.Atoi(query.Get("page_size"))
		if r.Method != http.MethodGet || r.URL.Path != "/admin/identities" || err != nil || size != 500 || !slices.Equal(query["include_credential"], []string{"password"}) {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		size = min(size, maxSize)
		from := 0
		if token := query.Get("page_token"); token != "" {
			from = 1 + slices.IndexFunc(all, func(one string) bool { return strings.Contains(one, `"id":"`+token+`"`) })
		}
		to := min(from+size, len(all))
		link := `</admin/identities?page_size=500&page_token=00000000-0000-0000-0000-000000000000>; rel="first"`
		if to < len(all) {
			link += fmt.Sprintf(`,</admin/identities?include_credential=password&page_size=500&page_token=00000000-0000-4000-8000-%012d>; rel="next"`, to-1)
		}
		w.Header().Set("Link", link)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "["+strings.Join(all[from:to], ",")+"]")
	}
}

// walk returns the ids in the order in which they came.
func walk(tb testing.TB, c *kratos.Client) ([]string, error) {
	tb.Helper()
	var ids []string
	err := c.Walk(tb.Context(), func(r kratos.Record) error {
		ids = append(ids, r.ID)
		return nil
	})
	return ids, err
}

func TestWalk(t *testing.T) {
	for _, c := range []struct{ people, maxSize int }{{0, 500}, {1, 500}, {500, 500}, {501, 500}, {1030, 500}, {250, 100}} {
		t.Run(fmt.Sprint(c.people, " by ", c.maxSize), func(t *testing.T) {
			next := 0
			err := dial(t, pages(t, identityList(c.people), c.maxSize)).Walk(t.Context(), func(r kratos.Record) error {
				foreign := next%100 == 7
				if r.ID != fmt.Sprintf("00000000-0000-4000-8000-%012d", next) || !r.Pending || len(r.Identifiers) != 1 ||
					r.Foreign != foreign || r.Binding.Has("auth0|"+strconv.Itoa(next)) == foreign || (r.Traits == nil) != foreign {
					t.Errorf("%d: %+v", next, r)
				}
				next++
				return nil
			})
			if err != nil || next != c.people {
				t.Errorf("%d of %d, %v", next, c.people, err)
			}
		})
	}
}

func TestWalkEndsWithTheFirstError(t *testing.T) {
	enough := errors.New("enough")
	calls := 0
	err := dial(t, pages(t, identityList(600), 500)).Walk(t.Context(), func(kratos.Record) error {
		if calls++; calls == 3 {
			return enough
		}
		return nil
	})
	if calls != 3 || err != enough { //nolint:errorlint // must be the same value
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestRecordedList(t *testing.T) {
	for _, version := range []string{"v131", "v262"} {
		text, err := os.ReadFile("testdata/" + version + "-list-include-credential-item.json")
		if err != nil {
			t.Fatal(err)
		}
		var got []kratos.Record
		err = dial(t, pages(t, []string{string(text)}, 500)).Walk(t.Context(), func(r kratos.Record) error {
			got = append(got, r)
			return nil
		})
		if err != nil || len(got) != 1 || !got[0].Pending || got[0].Foreign || got[0].MetadataAdmin["legacy_id"] == nil || got[0].CreatedAt.IsZero() || len(got[0].Addresses) != 1 {
			t.Errorf("%s: %+v, %v", version, got, err)
		}
	}
}

// TestWalkTriesAgain: after a temporary error the same page is requested again, at
// most three times.
func TestWalkTriesAgain(t *testing.T) {
	all := identityList(530)
	for name, c := range map[string]struct {
		failures, status int
		asked            int
		want             string
	}{
		"once":             {1, 503, 3, ""},
		"three times":      {3, 500, 5, ""},
		"four times":       {4, 503, 5, "server_fault"},
		"too many":         {2, 429, 4, ""},
		"no answer":        {2, 0, 4, ""},
		"refused":          {1, 403, 2, "ferry_refused"},
		"expired token":    {1, 400, 2, "page_token_refused"},
		"no longer there":  {1, 404, 2, "not_there"},
		"moved elsewhere":  {1, 307, 2, "not_there"},
		"not what it says": {1, 200, 2, "answer_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			ids, err := walk(t, dial(t, failing(pages(t, all, 500), c.failures, c.status, &asked)))
			reason, people := "", len(all)
			if fault := faultOf(t, err); fault != nil {
				reason, people = fault.Reason, 500
			}
			same := slices.Repeat([]string{"00000000-0000-4000-8000-000000000499"}, c.asked-1)
			if reason != c.want || len(ids) != people || !slices.Equal(asked, append([]string{""}, same...)) {
				t.Fatalf("%d identities, asked for %q, %v", len(ids), asked, err)
			}
		})
	}
}

// failing answers the first request, fails some, and answers the rest. It notes the
// requested pages. Status 0 sends no answer.
func failing(answer http.HandlerFunc, failures, status int, asked *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Query().Get("page_token"))
		switch n := len(*asked); {
		case n == 1, n > 1+failures:
			answer(w, r)
		case status == 0:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(status)
		}
	}
}

// TestWalkIsCanceled: a canceled walk does not wait for the next try.
func TestWalkIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	requests := 0
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	err := c.Walk(ctx, func(kratos.Record) error { return nil })
	if fault := faultOf(t, err); fault == nil || fault.Reason != "caller_gone" || requests != 1 {
		t.Errorf("%d requests, %v", requests, err)
	}
}

// TestWalkDoubt: an answer that could leave out an identity unnoticed is an error.
func TestWalkDoubt(t *testing.T) {
	one := identityList(1)[0]
	full := "[" + strings.Join(identityList(500), ",") + "]"
	for name, c := range map[string]struct {
		link, body string
		want       string
	}{
		"no link to a full page":  {"", full, "no_link"},
		"odd link to a full page": {"next", full, "no_link"},
		"the same page again":     {`</x?page_token=a>; rel="next"`, "[" + one + "]", "page_again"},
		"next without a token":    {`</x>; rel="next"`, "[" + one + "]", "page_link"},
		"next twice":              {`</x?page_token=a>; rel="next",</x?page_token=b>; rel="next"`, "[" + one + "]", "page_link"},
		"not a list":              {"", one, "answer_malformed"},
		"null":                    {"", "null", "answer_malformed"},
		"truncated":               {"", "[" + one, "answer_malformed"},
		"more":                    {"", "[" + one + "]x", "answer_malformed"},
		"no identity":             {"", "[1]", "answer_malformed"},
		"no id":                   {"", `[{"state":"active"}]`, "identity_id"},
		"no state":                {"", `[{"id":"` + id + `"}]`, "identity_state"},
		"a key twice":             {"", `[{"id":"` + id + `","state":"active","id":"` + other + `"}]`, "answer_malformed"},
		"credentials not shown":   {"", `[{"id":"` + id + `","state":"active","credentials":{"password":{}}}]`, "no_credential_config"},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Link", c.link)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := walk(t, client)
			if fault := faultOf(t, err); fault == nil || fault.Outcome != outcome.InvalidResponse || fault.Reason != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestLargePage: a page may be larger than an identity, but its size is limited.
func TestLargePage(t *testing.T) {
	for mib, want := range map[int]string{9: "", 65: "answer_too_large"} {
		body := append(bytes.Repeat([]byte(" "), mib<<20), "[]"...)
		c := client(t, "http://kratos.invalid", roundTrip(func(*http.Request) (*http.Response, error) {
			return respond(http.StatusOK, http.Header{}, body), nil
		}))
		reason := ""
		if _, err := walk(t, c); err != nil {
			reason = faultOf(t, err).Reason
		}
		if reason != want {
			t.Errorf("%d MiB: %q, want %q", mib, reason, want)
		}
	}
}

func TestVersion(t *testing.T) {
	for name, c := range map[string]struct{ body, want, reason string }{
		"version":  {`{"version":"v1.3.1"}`, "v1.3.1", ""},
		"none":     {`{}`, "", "no_version"},
		"not JSON": {`<html>`, "", "answer_malformed"},
	} {
		client := dial(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/admin/version":
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			case "/elsewhere":
				_, _ = io.WriteString(w, c.body)
			}
		})
		got, err := client.Version(t.Context())
		fault := faultOf(t, err)
		if got != c.want || (fault != nil) != (c.reason != "") || fault != nil && fault.Reason != c.reason {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// FuzzPages: the token of the next page is sent to Kratos unchanged, whatever it is
// and wherever its link is.
func FuzzPages(f *testing.F) {
	f.Add("00000000-0000-4000-8000-000000000499", uint8(0))
	f.Add("a,b>; rel=\"next\" \x00&%", uint8(1))
	f.Add("\xff", uint8(2))
	f.Fuzz(func(t *testing.T, token string, form uint8) {
		if token == "" {
			return
		}
		first := `</x?page_token=0>; rel="first"`
		next := `</admin/identities?` + url.Values{"page_size": {"500"}, "page_token": {token}}.Encode() + `>`
		links := [][]string{
			{first + `,` + next + `; rel="next"`},
			{next + ` ; title="a, <b>; rel=first" ; REL=next , ` + first},
			{first, next + `; rel="last NEXT"; rel="first"`},
		}[form%3]
		var asked []string
		c := client(t, "http://kratos.invalid", roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Query().Get("page_token"))
			header := http.Header{}
			if len(asked) == 1 {
				header["Link"] = links
			}
			return respond(http.StatusOK, header, []byte("[]")), nil
		}))
		if _, err := walk(t, c); err != nil || !slices.Equal(asked, []string{"", token}) {
			t.Fatalf("asked for %q, %v", asked, err)
		}
	})
}

// FuzzWalk: for any answers, Walk ends, and each record has an id.
func FuzzWalk(f *testing.F) {
	f.Add("["+strings.Join(identityList(9), ",")+"]", `</x?page_token=a>; rel="next"`)
	f.Add("["+socialOnly+","+passwordless+"]", `</x>; rel="first"`)
	f.Add(`[{"id":"x","state":"active","credentials":{"password":{"config":null}}}]`, `<>;rel=next`)
	f.Fuzz(func(t *testing.T, body, link string) {
		requests := 0
		c := client(t, "http://kratos.invalid", roundTrip(func(*http.Request) (*http.Response, error) {
			if requests++; requests > 2 {
				t.Fatal("Walk does not end")
			}
			return respond(http.StatusOK, http.Header{"Link": {link}}, []byte(body)), nil
		}))
		_ = c.Walk(t.Context(), func(r kratos.Record) error {
			if r.ID == "" || r.Active != (r.State == "active") || r.HasPassword && r.Pending ||
				r.Foreign && (len(r.Binding.Subjects) > 0 || r.Traits != nil || r.MetadataAdmin != nil || r.MetadataPublic != nil) {
				t.Fatalf("%+v", r)
			}
			return nil
		})
	})
}
