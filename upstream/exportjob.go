package upstream

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"ferry/secret"
	"ferry/strictjson"
)

const (
	exportType   = "users_export"
	exportFormat = "json"
	// maxDetails bounds the status details of a job that are kept, in bytes.
	maxDetails = 300
)

// jobPattern matches the id of a job (contract, 4.3).
var jobPattern = regexp.MustCompile(`^job_[A-Za-z0-9]{16}$`)

// IsJobID reports whether id has the format of a job's id.
func IsJobID(id string) bool { return jobPattern.MatchString(id) }

// Export selects the users of an export job.
type Export struct {
	// ConnectionID is the connection whose users are exported. If empty, all users of the
	// tenant are.
	ConnectionID string
	// Fields are those of each user; nil: all that are of use.
	Fields []string
}

// JobStatus is the status of a job.
type JobStatus string

// The statuses of a job.
const (
	jobPending    JobStatus = "pending"
	jobProcessing JobStatus = "processing"
	JobCompleted  JobStatus = "completed"
	JobFailed     JobStatus = "failed"
)

// Job is a job that exports users, as Auth0 reports it.
type Job struct {
	ID     string
	Status JobStatus
	// PercentDone is from 0 to 100, and 0 if unknown.
	PercentDone int
	// TimeLeft is Auth0's estimate, 0 if unknown.
	TimeLeft time.Duration
	// Location is the link to the file, set once the job is completed. It gives access to
	// the file without a token, for a minute: each call of Job returns a new one.
	Location secret.String
	// Details are Auth0's explanation of a failed job, to show to the operator.
	Details string
}

// exportFields are the fields of a user that are of use after the export; a job allows 30.
func exportFields() []string {
	return []string{
		"user_id", "email", "email_verified", "username", "phone_number", "phone_verified",
		"name", "given_name", "family_name", "nickname", "picture",
		"identities", "app_metadata", "user_metadata", "blocked", "multifactor", "multifactor_last_modified",
		"created_at", "updated_at", "last_login", "last_ip", "logins_count", "last_password_reset",
	}
}

// StartExport starts a job that writes users as JSON, one per line. It is retried only if
// Auth0 refused it because of a rate limit or the token. After any other error a job may
// have started, which is harmless. Every error is a *ManagementError.
func (m *Management) StartExport(ctx context.Context, export Export) (Job, error) {
	type field struct {
		Name string `json:"name"`
	}
	request := struct {
		ConnectionID string  `json:"connection_id,omitempty"`
		Format       string  `json:"format"`
		Fields       []field `json:"fields"`
	}{ConnectionID: export.ConnectionID, Format: exportFormat}
	if export.ConnectionID != "" && !connectionPattern.MatchString(export.ConnectionID) {
		return Job{}, &ManagementError{Reason: "bad_id"}
	}
	fields := export.Fields
	if fields == nil {
		fields = exportFields()
	}
	for _, name := range fields {
		request.Fields = append(request.Fields, field{name})
	}
	body, err := json.Marshal(request)
	if err != nil {
		return Job{}, &ManagementError{Reason: "bad_id"}
	}
	answer, err := m.call(ctx, http.MethodPost, "/api/v2/jobs/users-exports", body)
	if err != nil {
		return Job{}, err
	}
	return parseJob(answer)
}

// Job returns the state of an export. Every error is a *ManagementError, with status 404 if
// there is no such job: Auth0 deletes them after a day.
func (m *Management) Job(ctx context.Context, id string) (Job, error) {
	if !IsJobID(id) {
		return Job{}, &ManagementError{Reason: "bad_id"}
	}
	answer, err := m.call(ctx, http.MethodGet, "/api/v2/jobs/"+id, nil)
	if err != nil {
		return Job{}, err
	}
	job, err := parseJob(answer)
	if err == nil && job.ID != id {
		return Job{}, &ManagementError{Status: answer.status, Reason: ReasonAnotherJob}
	}
	return job, err
}

// parseJob reads a job. Anything but an export as JSON is an error.
func parseJob(answer reply) (Job, error) {
	fail := func(reason string) (Job, error) {
		return Job{}, &ManagementError{Status: answer.status, Reason: reason}
	}
	var said struct {
		ID       string    `json:"id"`
		Type     string    `json:"type"`
		Format   string    `json:"format"`
		Status   JobStatus `json:"status"`
		Percent  float64   `json:"percentage_done"`
		Seconds  float64   `json:"time_left_seconds"`
		Location string    `json:"location"`
		Details  any       `json:"status_details"`
	}
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil || !IsJobID(said.ID) {
		return fail("malformed")
	}
	if said.Type != exportType || (said.Format != exportFormat && said.Format != "") {
		return fail(ReasonAnotherJob)
	}
	words, _ := said.Details.(string)
	job := Job{
		ID:          said.ID,
		Status:      said.Status,
		PercentDone: int(min(max(said.Percent, 0), 100)),
		TimeLeft:    time.Duration(min(max(said.Seconds, 0), 86400) * float64(time.Second)),
		Location:    secret.New(said.Location),
		Details:     details(words),
	}
	switch said.Status {
	case jobPending, jobProcessing, JobFailed:
		return job, nil
	case JobCompleted:
		if said.Location == "" {
			return fail("no_location")
		}
		return job, nil
	}
	return fail("unknown_status")
}

// details returns a text of Auth0 as one line of bounded length.
func details(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(text) > maxDetails {
		text = strings.ToValidUTF8(text[:maxDetails], "") + "…"
	}
	return text
}
