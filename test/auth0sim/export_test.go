package auth0sim_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

const emailsOnly = `{"format":"json","fields":[{"name":"email"}]}`

// job is a job over the wire.
type job struct {
	ID, Type, Status, Format, Location, Connection string
	ConnectionID                                   string `json:"connection_id"`
	Percentage                                     int    `json:"percentage_done"`
	TimeLeft                                       int    `json:"time_left_seconds"`
	Details                                        string `json:"status_details"`
}

// exporting is a simulator with one job.
type exporting struct {
	sim   *auth0sim.Server
	token http.Header
	id    string
}

func startJob(t *testing.T, body string) exporting {
	t.Helper()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	e := exporting{sim: sim, token: machineBearer(t, sim)}
	got := send(t, http.MethodPost, sim.URL()+auth0sim.PathUsersExports, "application/json", body, e.token)
	var started job
	if err := json.Unmarshal([]byte(got.body), &started); err != nil || got.status != 200 || started.Status != "pending" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	e.id = started.ID
	return e
}

// read asks for the job.
func (e exporting) read(t *testing.T) job {
	t.Helper()
	got := get(t, e.sim, auth0sim.PathJobs+e.id, e.token)
	var j job
	if err := json.Unmarshal([]byte(got.body), &j); err != nil || got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	return j
}

// finish reads until the job is completed.
func (e exporting) finish(t *testing.T) job {
	t.Helper()
	for range 10 {
		if j := e.read(t); j.Status == "completed" {
			return j
		}
	}
	t.Fatal("it never completes")
	return job{}
}

func download(t *testing.T, j job, header http.Header) answer {
	t.Helper()
	return send(t, http.MethodGet, "http://"+j.Location, "", "", header)
}

