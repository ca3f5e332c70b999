package upstream_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/secret"
	"ferry/upstream"
)

const (
	jobID        = "job_iSjvljNtsTMmSpRW"
	connectionID = "con_iSjvljNtsTMmSpRW"
	users        = "Username-Password-Authentication"
	exportsPath  = "/api/v2/jobs/users-exports"
	machineToken = "canary-machine-token"
)

// jobAnswer is Auth0's answer about a job, with some members changed; nil removes a
// member.
func jobAnswer(t *testing.T, change map[string]any) string {
	t.Helper()
	job := map[string]any{
		"type": "users_export", "status": "pending", "format": "json", "id": jobID, "created_at": "2023-01-25T17:48:15.325Z",
		"connection": users, "connection_id": connectionID, "fields": []any{map[string]any{"name": "user_id"}},
	}
	for name, value := range change {
		job[name] = value
		if value == nil {
			delete(job, name)
		}
	}
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exporter starts an Auth0 that issues tokens. Calls with a token are answered by api.
func exporter(t *testing.T, api http.HandlerFunc, change ...func(*upstream.ManagementOptions)) (*upstream.Management, string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		switch {
		case r.URL.Path == "/oauth/token":
			sendJSON(200, `{"access_token":"`+machineToken+`","token_type":"Bearer","expires_in":86400}`)(w, r)
		case strings.HasPrefix(r.URL.Path, "/api/v2/") != (auth == "Bearer "+machineToken):
			t.Errorf("%s %s with the authorization %q", r.Method, r.URL.Path, auth)
			w.WriteHeader(http.StatusBadRequest)
		case r.Method == http.MethodGet && (r.ContentLength != 0 || r.Header.Get("Content-Type") != ""):
			t.Errorf("a GET with a body: %v", r.Header)
			w.WriteHeader(http.StatusBadRequest)
		default:
			api(w, r)
		}
	}))
	transport := upstream.NewTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	opts := upstream.ManagementOptions{
		BaseURL: srv.URL, Audience: "https://t.test/api/v2/", ClientID: machineID, ClientSecret: secret.New(machineSecret),
		Timeout: 5 * time.Second, Transport: transport, Now: time.Now, PerSecond: 10_000,
	}
	for _, c := range change {
		c(&opts)
	}
	m, err := upstream.NewManagement(opts)
	if err != nil {
		t.Fatal(err)
	}
	return m, strings.TrimPrefix(srv.URL, "http://")
}

func TestConnectionID(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	one := `[{"id":"` + connectionID + `","name":"` + users + `"}]`
	for name, c := range map[string]struct {
		ask    string
		status int
		body   string
		want   want
		asked  int32
	}{
		"an id":            {connectionID, 500, "", want{}, 0},
		"a name":           {users, 200, one, want{}, 1},
		"with its options": {users, 200, `[{"id":"` + connectionID + `","name":"` + users + `","options":{"A":1,"a":2}}]`, want{}, 1},
		"among others":     {users, 200, `[{"id":"con_x","name":"` + strings.ToLower(users) + `"},` + one[1:], want{}, 1},
		"none":             {users, 200, `[]`, want{Status: 200, Reason: "no_such_connection"}, 1},
		"another one":      {"a&b=c d/é", 200, one, want{Status: 200, Reason: "no_such_connection"}, 1},
		"no id":            {users, 200, `[{"id":"con_short","name":"` + users + `"}]`, want{Status: 200, Reason: "malformed"}, 1},
		"not a list":       {users, 200, `{"connections":[]}`, want{Status: 200, Reason: "malformed"}, 1},
		"scope":            {users, 403, `{"errorCode":"insufficient_scope"}`, want{Status: 403, Code: "insufficient_scope", Reason: "refused"}, 1},
		"empty":            {"", 500, "", want{Reason: "bad_id"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			m, _ := exporter(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if q := r.URL.Query(); r.Method != http.MethodGet || r.URL.Path != "/api/v2/connections" || q.Get("name") != c.ask || q.Get("fields") != "id,name" {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				sendJSON(c.status, c.body)(w, r)
			})
			id, err := m.ConnectionID(t.Context(), c.ask)
			if asked.Load() != c.asked {
				t.Errorf("asked %d times", asked.Load())
			}
			if c.want == (want{}) {
				if err != nil || id != connectionID {
					t.Errorf("%q, %v", id, err)
				}
			} else if got := failure(t, err); got != c.want || id != "" {
				t.Errorf("got %q, %+v", id, got)
			}
		})
	}
}

