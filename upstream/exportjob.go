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
	// maxDetails is how much of Auth0's words about a job is kept, in bytes.
	maxDetails = 300
)

// jobPattern is an id of a job (contract, 4.3).
var jobPattern = regexp.MustCompile(`^job_[A-Za-z0-9]{16}$`)

// IsJobID tells whether this can be a job's id.
func IsJobID(id string) bool { return jobPattern.MatchString(id) }

// Export is what an export job is asked for.
type Export struct {
	// ConnectionID is the connection whose users are exported; empty: all users of
	// the tenant.
	ConnectionID string
}

// JobStatus is how far a job is.
type JobStatus string

// The statuses of a job.
const (
	jobPending    JobStatus = "pending"
	jobProcessing JobStatus = "processing"
	JobCompleted  JobStatus = "completed"
	JobFailed     JobStatus = "failed"
)

// Job is one job that exports users, as Auth0 tells of it.
type Job struct {
	ID     string
	Status JobStatus
	// PercentDone is from 0 to 100, and 0 where it was not told.
	PercentDone int
	// TimeLeft is what Auth0 expects, 0 where it was not told.
	TimeLeft time.Duration
	// Location is where the file is, never empty where the job is completed. Whoever
	// has it has the file, for a minute: Job gives a new one each time.
	Location secret.String
	// Details are Auth0's words about a job that failed, for people to read.
	Details string
}

// exportFields is everything of a user that has a use after the export; a job gives
// 30 at most.
func exportFields() []string {
	return []string{
		"user_id", "email", "email_verified", "username", "phone_number", "phone_verified",
		"name", "given_name", "family_name", "nickname", "picture",
		"identities", "app_metadata", "user_metadata", "blocked", "multifactor", "multifactor_last_modified",
		"created_at", "updated_at", "last_login", "last_ip", "logins_count", "last_password_reset",
	}
}

// StartExport has Auth0 begin a job that writes users as JSON, a line each. It is
// sent again only where Auth0 refused it for its limits or the token; after any
// other error a job may have begun all the same, which does no harm. Every error is
// a *ManagementError.
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
	for _, name := range exportFields() {
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

// Job tells how far an export is. Every error is a *ManagementError, with status 404
// where Auth0 does not know the job, or no more: it forgets them after a day.
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

// parseJob reads what Auth0 says of a job, and takes none but an export of JSON.
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

// details is a text of Auth0's on one line, cut to a bound.
func details(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(text) > maxDetails {
		text = strings.ToValidUTF8(text[:maxDetails], "") + "…"
	}
	return text
}
