package kratos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"ferry/strictjson"
	"ferry/transport"
)

// read makes one call of the generated client and decodes its answer. The client
// makes the request; what it makes of the answer is not used, because it takes the
// last of two equal keys. What is below one of the foreign names is nobody's concern.
func (c *Client) read(ctx context.Context, into any, call func(context.Context) error, foreign ...string) error {
	got := answer{limit: maxAnswerBytes}
	err := call(context.WithValue(ctx, answerKey{}, &got))
	return got.decode(err, into, foreign...)
}

// send asks without the generated client, which follows no redirects either.
func (c *Client) send(ctx context.Context, method string, to *url.URL, body []byte, limit int64) (answer, error) {
	got := answer{limit: limit}
	req, err := http.NewRequestWithContext(context.WithValue(ctx, answerKey{}, &got), method, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if to.Host == c.admin.Host && !c.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	return got, resp.Body.Close()
}

// answer is an HTTP answer, read whole; its status is 0 while there is none.
type answer struct {
	limit    int64 // of the body, in bytes
	status   int
	body     []byte
	location string   // of a redirect
	links    []string // the Link headers
}

// fault is nil for an answer to rely on; err is why there is none.
func (a answer) fault(err error) error {
	switch {
	case a.status == 0:
		return noAnswer(err)
	case a.status != http.StatusOK:
		return refusal(a.status, a.body)
	}
	return nil
}

// decode reads the answer strictly; err is why there is none.
func (a answer) decode(err error, into any, foreign ...string) error {
	if err := a.fault(err); err != nil {
		return err
	}
	if strictjson.Unmarshal(a.body, into, append(opaque(), foreign...)...) != nil {
		return invalidResponse("answer_malformed")
	}
	return nil
}

// answerKey finds, in a request's context, the *answer to fill.
type answerKey struct{}

// reader reads answers whole, up to their bound, and keeps them from the generated
// client, which is left with an empty body.
type reader struct{ next http.RoundTripper }

func (r reader) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	whole := resp.Body
	defer func() { _ = whole.Close() }()
	if resp.StatusCode < http.StatusOK {
		return nil, transport.ErrSwitched // its body would never end
	}
	got, ok := req.Context().Value(answerKey{}).(*answer)
	if !ok {
		got = &answer{limit: maxAnswerBytes}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, whole, got.limit))
	if err != nil {
		return nil, err
	}
	got.status, got.body = resp.StatusCode, body
	got.location, got.links = resp.Header.Get("Location"), resp.Header.Values("Link")
	resp.Body, resp.ContentLength = http.NoBody, 0
	return resp, nil
}
