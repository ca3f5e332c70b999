package bulk

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

// everybody returns every identity of Kratos as text by its id, with passwords and social
// logins.
func everybody(tb testing.TB, k *kratostest.Kratos) map[string]string {
	tb.Helper()
	all := map[string]string{}
	next := k.AdminURL() + "/admin/identities?page_size=250&include_credential=password&include_credential=oidc"
	for pages := 0; next != ""; pages++ {
		if pages > 1000 {
			tb.Fatal("the list does not end")
		}
		text, header := get(tb, next)
		var list []json.RawMessage
		if err := json.Unmarshal(text, &list); err != nil {
			tb.Fatal(err)
		}
		for _, identity := range list {
			var is struct{ ID string }
			if err := json.Unmarshal(identity, &is); err != nil {
				tb.Fatal(err)
			}
			all[is.ID] = string(identity)
		}
		next = nextPage(k, header)
	}
	return all
}

func get(tb testing.TB, address string) ([]byte, http.Header) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, address, nil)
	if err != nil {
		tb.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %d: %s", address, resp.StatusCode, text)
	}
	return text, resp.Header
}

func nextPage(k *kratostest.Kratos, header http.Header) string {
	for link := range strings.SplitSeq(strings.Join(header.Values("Link"), ","), ",") {
		if address, isNext := strings.CutSuffix(strings.TrimSpace(link), `; rel="next"`); isNext {
			return k.AdminURL() + strings.Trim(address, "<>")
		}
	}
	return ""
}