// unpack is the text of a gzip file.
func unpack(t *testing.T, file string) string {
	t.Helper()
	text, err := gunzip(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func gunzip(file string) (string, error) {
	zip, err := gzip.NewReader(strings.NewReader(file))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(zip)
	return string(text), err
}

func TestExportJob(t *testing.T) {
	t.Parallel()
	e := startJob(t, `{"format":"json","connection_id":"`+auth0sim.ConnectionID(auth0sim.DemoConnection)+
		`","fields":[{"name":"user_id"},{"name":"email"},{"name":"app_metadata"},{"name":"username"}]}`)
	if !regexp.MustCompile(`^job_[A-Za-z0-9]{16}$`).MatchString(e.id) {
		t.Errorf("got id %s", e.id)
	}
	for _, want := range []job{
		{Status: "pending", Percentage: 0, TimeLeft: 2}, {Status: "processing", Percentage: 50, TimeLeft: 1}, {Status: "completed", Percentage: 100},
	} {
		want.ID, want.Type, want.Format = e.id, "users_export", "json"
		want.Connection, want.ConnectionID = auth0sim.DemoConnection, auth0sim.ConnectionID(auth0sim.DemoConnection)
		got := e.read(t)
		if (got.Location != "") != (want.Status == "completed") {
			t.Errorf("got location %q", got.Location)
		}
		if got.Location = ""; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	j := e.read(t)
	if !strings.HasPrefix(j.Location, strings.TrimPrefix(e.sim.URL(), "http://")+"/exports/"+e.id+"/sim.json.gz?Expires=") {
		t.Errorf("got location %s", j.Location)
	}
	got := download(t, j, nil)
	if got.status != 200 || got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("Content-Encoding") != "" {
		t.Errorf("got %d %v", got.status, got.header)
	}
	const lines = `{"app_metadata":{"deep":{"a":1,"b":2},"plan":"free"},"email":"ada@example.test","user_id":"auth0|5f7c8ec7c33c6c004bbafe81"}
{"email":"grace@example.test","user_id":"auth0|5f7c8ec7c33c6c004bbafe82","username":"grace"}
`
	if text := unpack(t, got.body); !strings.HasPrefix(text, lines) || strings.Count(text, "\n") != 5 {
		t.Errorf("got %s", text)
	}
	want(t, download(t, j, e.token), 400, `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified</Message></Error>`)
}

// Links and jobs live as long as they are said to, by the tenant's clock.
func TestExportExpires(t *testing.T) {
	t.Parallel()
	e := startJob(t, emailsOnly)
	j := e.finish(t)
	const expired = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
	e.sim.Advance(60 * time.Second)
	if got := download(t, j, nil); got.status != 200 {
		t.Errorf("after 60 s: got %d %s", got.status, got.body)
	}
	e.sim.Advance(time.Second)
	want(t, download(t, j, nil), 403, expired)
	if got := download(t, e.read(t), nil); got.status != 200 {
		t.Errorf("a new link: got %d %s", got.status, got.body)
	}
	e.sim.Advance(24*time.Hour - 62*time.Second) // the token lives as long
	last := e.read(t)
	e.sim.Advance(time.Second)
	token := machineBearer(t, e.sim)
	for _, path := range []string{e.id, "job_0123456789abcdef"} {
		want(t, get(t, e.sim, auth0sim.PathJobs+path, token), 404,
			`{"statusCode":404,"error":"Not Found","message":"The job does not exist.","errorCode":"inexistent_job"}`)
	}
	if got := download(t, last, nil); got.status != 404 || !strings.Contains(got.body, "NoSuchKey") {
		t.Errorf("its file: got %d %s", got.status, got.body)
	}
	if got := get(t, e.sim, auth0sim.PathJobs+"x", token); got.status != 400 {
		t.Errorf("a bad id: got %d %s", got.status, got.body)
	}
}

func TestExportLinkIsChecked(t *testing.T) {
	t.Parallel()
	e := startJob(t, emailsOnly)
	j := e.finish(t)
	for name, change := range map[string]func(string) string{
		"another expiry":    func(s string) string { return strings.Replace(s, "Expires=1", "Expires=2", 1) },
		"no expiry":         func(s string) string { return strings.Replace(s, "Expires=", "X=", 1) },
		"another signature": func(s string) string { return s + "x" },
		"another file":      func(s string) string { return strings.Replace(s, "sim.json", "sam.json", 1) },
		"no query":          func(s string) string { return s[:strings.Index(s, "?")] },
	} {
		changed := j
		changed.Location = change(j.Location)
		if got := download(t, changed, nil); changed == j || got.status != 403 || !strings.Contains(got.body, "<Code>AccessDenied</Code>") {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
	}
	if got := send(t, http.MethodPost, "http://"+j.Location, "", "", nil); got.status != 405 {
		t.Errorf("POST: got %d", got.status)
	}
}

func TestExportOrderIsChecked(t *testing.T) {
	t.Parallel()
	sim := startManaged(t, auth0sim.ScopeReadUsers)
	token := machineBearer(t, sim)
	many := strings.Repeat(`{"name":"email"},`, 31)
	for body, reason := range map[string]string{
		``:                                  "expected a JSON object",
		`[]`:                                "expected a JSON object",
		`{} {}`:                             "expected a JSON object",
		`{"x":1}`:                           "additional or repeated property: x",
		`{"format":"json","format":"json"}`: "additional or repeated property: format",
		`{"format":1}`:                      "wrong type, or additional property",
		`{"format":"csv"}`:                  "format: expected json",
		`{"connection_id":"con_short"}`:     "connection_id: expected ^con_[A-Za-z0-9]{16}$",
		`{"format":"json"}`:                 "fields: expected 1 to 30",
		`{"format":"json","fields":[` + strings.TrimSuffix(many, ",") + `]}`: "fields: expected 1 to 30",
		`{"format":"json","fields":[{"name":"shoe_size"}]}`:                  "fields: no such attribute: shoe_size",
		`{"format":"json","fields":[{"name":""}]}`:                           "fields: no such attribute: ",
		`{"format":"json","fields":[{"name":"email","as":"x"}]}`:             "wrong type, or additional property",
		`{"format":"json","fields":[{"name":"email"},{"name":"email"}]}`:     "fields: twice: email",
	} {
		got := send(t, http.MethodPost, sim.URL()+auth0sim.PathUsersExports, "application/json", body, token)
		want(t, got, 400, fmt.Sprintf(`{"statusCode":400,"error":"Bad Request","message":"Payload validation error: '%s'.","errorCode":"invalid_body"}`, reason))
	}
	got := send(t, http.MethodPost, sim.URL()+auth0sim.PathUsersExports, "application/json", `{"format":"json","connection_id":"con_0123456789abcdef","fields":[{"name":"email"}]}`, token)
	if got.status != 404 {
		t.Errorf("an unknown connection: got %d %s", got.status, got.body)
	}
	if got := get(t, sim, auth0sim.PathUsersExports, token); got.status != 404 {
		t.Errorf("GET: got %d %s", got.status, got.body)
	}
}

func TestExportJobFaults(t *testing.T) {
	t.Parallel()
	e := startJob(t, emailsOnly)
	stuck := setFault(t, e.sim, auth0sim.Fault{Name: auth0sim.FaultExportStuck})
	for range 4 {
		if j := e.read(t); j.Status != "processing" || j.Percentage != 50 {
			t.Errorf("got %+v", j)
		}
	}
	if err := e.sim.ClearFault(stuck); err != nil {
		t.Fatal(err)
	}
	if j := e.read(t); j.Status != "pending" {
		t.Errorf("got %+v", j)
	}
	setFault(t, e.sim, auth0sim.Fault{Name: auth0sim.FaultExportFailed, Value: "out of disk", Times: 1})
	for range 2 {
		if j := e.read(t); j.Status != "failed" || j.Details != "out of disk" || j.Location != "" {
			t.Errorf("got %+v", j)
		}
	}
}

func TestExportFileFaults(t *testing.T) {
	t.Parallel()
	e := startJob(t, emailsOnly)
	j := e.finish(t)
	whole := download(t, j, nil).body
	text := unpack(t, whole)
	checks := map[auth0sim.FaultName]func(body string) bool{
		auth0sim.FaultExportCut: func(body string) bool {
			_, err := gunzip(body)
			return body == whole[:len(whole)/2] && errors.Is(err, io.ErrUnexpectedEOF)
		},
		auth0sim.FaultExportCutLine: func(body string) bool {
			cut, err := gunzip(body)
			return err == nil && strings.HasPrefix(text, cut) && strings.Count(cut, "\n") == 4 && !strings.HasSuffix(cut, "\n")
		},
		auth0sim.FaultExportBadChecksum: func(body string) bool {
			_, err := gunzip(body)
			return len(body) == len(whole) && errors.Is(err, gzip.ErrChecksum)
		},
		auth0sim.FaultExportNotGzip: func(body string) bool { return body == text },
	}
	for _, name := range auth0sim.FaultsOf(auth0sim.KindExport) {
		if name == auth0sim.FaultExportFailed || name == auth0sim.FaultExportStuck {
			continue
		}
		setFault(t, e.sim, auth0sim.Fault{Name: name, Times: 1})
		if got := download(t, j, nil); got.status != 200 || checks[name] == nil || !checks[name](got.body) {
			t.Errorf("%s: got %d, %d bytes", name, got.status, len(got.body))
		}
		if got := download(t, j, nil).body; !bytes.Equal([]byte(got), []byte(whole)) {
			t.Errorf("%s: it does not pass", name)
		}
	}
}

// A reset forgets jobs, and a redirect keeps the query.
func TestExportReset(t *testing.T) {
	t.Parallel()
	e := startJob(t, emailsOnly)
	setFault(t, e.sim, auth0sim.Fault{Name: auth0sim.FaultRedirect302, Path: auth0sim.PathConnections})
	got := get(t, e.sim, auth0sim.PathConnections+"?name=a%20b", e.token)
	if location := got.header.Get("Location"); got.status != 302 || location != "/redirected/api/v2/connections?name=a%20b" {
		t.Errorf("got %d %s", got.status, location)
	}
	e.sim.Reset()
	if got := get(t, e.sim, auth0sim.PathJobs+e.id, machineBearer(t, e.sim)); got.status != 404 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
