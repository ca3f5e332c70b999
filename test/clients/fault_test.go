package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ferry/clients/importer"
	"ferry/test/ferrytest/built"
	"ferry/test/hydratest"
	"ferry/test/process"
)

// adminProxy stands between ferry and the admin API. before sees each request and can change it,
// after each answer; either can be nil. A false ends the connection without an answer.
func adminProxy(t *testing.T, hydra *hydratest.Hydra, before func(*http.Request) bool, after func(*http.Response) bool) string {
	t.Helper()
	target, err := url.Parse(hydra.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(resp *http.Response) error {
			if after != nil && !after(resp) {
				return http.ErrAbortHandler
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before != nil && !before(r) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// without removes a field from the client that a request writes, as if Hydra did not know it.
func without(field string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			return true
		}
		var client map[string]any
		if json.NewDecoder(r.Body).Decode(&client) != nil {
			return false
		}
		delete(client, field)
		text, err := json.Marshal(client)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		return err == nil
	}
}

// faults are what goes wrong: whatever it is, there is a whole client or none.
func faults() map[string]func(*testing.T, *hydratest.Hydra) {
	return map[string]func(*testing.T, *hydratest.Hydra){
		"Hydra ignores a field":      faultHydraIgnoresAField,
		"Hydra ignores the secret":   faultHydraIgnoresTheSecret,
		"the answer is lost":         faultTheAnswerIsLost,
		"the request is lost":        faultTheRequestIsLost,
		"the token endpoint is away": faultTheTokenEndpointIsAway,
		"Hydra refuses the client":   faultHydraRefusesTheClient,
		"a token for the admin API":  faultTheAdminAPIWantsAToken,
		"not Hydra":                  faultNotHydra,
	}
}

func faultHydraIgnoresAField(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "ignored")
	right, broken := p.env, hydraEnv(adminProxy(t, hydra, without("skip_consent"), nil), hydra.PublicURL())
	p.env = broken
	line := p.run(t, 1)
	if line.Result != importer.Failed || line.Reason != importer.ReasonNotAsSent || !strings.Contains(line.Detail, "skip_consent") || stored(t, hydra)[p.web.id()] != nil {
		t.Errorf("%+v", line)
	}
	p.env = right
	want(t, p.run(t, 0), importer.Created, "", "", "")
	before := p.client(t)
	p.env, p.web.app["name"] = broken, "renamed"
	line, after := p.run(t, 1), p.client(t)
	for _, client := range []map[string]any{before, after} {
		delete(client, "updated_at")
		delete(client, "skip_consent") // it is put back through the same proxy
	}
	if line.Result != importer.Failed || line.Reason != importer.ReasonNotAsSent || !same(before, after) {
		t.Errorf("%+v\n%v\n%v", line, before, after)
	}
	p.works(t)
}

func faultHydraIgnoresTheSecret(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "no secret")
	p.env = hydraEnv(adminProxy(t, hydra, without("client_secret"), nil), hydra.PublicURL())
	line := p.run(t, 1)
	if line.Result != importer.Failed || line.Reason != importer.ReasonCredentials || stored(t, hydra)[p.web.id()] != nil {
		t.Errorf("%+v", line)
	}
}

func faultTheAnswerIsLost(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "lost")
	p.env = hydraEnv(adminProxy(t, hydra, nil, func(resp *http.Response) bool { return resp.Request.Method == http.MethodGet }), hydra.PublicURL())
	line := p.run(t, 0)
	if want(t, line, importer.Created, "", "", ""); !line.Verified {
		t.Error("not verified")
	}
	p.web.app["name"] = "renamed"
	want(t, p.run(t, 0), importer.Updated, "", "client_name", "")
	p.works(t)
}

