package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	hydra "github.com/ory/hydra-client-go/v2"

	"ferry/secret"
	"ferry/strictjson"
	"ferry/transport"
)

const (
	// requestTimeout bounds one request to the admin API.
	requestTimeout = 30 * time.Second
	maxAnswerBytes = 8 << 20
	// maxSaid is the longest text of Hydra's that ferry repeats.
	maxSaid = 500
)

// store is the admin API of one Hydra.
type store struct{ api *hydra.APIClient }

// Error is the error of a request to the admin API.
type Error struct {
	// Operation is what was asked for.
	Operation string
	// Status is the HTTP status; 0: there was no answer.
	Status int
	// Said is what Hydra said about the client. It may be empty.
	Said  string
	cause error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Status == 0:
		return fmt.Sprintf("hydra: %s: %v", e.Operation, e.cause)
	case e.Said == "":
		return fmt.Sprintf("hydra: %s: status %d", e.Operation, e.Status)
	}
	return fmt.Sprintf("hydra: %s: status %d: %s", e.Operation, e.Status, e.Said)
}

// Unwrap is the error of the transport.
func (e *Error) Unwrap() error { return e.cause }

// temporary reports whether the same request may succeed later.
func (e *Error) temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
}

func newStore(adminURL string, token secret.String, sender http.RoundTripper) (*store, error) {
	admin, err := url.Parse(strings.TrimRight(adminURL, "/"))
	if err != nil || admin.Host == "" {
		return nil, errors.New("import applications: invalid URL of Hydra's admin API")
	}
	cfg := hydra.NewConfiguration()
	cfg.Servers = hydra.ServerConfigurations{{URL: admin.String()}}
	cfg.UserAgent = "ferry"
	cfg.HTTPClient = &http.Client{
		Transport:     reader{sender},
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if !token.Empty() {
		cfg.DefaultHeader["Authorization"] = "Bearer " + token.Reveal()
	}
	return &store{hydra.NewAPIClient(cfg)}, nil
}

// reader reads answers to their end, up to a limit, before anything of them is used: only then is
// it known that the connection brought nothing else.
type reader struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r reader) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	unread := resp.Body
	defer func() { _ = unread.Close() }()
	body, err := transport.ReadAll(http.MaxBytesReader(nil, unread, maxAnswerBytes), resp.ContentLength)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Type") // the generated client does not decode then
	return resp, nil
}

// version returns Hydra's version. Of all answers, it is the one that shows whether the admin API
// is there.
func (s *store) version(ctx context.Context) (string, error) {
	_, resp, err := s.api.MetadataAPI.GetVersion(ctx).Execute() //nolint:bodyclose // answer closes it
	var said struct {
		Version *string `json:"version"`
	}
	if err := answer("read the version", resp, err, &said); err != nil {
		return "", err
	}
	if said.Version == nil {
		return "", &Error{Operation: "read the version", Status: http.StatusOK, Said: "the answer has no version; is this the admin API of Hydra?"}
	}
	return *said.Version, nil
}

// get returns a client; nil: there is none.
func (s *store) get(ctx context.Context, id string) (fields, error) {
	_, resp, err := s.api.OAuth2API.GetOAuth2Client(ctx, id).Execute() //nolint:bodyclose // answer closes it
	client := rawClient{}
	if err := answer("read a client", resp, err, &client); err != nil {
		var refusal *Error
		if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
			return nil, nil //nolint:nilnil // there is no client
		}
		return nil, err
	}
	value, err := fieldsOf(client)
	if err != nil || value.text(fieldID) != id {
		return nil, &Error{Operation: "read a client", Status: http.StatusOK, Said: "the answer is another client"}
	}
	return value, nil
}

// rawClient is a client as Hydra has it.
type rawClient map[string]any

func (s *store) create(ctx context.Context, client hydra.OAuth2Client) error {
	_, resp, err := s.api.OAuth2API.CreateOAuth2Client(ctx).OAuth2Client(client).Execute() //nolint:bodyclose // answer closes it
	return answer("create a client", resp, err, nil)
}

func (s *store) replace(ctx context.Context, id string, client hydra.OAuth2Client) error {
	_, resp, err := s.api.OAuth2API.SetOAuth2Client(ctx, id).OAuth2Client(client).Execute() //nolint:bodyclose // answer closes it
	return answer("change a client", resp, err, nil)
}

func (s *store) remove(ctx context.Context, id string) error {
	resp, err := s.api.OAuth2API.DeleteOAuth2Client(ctx, id).Execute() //nolint:bodyclose // answer closes it
	return answer("delete a client", resp, err, nil)
}

// answer reads an answer, if into is not nil. The error of the generated client says less than
// the answer, where there is one.
func answer(operation string, resp *http.Response, err error, into any) error {
	if resp == nil {
		return &Error{Operation: operation, cause: cause(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return &Error{Operation: operation, cause: err}
	case resp.StatusCode/100 != http.StatusOK/100:
		return &Error{Operation: operation, Status: resp.StatusCode, Said: said(body)}
	case into == nil:
		return nil
	case strictjson.Unmarshal(body, into, fieldMetadata) != nil:
		return &Error{Operation: operation, Status: resp.StatusCode, Said: "the answer is not the JSON expected"}
	}
	return nil
}

// cause is the error of the transport, without the URL that http.Client adds.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// said returns what Hydra says in an error, which may quote the client, but no secret.
func said(body []byte) string {
	var answer struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	if strictjson.Unmarshal(body, &answer) != nil {
		return ""
	}
	text := answer.Description
	if object, ok := answer.Error.(map[string]any); ok && text == "" {
		text, _ = object["reason"].(string)
		if text == "" {
			text, _ = object["message"].(string)
		}
	} else if text == "" {
		text, _ = answer.Error.(string)
	}
	if len(text) > maxSaid {
		text = text[:maxSaid] + "…"
	}
	return text
}
