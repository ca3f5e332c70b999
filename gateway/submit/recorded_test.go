package submit_test

import (
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"testing"

	"ferry/gateway/submit"
)

// TestRecordedRequests: in the recordings of whole journeys, ferry sees the one address that
// the request has, and nothing in a request without one.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/recorded-requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Requests []struct {
			Name        string `json:"name"`
			Method      string `json:"method"`
			URL         string `json:"url"`
			ContentType string `json:"content_type"`
			Body        string `json:"body"`
		} `json:"requests"`
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`u[0-9a-f]{10}(@|%40)example\.test`)
	seen := 0
	for _, r := range recorded.Requests {
		u, err := url.ParseRequestURI(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if found := address.FindString(r.Body); found != "" {
			plain, err := url.QueryUnescape(found)
			if err != nil {
				t.Fatal(err)
			}
			want = []string{plain}
		}
		route, ok := submit.RouteOf(r.Method, u)
		got := submit.Submit{}
		if ok {
			got, ok = submit.Read(submit.Request{Route: route, Query: u.RawQuery, ContentType: r.ContentType, Body: []byte(r.Body), Traits: []string{"email", "username", "phone"}})
		}
		if ok != (want != nil) || !slices.Equal(got.Identifiers, want) {
			t.Errorf("%s: ferry saw %v %+v, not %s", r.Name, ok, got, want)
		}
		if ok {
			seen++
		}
	}
	if seen < 60 {
		t.Errorf("only %d requests were seen", seen)
	}
}
