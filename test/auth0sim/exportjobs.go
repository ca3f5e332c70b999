package auth0sim

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// PathExports is before the files of exports: PathExports + job id + "/" + name.
const PathExports = "/exports/"

// The statuses of a job.
const (
	jobPending    = "pending"
	jobProcessing = "processing"
	jobCompleted  = "completed"
	jobFailed     = "failed"
)

// How long a link to the file works, and how long a job is kept.
const (
	exportLinkLife = time.Minute
	exportJobLife  = 24 * time.Hour
)

// exportJob is a job that exports users.
type exportJob struct {
	id         string
	order      exportOrder
	connection string // its name; empty is all of them
	created    time.Time
	reads      int
	failure    string // not empty: it has failed
	lines      []byte // the file before it is compressed, once there is one
}

// exportStore is the jobs, and the key that their links are signed with.
type exportStore struct {
	mu   sync.Mutex
	jobs map[string]*exportJob
	key  []byte
}

func newExportStore() *exportStore {
	e := &exportStore{key: []byte(rand.Text())}
	e.reset()
	return e
}

func (e *exportStore) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.jobs = map[string]*exportJob{}
}

// find returns a job that is not too old, for use within do only.
func (e *exportStore) find(id string, oldest time.Time, do func(*exportJob)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	job, ok := e.jobs[id]
	if !ok || !job.created.After(oldest) {
		return false
	}
	do(job)
	return true
}

// jobBody is a job as the Management API shows it, in the order that recordings
// have.
type jobBody struct {
	Type          string        `json:"type"`
	Status        string        `json:"status"`
	ConnectionID  string        `json:"connection_id,omitempty"`
	Format        string        `json:"format"`
	Fields        []exportField `json:"fields,omitempty"`
	Connection    string        `json:"connection,omitempty"`
	CreatedAt     time.Time     `json:"created_at"`
	ID            string        `json:"id"`
	Location      string        `json:"location,omitempty"`
	Percentage    *int          `json:"percentage_done,omitempty"`
	TimeLeft      *int          `json:"time_left_seconds,omitempty"`
	StatusDetails string        `json:"status_details,omitempty"`
}

func (j *exportJob) body(status string) jobBody {
	return jobBody{
		Type: "users_export", Status: status, ConnectionID: j.order.ConnectionID, Format: j.order.Format,
		Fields: j.order.Fields, Connection: j.connection, CreatedAt: j.created, ID: j.id,
	}
}

// startExport is POST /api/v2/jobs/users-exports.
func (s *Server) startExport(x *exchange) response {
	order, err := readExportOrder(x)
	if err != nil {
		return s.refuse(AnswerManagementBadBody, "reason", err.Error())
	}
	job := &exportJob{order: order, created: s.Now().UTC().Truncate(time.Millisecond)}
	if order.ConnectionID != "" {
		connection, ok := s.dir.connectionByID(order.ConnectionID)
		if !ok {
			return s.refuse(AnswerManagementNoConnection)
		}
		job.connection = connection.Name
	}
	sum := sha256.Sum256([]byte(rand.Text()))
	job.id = "job_" + inBase62(sum[:])
	s.exports.mu.Lock()
	defer s.exports.mu.Unlock()
	s.exports.jobs[job.id] = job
	return managementResponse(job.body(jobPending))
}

// withJob answers about an existing job.
func (s *Server) withJob(x *exchange, answer func(*exportJob) response) response {
	id := x.req.PathValue("id")
	if !jobIDs.MatchString(id) {
		return s.refuse(AnswerManagementBadPath, "reason", "id: expected "+jobIDs.String())
	}
	var resp response
	if !s.exports.find(id, s.oldestJob(), func(job *exportJob) { resp = answer(job) }) {
		return s.refuse(AnswerManagementNoJob)
	}
	return resp
}

// oldestJob is the creation time up to which jobs have expired.
func (s *Server) oldestJob() time.Time {
	return s.Now().Add(-exportJobLife)
}

// readJob is GET /api/v2/jobs/{id}: each read brings the job on.
func (s *Server) readJob(x *exchange) response {
	return s.withJob(x, func(job *exportJob) response {
		if f, ok := x.fault(FaultExportFailed); ok && job.failure == "" {
			job.failure = orElse(f.Value, "The export could not be written.")
		}
		if job.failure != "" {
			body := job.body(jobFailed)
			body.StatusDetails = job.failure
			return managementResponse(body)
		}
		if _, ok := x.fault(FaultExportStuck); ok {
			return managementResponse(job.under(jobProcessing, 50, 1))
		}
		return s.progress(x, job)
	})
}