func faultTheAdminAPIWantsAToken(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "token")
	p.env = append(hydraEnv(adminProxy(t, hydra, func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer admin-token" }, nil), hydra.PublicURL()), "FERRY_HYDRA_ADMIN_TOKEN=admin-token")
	want(t, p.run(t, 0), importer.Created, "", "", "")
	p.web.app["name"] = "renamed"
	want(t, p.run(t, 0), importer.Updated, "", "client_name", "")
}

func faultTheRequestIsLost(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "request")
	p.env = hydraEnv(adminProxy(t, hydra, func(r *http.Request) bool { return r.Method == http.MethodGet }, nil), hydra.PublicURL())
	line := p.run(t, 1)
	if line.Result != importer.Failed || line.Reason != importer.ReasonUnavailable || stored(t, hydra)[p.web.id()] != nil {
		t.Errorf("%+v", line)
	}
}

func faultTheTokenEndpointIsAway(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "public")
	right := p.env
	p.env = hydraEnv(hydra.AdminURL(), "http://127.0.0.1:1")
	line := p.run(t, 1)
	if line.Result != importer.Created || line.Verified || !strings.Contains(line.Detail, "not verified yet") {
		t.Errorf("%+v", line)
	}
	p.env = right
	if line = p.run(t, 0); line.Result != importer.Unchanged || !line.Verified {
		t.Errorf("%+v", line)
	}
}

func faultHydraRefusesTheClient(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "refuses")
	p.web.app["oidc_logout"] = map[string]any{"backchannel_logout_urls": []string{"https://app.example.com/bc"}}
	p.env = hydraEnv(adminProxy(t, hydra, func(r *http.Request) bool {
		if r.Method == http.MethodPost {
			text, err := io.ReadAll(r.Body)
			text = bytes.ReplaceAll(text, []byte(`"public"`), nil)
			text = bytes.Replace(text, []byte(`{`), []byte(`{"subject_type":"nonsense",`), 1)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			return err == nil
		}
		return true
	}, nil), hydra.PublicURL())
	line := p.run(t, 1)
	if line.Result != importer.Failed || line.Reason != importer.ReasonHydra || !strings.Contains(line.Detail, "nonsense") || stored(t, hydra)[p.web.id()] != nil {
		t.Errorf("%+v", line)
	}
}

func faultNotHydra(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "other")
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	file := p.write(t, "applications.json")
	for _, address := range []string{srv.URL, "http://127.0.0.1:1"} {
		said := ferry(t, hydraEnv(address, hydra.PublicURL()), "clients", "import", "--applications", file).want(t, 1, "FERRY_HYDRA_ADMIN_URL")
		if said.stdout != "" {
			t.Error(said.stdout)
		}
	}
}

// TestInterrupted: SIGTERM in the middle of a write ends the run after the client. The next run
// goes on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	hydra := hydratest.Run(t, hydratest.Options{})
	x := &tenant{credentials: map[string]any{}, random: randomOf("interrupted"), dir: t.TempDir()}
	const all = 8
	for range all {
		x.add("web", "regular_web", importer.Created, nil, useCode)
	}
	var writes atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	address := adminProxy(t, hydra, func(r *http.Request) bool {
		if r.Method == http.MethodPost && writes.Add(1) == 3 {
			close(arrived)
			<-release
		}
		return true
	}, nil)
	file, output := x.write(t, "applications.json"), &process.Log{}
	args := []string{"clients", "import", "--applications", file, "--results", x.dir + "/results.ndjson"}
	p, err := process.Command{Path: built.Ferry(t), Args: args, Env: hydraEnv(address, hydra.PublicURL()), Output: output}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(0) })
	<-arrived
	if err := syscall.Kill(p.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	close(release)
	<-p.Done()
	if p.Err() == nil || !output.Contains("interrupted") || !output.Contains("hint: every client written so far is complete; to continue, run the same command again: ferry "+strings.Join(args, " ")) {
		t.Fatalf("%v: %s", p.Err(), output.String())
	}
	lines := answer{stdout: readFile(t, x.dir+"/results.ndjson")}.lines(t)
	there := stored(t, hydra)
	if n := len(there); n < 3 || n == all || n != len(lines) { // the signal may arrive a little later
		t.Fatalf("%d clients, %d lines", n, len(lines))
	}
	for id := range there {
		if line := lines[id]; line.Result != importer.Created || !line.Verified {
			t.Errorf("%+v", line)
		}
	}
	again := ferry(t, envOf(hydra), "clients", "import", "--applications", file).want(t, 0, fmt.Sprintf("%d created", all-len(there)), fmt.Sprintf("%d unchanged", len(there)))
	if len(again.lines(t)) != all {
		t.Error(again.stdout)
	}
	x.completeAll(t, hydra, stored(t, hydra))
}