func TestStartExport(t *testing.T) {
	t.Parallel()
	const fields = `[{"name":"user_id"},{"name":"email"},{"name":"email_verified"},{"name":"username"},{"name":"phone_number"},{"name":"phone_verified"},` +
		`{"name":"name"},{"name":"given_name"},{"name":"family_name"},{"name":"nickname"},{"name":"picture"},` +
		`{"name":"identities"},{"name":"app_metadata"},{"name":"user_metadata"},{"name":"blocked"},{"name":"multifactor"},{"name":"multifactor_last_modified"},` +
		`{"name":"created_at"},{"name":"updated_at"},{"name":"last_login"},{"name":"last_ip"},{"name":"logins_count"},{"name":"last_password_reset"}]`
	for connection, want := range map[string]string{
		"":           `{"format":"json","fields":` + fields + `}`,
		connectionID: `{"connection_id":"` + connectionID + `","format":"json","fields":` + fields + `}`,
	} {
		m, _ := exporter(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodPost || r.URL.String() != exportsPath || string(body) != want || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s %v\n got %s\nwant %s", r.Method, r.URL, r.Header, body, want)
			}
			sendJSON(200, jobAnswer(t, nil))(w, r)
		})
		job, err := m.StartExport(t.Context(), upstream.Export{ConnectionID: connection})
		if err != nil || job.ID != jobID || job.Status != "pending" || !job.Location.Empty() {
			t.Errorf("%+v, %v", job, err)
		}
	}
	m, _ := exporter(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	if _, err := m.StartExport(t.Context(), upstream.Export{ConnectionID: users}); failure(t, err).Reason != "bad_id" {
		t.Error(err)
	}
}

// TestStartExportOnce: a job is requested again only if Auth0 refused the first
// request.
func TestStartExportOnce(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	hijack := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		first http.HandlerFunc
		asked int32
		want  want
	}{
		"limited": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1")
			sendJSON(429, `{}`)(w, r)
		}, 2, want{}},
		"token refused": {sendJSON(401, `{"errorCode":"invalid_token"}`), 2, want{}},
		"server fault":  {sendJSON(500, `{}`), 1, want{Status: 500, Temporary: true, Reason: "server_fault"}},
		"gateway":       {send(504, "text/html", "<html>"), 1, want{Status: 504, Temporary: true, Reason: "server_fault"}},
		"broken":        {hijack, 1, want{Temporary: true, Reason: "connection_broken"}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, exportsPath, http.StatusTemporaryRedirect)
		}, 1, want{Status: 307, Reason: "redirect"}},
		"no scope": {sendJSON(403, `{"errorCode":"insufficient_scope"}`), 1, want{Status: 403, Code: "insufficient_scope", Reason: "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			m, _ := exporter(t, func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 && r.URL.Path == exportsPath {
					c.first(w, r)
					return
				}
				sendJSON(200, jobAnswer(t, nil))(w, r)
			})
			// Use the connection first, as in a long run.
			asked.Store(1)
			if _, err := m.Job(t.Context(), jobID); err != nil {
				t.Fatal(err)
			}
			asked.Store(0)
			_, err := m.StartExport(t.Context(), upstream.Export{})
			if asked.Load() != c.asked {
				t.Errorf("asked %d times", asked.Load())
			}
			got := want{}
			if err != nil {
				got = failure(t, err)
			}
			if got != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestJob(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	const link = "pus3-auth0-export.s3.amazonaws.com/" + jobID + "/t.json.gz?Expires=1&Signature=canary"
	at := func(job upstream.Job) upstream.Job { job.ID = jobID; return job }
	for name, c := range map[string]struct {
		change map[string]any
		job    upstream.Job
		want   want
	}{
		"pending":            {nil, at(upstream.Job{Status: "pending"}), want{}},
		"processing":         {map[string]any{"status": "processing", "percentage_done": 41, "time_left_seconds": 90}, at(upstream.Job{Status: "processing", PercentDone: 41, TimeLeft: 90 * time.Second}), want{}},
		"strange figures":    {map[string]any{"status": "processing", "percentage_done": 1e9, "time_left_seconds": -5}, at(upstream.Job{Status: "processing", PercentDone: 100}), want{}},
		"completed":          {map[string]any{"status": "completed", "percentage_done": 100, "location": link}, at(upstream.Job{Status: upstream.JobCompleted, PercentDone: 100, Location: secret.New(link)}), want{}},
		"failed":             {map[string]any{"status": "failed", "status_details": " The\n tenant\x1b[31m is  gone "}, at(upstream.Job{Status: upstream.JobFailed, Details: "The tenant [31m is gone"}), want{}},
		"failed, at length":  {map[string]any{"status": "failed", "status_details": strings.Repeat("é", 400)}, at(upstream.Job{Status: upstream.JobFailed, Details: strings.Repeat("é", 150) + "…"}), want{}},
		"failed, no words":   {map[string]any{"status": "failed", "status_details": map[string]any{"code": 1}}, at(upstream.Job{Status: upstream.JobFailed}), want{}},
		"without a format":   {map[string]any{"format": nil}, at(upstream.Job{Status: "pending"}), want{}},
		"without a location": {map[string]any{"status": "completed"}, upstream.Job{}, want{Status: 200, Reason: "no_location"}},
		"an import":          {map[string]any{"type": "users_import"}, upstream.Job{}, want{Status: 200, Reason: "another_job"}},
		"no type":            {map[string]any{"type": nil}, upstream.Job{}, want{Status: 200, Reason: "another_job"}},
		"CSV":                {map[string]any{"format": "csv"}, upstream.Job{}, want{Status: 200, Reason: "another_job"}},
		"another id":         {map[string]any{"id": "job_0000000000000000"}, upstream.Job{}, want{Status: 200, Reason: "another_job"}},
		"no id":              {map[string]any{"id": "canary"}, upstream.Job{}, want{Status: 200, Reason: "malformed"}},
		"unknown status":     {map[string]any{"status": "canary"}, upstream.Job{}, want{Status: 200, Reason: "unknown_status"}},
		"a twin":             {map[string]any{"Status": "completed"}, upstream.Job{}, want{Status: 200, Reason: "malformed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := exporter(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.String() != "/api/v2/jobs/"+jobID {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				sendJSON(200, jobAnswer(t, c.change))(w, r)
			})
			job, err := m.Job(t.Context(), jobID)
			if c.want != (want{}) {
				if got := failure(t, err); got != c.want {
					t.Errorf("got %+v", got)
				}
			} else if err != nil {
				t.Error(err)
			}
			if job.Location.Reveal() != c.job.Location.Reveal() {
				t.Errorf("location %q", job.Location.Reveal())
			}
			job.Location, c.job.Location = secret.String{}, secret.String{}
			if !reflect.DeepEqual(job, c.job) {
				t.Errorf("got  %+v\nwant %+v", job, c.job)
			}
		})
	}
}

