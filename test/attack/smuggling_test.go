package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// listener is one of ferry's listeners, and a request that it answers.
type listener struct {
	url  string
	line string // method and path
	head string // headers except those that frame the body
	body string
	// isAnswer recognizes the answer to that request; statuses alone do not tell it from
	// the server's own.
	isAnswer func(status int, body string) bool
}

func (s *stack) listeners() map[string]listener {
	credentials := fmt.Sprintf(`{"identifier":%q,"password":"wrong"}`, kim)
	form := fmt.Sprintf(`{"method":"password","identifier":%q,"password":"wrong"}`, kim)
	const flow = "?flow=3f6b8f5e-6a0e-4f39-9d3e-1c2d3e4f5a6b"
	return map[string]listener{
		"hooks": {
			s.ferry.HooksURL(), "POST /hooks/password-migration", "Authorization: Bearer " + hookKey + "\r\nContent-Type: application/json\r\n", credentials,
			func(status int, _ string) bool { return status == http.StatusForbidden },
		},
		"gateway": {
			s.ferry.GatewayURL(), "POST /self-service/login" + flow, "Content-Type: application/json\r\n", form,
			func(status int, body string) bool {
				return status == http.StatusBadRequest && strings.Contains(body, "4000006")
			},
		},
		"forward auth": {
			s.ferry.ForwardAuthURL(), "GET /forward-auth", "X-Forwarded-Method: POST\r\nX-Forwarded-Uri: /self-service/login" + flow + "\r\nContent-Type: application/json\r\n", form,
			func(status int, _ string) bool { return status == http.StatusOK },
		},
		"admin": {
			s.ferry.AdminURL(), "GET /version", "", "{}",
			func(status int, body string) bool {
				return status == http.StatusOK && strings.Contains(body, "version")
			},
		},
	}
}

// shape is one way to frame a request. The words of want are the answers in order: ok is the
// answer to the request, end the one to the request that follows it, and a number a status of
// the server itself: see fits.
type shape struct {
	head string // of headers, beside the listener's
	body string
	edit func(request string) string
	want string
}

// shapes frame the body in every way that is known to make two programs disagree about where a
// request ends.
func shapes(body string) map[string]shape {
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	chunked := "Transfer-Encoding: chunked\r\n"
	replace := func(from, to string) func(string) string {
		return func(request string) string { return strings.Replace(request, from, to, 1) }
	}
	return map[string]shape{
		"length":                    {head: length, body: body, want: "ok end"},
		"length twice, equal":       {head: length + length, body: body, want: "ok end"},
		"length in two lines":       {head: "Content-Length:\r\n" + strings.TrimPrefix(length, "Content-Length:"), body: body, want: "ok end"},
		"lines end with LF":         {head: length, body: body, edit: func(r string) string { return strings.ReplaceAll(r, "\r\n", "\n") }, want: "ok end"},
		"blank line behind":         {head: length, body: body + "\r\n", want: "ok any"},
		"absolute URL":              {head: length, body: body, edit: replace(" /", " http://evil.example/"), want: "ok end"},
		"upgrade to h2c":            {head: length + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAAAA\r\n", body: body, want: "ok end"},
		"length and chunks":         {head: fmt.Sprintf("Content-Length: %d\r\n", len(chunks)) + chunked, body: chunks, want: "ok"},
		"chunks and length":         {head: chunked + "Content-Length: 4\r\n", body: chunks, want: "ok"},
		"chunks":                    {head: chunked, body: chunks, want: "ok"},
		"chunks, other case":        {head: "Transfer-Encoding: ChUnKeD\r\n", body: chunks, want: "ok"},
		"chunks after a tab":        {head: "Transfer-Encoding:\tchunked\r\n", body: chunks, want: "ok"},
		"chunk extension":           {head: chunked, body: strings.Replace(chunks, "\r\n", ";a=b\r\n", 1), want: "ok"},
		"trailer with a key":        {head: chunked + "Trailer: Authorization\r\n", body: strings.TrimSuffix(chunks, "\r\n") + "Authorization: Bearer x\r\n\r\n", want: "ok"},
		"length twice":              {head: length + "Content-Length: 0\r\n", body: body, want: "400"},
		"list of lengths":           {head: fmt.Sprintf("Content-Length: %d, %d\r\n", len(body), len(body)), body: body, want: "400"},
		"length with a plus":        {head: fmt.Sprintf("Content-Length: +%d\r\n", len(body)), body: body, want: "400"},
		"negative length":           {head: "Content-Length: -1\r\n", body: body, want: "400"},
		"hexadecimal length":        {head: fmt.Sprintf("Content-Length: 0x%x\r\n", len(body)), body: body, want: "400"},
		"empty length":              {head: "Content-Length:\r\n", want: "400"},
		"too large a length":        {head: "Content-Length: 99999999999999999999\r\n", body: body, want: "400"},
		"blank before the colon":    {head: strings.Replace(length, ":", " :", 1), body: body, want: "400"},
		"blank, transfer encoding":  {head: "Transfer-Encoding : chunked\r\n", body: chunks, want: "400"},
		"vertical tab":              {head: "Transfer-Encoding: \x0bchunked\r\n", body: chunks, want: "400"},
		"CR in a header":            {head: "X-A: a\rContent-Length: 0\r\n" + length, body: body, want: "400"},
		"NUL in a header":           {head: "X-A: a\x00b\r\n" + length, body: body, want: "400"},
		"two hosts":                 {head: "Host: evil.example\r\n" + length, body: body, want: "400"},
		"chunks by HTTP/1.0":        {head: chunked, body: chunks, edit: replace("HTTP/1.1", "HTTP/1.0"), want: "one"},
		"unknown transfer encoding": {head: "Transfer-Encoding: xchunked\r\n", body: chunks, want: "501"},
		"identity":                  {head: "Transfer-Encoding: identity\r\n", body: chunks, want: "501"},
		"quoted":                    {head: "Transfer-Encoding: \"chunked\"\r\n", body: chunks, want: "501"},
		"list of encodings":         {head: "Transfer-Encoding: gzip, chunked\r\n", body: chunks, want: "501"},
		"encoding twice":            {head: chunked + chunked, body: chunks, want: "501"},
		"encoding and identity":     {head: chunked + "Transfer-Encoding: identity\r\n", body: chunks, want: "501"},
		"bytes behind":              {head: length, body: body + "GET /x", want: "ok 400"},
		"preface of HTTP/2":         {head: length, body: body + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: "ok any"},
	}
}

// brokenChunks are bodies with the header of chunks. The server notices while ferry reads, so
// the answer is ferry's, and says that the body is wrong.
func brokenChunks(body string) map[string]string {
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	return map[string]string{
		"extension with LF":  strings.Replace(chunks, "\r\n", ";a\nb\r\n", 1),
		"line ends with LF":  strings.Replace(chunks, "\r\n", "\n", 1),
		"hexadecimal prefix": "0x" + chunks,
		"negative":           "-" + chunks,
		"too large":          "fffffffffffffffff\r\n" + body,
		"too short":          fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body)-1, body),
	}
}