// under is a job on its way.
func (j *exportJob) under(status string, percentage, left int) jobBody {
	body := j.body(status)
	body.Percentage, body.TimeLeft = &percentage, &left
	return body
}

// progress brings the job on by one read.
func (s *Server) progress(x *exchange, job *exportJob) response {
	reads := s.Settings().Export.Reads
	job.reads++
	left := reads - job.reads + 1
	switch {
	case left > 0 && job.reads == 1:
		return managementResponse(job.under(jobPending, 0, left))
	case left > 0:
		return managementResponse(job.under(jobProcessing, (job.reads-1)*100/reads, left))
	}
	if job.lines == nil {
		job.lines = s.exportLines(job)
	}
	body := job.under(jobCompleted, 100, 0)
	body.Location = s.exportLocation(x, job)
	return managementResponse(body)
}

// exportLocation is a new link to the file, on the host that the request came to.
func (s *Server) exportLocation(x *exchange, job *exportJob) string {
	tenant, _, _ := strings.Cut(s.cfg.Domain, ".")
	path := PathExports + job.id + "/" + tenant + ".json.gz"
	expires := strconv.FormatInt(s.Now().Add(exportLinkLife).Unix(), 10)
	query := url.Values{"Expires": {expires}, "Key-Pair-Id": {"APKASIMULATOR"}, "Signature": {s.exports.sign(path, expires)}}
	return x.req.Host + path + "?" + query.Encode()
}

func (e *exportStore) sign(path, expires string) string {
	mac := hmac.New(sha256.New, e.key)
	_, _ = fmt.Fprintf(mac, "%s?%s", path, expires) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// downloadExport is GET of a file: no part of the Management API, but a store
// that checks the link only.
func (s *Server) downloadExport(x *exchange) response {
	query := x.req.URL.Query()
	expires, err := strconv.ParseInt(query.Get("Expires"), 10, 64)
	signature := s.exports.sign(x.req.URL.Path, query.Get("Expires"))
	switch {
	case x.req.Method != http.MethodGet:
		return storeRefusal(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	case x.req.Header.Get("Authorization") != "":
		return storeRefusal(http.StatusBadRequest, "InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified")
	case err != nil || !hmac.Equal([]byte(signature), []byte(query.Get("Signature"))):
		return storeRefusal(http.StatusForbidden, "AccessDenied", "Access denied")
	case s.Now().After(time.Unix(expires, 0)):
		return storeRefusal(http.StatusForbidden, "AccessDenied", "Request has expired")
	}
	var lines []byte
	if !s.exports.find(x.req.PathValue("job"), s.oldestJob(), func(job *exportJob) { lines = job.lines }) || lines == nil {
		return storeRefusal(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	return exportResponse(x, lines)
}

// exportResponse is the file, with the faults that hold.
func exportResponse(x *exchange, lines []byte) response {
	if _, ok := x.fault(FaultExportCutLine); ok {
		trimmed := bytes.TrimRight(lines, "\r\n")
		last := bytes.LastIndexByte(trimmed, '\n') + 1
		lines = trimmed[:last+(len(trimmed)-last)/2]
	}
	file, err := compress(lines)
	if err != nil {
		return storeRefusal(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	}
	if _, ok := x.fault(FaultExportBadChecksum); ok {
		file[len(file)-8] ^= 1 // RFC 1952: the CRC-32 is the first half of the last 8 bytes
	}
	if _, ok := x.fault(FaultExportCut); ok {
		file = file[:len(file)/2]
	}
	if _, ok := x.fault(FaultExportNotGzip); ok {
		file = bytes.Clone(lines)
	}
	resp := response{status: http.StatusOK, header: http.Header{}, body: file, outcome: outcomeOK}
	resp.header.Set("Content-Type", "application/octet-stream")
	return resp
}

// storeRefusal is an answer in the words of a file store.
func storeRefusal(status int, code, message string) response {
	resp := plainResponse(status, "application/xml", fmt.Sprintf(
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, message))
	resp.outcome = "store_refused"
	return resp
}
