package hook

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"ferry/secret"
	"ferry/strictjson"
)

const (
	// maxRequestBytes is far above anything that could match. Kratos passes on some
	// megabytes.
	maxRequestBytes = 1 << 20
	// maxDrainBytes of a longer request are read and dropped, so that Kratos reads the
	// answer. It would repeat the call after a broken connection.
	maxDrainBytes = 64 << 20
)

var errOversize = errors.New("request too large")

// migrationRequest covers both shapes of the migration hook's body: Kratos' fixed one has
// only identifier and password; ferry's template (from 25.4 on) may add the rest.
type migrationRequest struct {
	Identifier string        `json:"identifier"`
	Password   secret.String `json:"password"`
	Identity   struct {
		ID         string `json:"id"`
		ExternalID string `json:"external_id"`
		State      string `json:"state"`
	} `json:"identity"`
	Flow struct {
		ID string `json:"id"`
	} `json:"flow"`
	Client struct {
		IP        string `json:"ip"`
		UserAgent string `json:"user_agent"`
	} `json:"client"`
}

// shape names the shape, for the log.
func (r migrationRequest) shape() string {
	if r.Flow.ID == "" && r.Identity.ID == "" {
		return "fixed"
	}
	return "template"
}

// decodeMigration decodes the body strictly. Its error is an *echo.HTTPError, an error of
// the caller, and contains nothing of the request.
func decodeMigration(body []byte) (migrationRequest, error) {
	var req migrationRequest
	if err := strictjson.Unmarshal(body, &req); err != nil {
		return migrationRequest{}, echo.NewHTTPError(http.StatusBadRequest, "the body is not the one JSON object that the hook expects")
	}
	if strings.TrimSpace(req.Identifier) == "" || req.Password.Empty() {
		return migrationRequest{}, echo.NewHTTPError(http.StatusBadRequest, "identifier and password are required and must not be empty")
	}
	return req, nil
}

// readJSON reads a body of the media type application/json, up to a limit. The error is
// errOversize or an error of the caller.
func readJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || media != "application/json" || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "the body must be application/json")
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "the body must not be compressed")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBytes+1))
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "the body ended early")
	}
	if len(body) > maxRequestBytes {
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxDrainBytes))
		return nil, errOversize
	}
	return body, nil
}
