package page_test

import (
	"net/http"
	"strings"
	"testing"

	"ferry/admin/page"
	"ferry/mode"
	"ferry/secret"
	"ferry/test/pagetest"
)

// TestSwitch: the form changes the mode for whoever has the key, and says who did it.
func TestSwitch(t *testing.T) {
	t.Parallel()
	o := start(t, pagetest.Middle(), nil)
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(" kim\n of the night shift ", key)
	resp, _ := o.send(t, http.MethodPost, "/page/mode", "mode=off", "Content-Type", "application/x-www-form-urlencoded",
		"Authorization", r.Header.Get("Authorization"), "Sec-Fetch-Site", "same-origin", "Origin", o.URL)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/#mode" || o.modes.Mode() != mode.Off {
		t.Fatalf("%s, %v, the mode is %s", resp.Status, resp.Header, o.modes.Mode())
	}
	_, text := o.send(t, http.MethodGet, "/", "")
	for _, want := range []string{"mode <strong>off</strong>", "Changed by kim of the night shift on 29 Nov 2026", "ferry is off", "A restart begins with mode on", "1 problem needs attention now"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	changed := o.logs.FilterMessage("mode changed").All()
	if len(changed) != 1 || changed[0].ContextMap()["who"] != "kim of the night shift" || !strings.HasPrefix(changed[0].ContextMap()["from"].(string), "127.0.0.1:") {
		t.Errorf("logged %v", changed)
	}
}

// TestSwitchRefuses: without the key, from another site, or with anything that is not the form,
// nothing changes; also on this machine.
func TestSwitchRefuses(t *testing.T) {
	t.Parallel()
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth("kim", key)
	auth := []string{"Authorization", r.Header.Get("Authorization")}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	same := []string{"Sec-Fetch-Site", "same-origin"}
	join := func(all ...[]string) (header []string) {
		for _, one := range all {
			header = append(header, one...)
		}
		return header
	}
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
	}{
		"no key":                       {"mode=off", join(form, same), 401},
		"a wrong key":                  {"mode=off", join(form, same, []string{"Authorization", "Bearer x" + key}), 401},
		"another site":                 {"mode=off", join(form, auth, []string{"Sec-Fetch-Site", "cross-site"}), 403},
		"another port of this machine": {"mode=off", join(form, auth, []string{"Sec-Fetch-Site", "same-site"}), 403},
		"another origin":               {"mode=off", join(form, auth, []string{"Origin", "http://evil.test"}), 403},
		"an opaque origin":             {"mode=off", join(form, auth, []string{"Origin", "null"}), 403},
		"no browser":                   {"mode=off", join(form, auth), 403},
		"another mode":                 {"mode=away", join(form, auth, same), 400},
		"no mode":                      {"by=kim", join(form, auth, same), 400},
		"two modes":                    {"mode=off&mode=on", join(form, auth, same), 400},
		"JSON":                         {`{"mode":"off"}`, join(auth, same, []string{"Content-Type", "application/json"}), 400},
		"too long":                     {"mode=off&x=" + strings.Repeat("x", 5000), join(form, auth, same), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t, pagetest.Middle(), nil)
			resp, text := o.send(t, http.MethodPost, "/page/mode", c.body, c.header...)
			if resp.StatusCode != c.status || o.modes.Mode() != mode.On {
				t.Errorf("%s, the mode is %s: %s", resp.Status, o.modes.Mode(), text)
			}
		})
	}
	o := start(t, pagetest.Middle(), func(opts *page.Options) { opts.Key = secret.String{} })
	r.SetBasicAuth("kim", "")
	resp, _ := o.send(t, http.MethodPost, "/page/mode", "mode=off", append(join(form, same), "Authorization", r.Header.Get("Authorization"))...)
	if _, text := o.send(t, http.MethodGet, "/", ""); resp.StatusCode != http.StatusForbidden || o.modes.Mode() != mode.On || strings.Contains(text, "<form") {
		t.Errorf("without a key: %s", resp.Status)
	}
	resp, _ = o.send(t, http.MethodGet, "/page/mode", "")
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", resp.Status)
	}
}
