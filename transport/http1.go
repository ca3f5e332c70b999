package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"
)

const (
	maxHeaderBytes   = 1 << 20
	maxInformational = 5
	readBufferBytes  = 4 << 10
	writeBufferBytes = 1 << 10
	// closeWait is how long the server has to close the connection after its answer, as
	// RFC 9112, 9.6 requires. Any byte that arrives until then is surplus.
	closeWait = 50 * time.Millisecond
	// earlyWait bounds the check whether a TLS record that arrived before the request
	// contains data.
	earlyWait = 5 * time.Millisecond
)

// single is a connection for one request.
type single struct {
	conn   net.Conn
	source *io.LimitedReader
	br     *bufio.Reader
	stop   func() bool // ends watching the context
	ended  func() error
}

// exchange sends a request on a connection of its own, which is closed when the answer has
// been read, when its body is closed, or when the request's context ends.
func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	s := &single{conn: conn, source: &io.LimitedReader{R: conn, N: maxHeaderBytes}, ended: ctx.Err}
	s.br = bufio.NewReaderSize(s.source, readBufferBytes)
	s.stop = context.AfterFunc(ctx, func() { _ = socket(conn).Close() })
	if s.early() {
		closeBody(req)
		return nil, s.fail(ErrSurplus)
	}
	sent := new(http.Request)
	*sent = *req
	sent.Close = true // requests that the server close the connection after the answer
	if req.Body == nil || req.Body == http.NoBody {
		_ = write(conn, sent) // a header fits into the buffers of the connection
	} else {
		go func() { _ = write(conn, sent) }() // the answer may come before the end of the body
	}
	resp, err := s.final(req)
	if err != nil {
		return nil, s.fail(err)
	}
	s.source.N = math.MaxInt64
	resp.Body = &singleBody{single: s, answer: resp.Body}
	return resp, nil
}

// write sends the request. An error shows in the answer, which is missing then.
func write(conn net.Conn, req *http.Request) error {
	w := bufio.NewWriterSize(conn, writeBufferBytes)
	if err := req.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// final reads the header of the answer, skipping informational answers.
func (s *single) final(req *http.Request) (*http.Response, error) {
	for range maxInformational + 1 {
		resp, err := http.ReadResponse(s.br, req)
		switch {
		case err != nil && s.source.N <= 0:
			return nil, errHeaderTooLarge
		case err != nil:
			return nil, fmt.Errorf("read answer: %w", err)
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, ErrSwitched
		case resp.StatusCode >= http.StatusOK:
			return resp, nil
		}
	}
	return nil, errManyInformational
}

// socket returns the connection below TLS, which closes without waiting.
func socket(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}

// early reports whether data arrived before the request was sent.
func (s *single) early() bool {
	if _, isTLS := s.conn.(*tls.Conn); !isTLS {
		return readable(s.conn)
	}
	// TLS itself may have sent a record, such as a session ticket.
	deadline := time.Unix(1, 0) // in the past: only data already read counts
	if readable(socket(s.conn)) {
		deadline = time.Now().Add(earlyWait)
	}
	_ = s.conn.SetReadDeadline(deadline)
	_, err := s.br.Peek(1)
	_ = s.conn.SetReadDeadline(time.Time{})
	return err == nil
}

// fail closes the connection. It returns the error of the context if that ended, else err.
func (s *single) fail(err error) error {
	s.stop()
	_ = s.conn.Close()
	if gone := s.ended(); gone != nil {
		return gone
	}
	return err
}

// surplus reads the connection to its end, for at most closeWait, and reports whether any
// data arrived.
func (s *single) surplus() bool {
	_ = s.conn.SetReadDeadline(time.Now().Add(closeWait))
	_, err := s.br.Peek(1)
	return err == nil
}

// singleBody is the body of the one answer.
type singleBody struct {
	*single

	answer io.ReadCloser
	err    error // returned by every further Read
}

// Read implements io.Reader.
func (b *singleBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.answer.Read(p)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		b.err = b.fail(err)
	case b.surplus():
		b.err = ErrSurplus
		_ = b.Close()
	default:
		b.err = io.EOF
		_ = b.Close()
	}
	return n, b.err
}

// Close closes the connection. It ends an unfinished answer.
func (b *singleBody) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	b.stop()
	return b.conn.Close()
}