func TestUnknownJob(t *testing.T) {
	t.Parallel()
	m, _ := exporter(t, sendJSON(404, `{"statusCode":404}`))
	if _, err := m.Job(t.Context(), jobID); failure(t, err) != (upstream.ManagementError{Status: 404, Reason: "refused"}) {
		t.Error(err)
	}
	for _, id := range []string{"", "job_short", "../users/" + jobID, jobID + "/errors"} {
		if _, err := m.Job(t.Context(), id); failure(t, err).Reason != "bad_id" {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// stubbed is a Management whose tenant answers without a network.
func stubbed(tb testing.TB, base string, answer stub) *upstream.Management {
	tb.Helper()
	m, err := upstream.NewManagement(upstream.ManagementOptions{
		BaseURL: base, Audience: "a", ClientID: machineID, ClientSecret: secret.New(machineSecret),
		Timeout: time.Second, Now: time.Now, PerSecond: 1e6,
		Transport: stub(func(r *http.Request) *http.Response {
			if r.URL.Path == "/oauth/token" {
				return recorded(200, "application/json", "", `{"access_token":"canary","token_type":"bearer","expires_in":60}`)
			}
			return answer(r)
		}),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// FuzzJob: for any answer, the values of a job are within bounds, and a completed job
// has a location.
func FuzzJob(f *testing.F) {
	for _, body := range []string{
		`{"id":"` + jobID + `","type":"users_export","status":"completed","location":"x.test/y"}`,
		`{"id":"` + jobID + `","type":"users_export","status":"failed","status_details":"canary\u0000"}`,
		`{"id":"` + jobID + `","type":"users_export","status":"processing","percentage_done":1e300,"time_left_seconds":-1e300}`,
		`{"id":"` + jobID + `","type":"users_import","status":"completed"}`,
		`null`, `[]`, ``,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m := stubbed(t, "http://x.test", func(*http.Request) *http.Response { return recorded(200, "application/json", "", body) })
		job, err := m.Job(t.Context(), jobID)
		if err != nil {
			failure(t, err)
			return
		}
		known := []upstream.JobStatus{"pending", "processing", upstream.JobCompleted, upstream.JobFailed}
		if job.ID != jobID || !slices.Contains(known, job.Status) || job.PercentDone < 0 || job.PercentDone > 100 || job.TimeLeft < 0 ||
			(job.Status == upstream.JobCompleted && job.Location.Empty()) || len(job.Details) > 400 || strings.ContainsAny(job.Details, "\n\r\x00\x1b") {
			t.Fatalf("%+v", job)
		}
	})
}

// FuzzLocation: for any location, only loopback hosts are requested without TLS, and
// no request has the token.
func FuzzLocation(f *testing.F) {
	for _, location := range []string{"x.test/y?z=1", "http://127.0.0.1/x", "https://u:p@x.test", "//x", "127.0.0.1:1/", "%zz"} {
		f.Add(location)
	}
	f.Fuzz(func(t *testing.T, location string) {
		m := stubbed(t, "http://127.0.0.1:4490", func(r *http.Request) *http.Response {
			host := r.URL.Hostname()
			if local := host == "::1" || strings.HasPrefix(host, "127.") || strings.EqualFold(host, "localhost"); r.URL.Scheme != "https" && !local {
				t.Errorf("%q leads to %s", location, r.URL)
			}
			if r.Header.Get("Authorization") != "" || host == "" {
				t.Errorf("%q: asked %q with %v", location, r.URL, r.Header)
			}
			return recorded(200, "application/gzip", "", "x")
		})
		if _, _, err := fetch(t.Context(), m, location); err != nil {
			failure(t, err)
		}
	})
}
