package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ferry/bulk/export"
	"ferry/secret"
	"ferry/transport"
	"ferry/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exportTenant is an Auth0 that exports, as a test wants it. The last of its answers
// is given for ever.
type exportTenant struct {
	t *testing.T
	// start answers the POST; nil: a job that is pending.
	start http.HandlerFunc
	// jobs are what each GET of the job says; a completed one gets a link.
	jobs []exportAnswer
	// files are what each download gets, while its link holds.
	files []http.HandlerFunc
	// methods answers each GET of a user's methods.
	methods http.HandlerFunc

	mu        sync.Mutex
	starts    []string    // bodies
	asked     []time.Time // for the job
	downloads int
}

// exportAnswer changes what is said of the job, or is another answer altogether.
type exportAnswer struct {
	change map[string]any
	answer http.HandlerFunc
}

func says(change map[string]any) exportAnswer { return exportAnswer{change: change} }
func refuses(status int, body string) exportAnswer {
	return exportAnswer{answer: answers(status, body)}
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func sends(file []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }
}

func completed() exportAnswer { return says(map[string]any{"status": "completed"}) }

func gzipped(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.Bytes()
}

func pick[T any](all []T, n int) T { return all[min(n, len(all)-1)] }

func (tn *exportTenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if tn.methods != nil && r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/v2/users/") {
		tn.asked = append(tn.asked, time.Now())
		tn.methods(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /oauth/token":
		answers(200, `{"access_token":"canary-token","token_type":"Bearer","expires_in":86400}`)(w, r)
	case "GET /api/v2/connections":
		if r.URL.Query().Get("name") != "users" {
			answers(200, `[]`)(w, r)
			return
		}
		answers(200, `[{"id":"`+exportConnection+`","name":"users"}]`)(w, r)
	case "POST /api/v2/jobs/users-exports":
		tn.starts = append(tn.starts, string(body))
		if tn.start != nil {
			tn.start(w, r)
			return
		}
		tn.say(w, r, nil)
	case "GET /api/v2/jobs/" + exportJob:
		next := pick(tn.jobs, len(tn.asked))
		tn.asked = append(tn.asked, time.Now())
		if next.answer != nil {
			next.answer(w, r)
			return
		}
		tn.say(w, r, next.change)
	case "GET /file":
		tn.download(w, r)
	default:
		tn.t.Errorf("asked for %s %s", r.Method, r.URL)
	}
}

func (tn *exportTenant) say(w http.ResponseWriter, r *http.Request, change map[string]any) {
	job := map[string]any{"id": exportJob, "type": "users_export", "format": "json", "status": "pending"}
	for name, value := range change {
		job[name] = value
	}
	if job["status"] == "completed" {
		job["location"] = fmt.Sprintf("%s/file?Expires=%d&Signature=canary", exportHost, time.Now().Add(time.Minute).Unix())
	}
	text, err := json.Marshal(job)
	if err != nil {
		tn.t.Error(err)
	}
	answers(200, string(text))(w, r)
}

func (tn *exportTenant) download(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		tn.t.Error("the token went to the file's host")
	}
	n := tn.downloads
	tn.downloads++
	if r.URL.Query().Get("Expires") < fmt.Sprint(time.Now().Unix()) {
		tn.t.Error("the link had expired")
	}
	pick(tn.files, n)(w, r)
}

// exportPipe is a network inside the bubble.
type exportPipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p exportPipe) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if address != exportHost {
		return nil, fmt.Errorf("dialled %s", address)
	}
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p exportPipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p exportPipe) Close() error   { close(p.done); return nil }
func (p exportPipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// exportProgress remembers what it was told.
type exportProgress struct {
	lines  []string
	phases []string // "what total: counted", with "..." while it is under way
	open   bool
	count  int64
}

func (p *exportProgress) Start(what string, total int64) {
	p.phases, p.open, p.count = append(p.phases, fmt.Sprintf("%s %d", what, total)), true, 0
}
func (p *exportProgress) Add(n int64)     { p.count += n }
func (p *exportProgress) Say(line string) { p.lines = append(p.lines, line) }
func (p *exportProgress) Done() {
	p.open = false
	p.phases[len(p.phases)-1] += fmt.Sprintf(": %d", p.count)
}

// exportBubble is a test of an export that goes by a clock of its own.
type exportBubble struct {
	*testing.T

	opts     export.Options // less what to export, and where
	tenant   *exportTenant
	progress *exportProgress
}

// inExport runs a test in one, where waiting takes no time.
func inExport(t *testing.T, tn *exportTenant, test func(exportBubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tn.t = t
		network := exportPipe{make(chan net.Conn), make(chan struct{})}
		srv := &http.Server{Handler: tn, ReadHeaderTimeout: time.Hour}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(network) }()
		wire := transport.New(transport.Options{Dial: network.dial})
		defer func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}()
		auth0, err := upstream.NewManagement(upstream.ManagementOptions{
			BaseURL: "http://" + exportHost, Audience: "https://t.test/api/v2/", ClientID: "machine", ClientSecret: secret.New("canary-secret"),
			Timeout: 30 * time.Second, Transport: wire, Now: time.Now, PerSecond: 1000,
		})
		if err != nil {
			t.Fatal(err)
		}
		progress := &exportProgress{}
		test(exportBubble{t, export.Options{Auth0: auth0, Progress: progress}, tn, progress})
		if progress.open {
			t.Errorf("a phase was not ended: %v", progress.phases)
		}
		if text := fmt.Sprint(progress.lines); strings.Contains(text, "canary") || strings.Contains(text, "example") {
			t.Errorf("said too much: %s", text)
		}
	})
}