// end is the last request of a connection: whatever was smuggled in front of it shows in the
// answers.
const end = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

func (l listener) request(head, body string) string {
	return l.line + " HTTP/1.1\r\nHost: x\r\n" + l.head + head + "\r\n" + body
}

// TestFraming: every listener reads one request where a request was sent, and refuses one that
// another program could read as two. After chunks, which may have come with a length as well,
// it closes the connection.
func TestFraming(t *testing.T) {
	s := start(t)
	for name, l := range s.listeners() {
		for how, c := range shapes(l.body) {
			t.Run(name+"/"+how, func(t *testing.T) {
				text := l.request(c.head, c.body)
				if c.edit != nil {
					text = c.edit(text)
				}
				s.public.received()
				got := l.answers(t, raw(t, l.url, text+end))
				if !fits(got, strings.Fields(c.want)) {
					t.Errorf("answered %q, want %s", got, c.want)
				}
				s.checkForwarded(t)
			})
		}
		for how, body := range brokenChunks(l.body) {
			t.Run(name+"/chunks: "+how, func(t *testing.T) {
				s.public.received()
				got := l.answers(t, raw(t, l.url, l.request("Transfer-Encoding: chunked\r\n", body)+end))
				if name != "admin" && !slices.Equal(got, []string{"400"}) || len(got) > 1 {
					t.Errorf("answered %q", got)
				}
				s.checkForwarded(t)
			})
		}
	}
	if n := s.passwords(); n > 1 {
		t.Errorf("%d passwords reached Auth0: all deliveries were the same", n)
	}
}

// fits compares answers; any stands for every answer or none, and one for any one answer.
func fits(got, want []string) bool {
	if want[0] == "one" {
		return len(got) == 1
	}
	if len(want) > 0 && want[len(want)-1] == "any" {
		return len(got) >= len(want)-1 && slices.Equal(got[:len(want)-1], want[:len(want)-1])
	}
	return slices.Equal(got, want)
}

// answers names the answers on a connection.
func (l listener) answers(t *testing.T, text string) (names []string) {
	t.Helper()
	br := bufio.NewReader(strings.NewReader(text))
	for {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v: %q", err, text)
			}
			return names
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%v: %q", err, text)
		}
		switch {
		case resp.StatusCode == http.StatusNotFound:
			names = append(names, "end")
		case l.isAnswer(resp.StatusCode, string(body)):
			names = append(names, "ok")
		default:
			names = append(names, fmt.Sprint(resp.StatusCode))
		}
	}
}

// checkForwarded: Kratos got requests that cannot be read in two ways, for itself and for no
// other host.
func (s *stack) checkForwarded(t *testing.T) {
	t.Helper()
	text := s.public.received()
	br := bufio.NewReader(strings.NewReader(text))
	for {
		if _, err := br.Peek(1); err != nil {
			return
		}
		req, err := http.ReadRequest(br)
		if err != nil {
			t.Errorf("%v: Kratos got %q", err, text)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: Kratos got %q", err, text)
		}
		if len(req.Header.Values("Content-Length")) > 1 || strings.Contains(string(body), "HTTP/1.1") || req.URL.IsAbs() ||
			!slices.Contains([]string{"/self-service/login", "/nothing", "/*", "/schemas", "/schemas/person"}, req.URL.Path) {
			t.Errorf("Kratos got %q", text)
		}
	}
}
