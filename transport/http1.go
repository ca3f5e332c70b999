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
	// closeWait is how long the other side has to close the connection after its
	// answer, as RFC 9112, 9.6 demands. Whatever comes until then is surplus.
	closeWait = 50 * time.Millisecond
	// earlyWait is how long a TLS record that arrived before the request has to turn
	// out to be no data.
	earlyWait = 5 * time.Millisecond
)

// single is a connection that carries one request.
type single struct {
	conn   net.Conn
	source *io.LimitedReader
	br     *bufio.Reader
	stop   func() bool // ends the watch over the context
	ended  func() error
}

// exchange sends a request on a connection that carries nothing else. The connection is
// closed when the answer has been read, when its body is closed, or when the request's
// context ends.
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
	sent.Close = true // asks for the connection's end after the answer
	go func() { _ = sent.Write(conn) }()
	resp, err := s.final(req)
	if err != nil {
		return nil, s.fail(err)
	}
	s.source.N = math.MaxInt64
	resp.Body = &singleBody{single: s, answer: resp.Body}
	return resp, nil
}

// final reads the header of the answer, past informational ones.
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

// socket is what a connection over TLS is made of: closing it waits for nothing.
func socket(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}

// early reports whether anything arrived before the request is sent.
func (s *single) early() bool {
	if _, isTLS := s.conn.(*tls.Conn); !isTLS {
		return readable(s.conn)
	}
	// TLS itself may have something to say, such as a session ticket.
	deadline := time.Unix(1, 0) // looks at what has been read already, and waits for nothing
	if readable(socket(s.conn)) {
		deadline = time.Now().Add(earlyWait)
	}
	_ = s.conn.SetReadDeadline(deadline)
	_, err := s.br.Peek(1)
	_ = s.conn.SetReadDeadline(time.Time{})
	return err == nil
}

// fail closes the connection. Its error is that of the context, if that ended.
func (s *single) fail(err error) error {
	s.stop()
	_ = s.conn.Close()
	if gone := s.ended(); gone != nil {
		return gone
	}
	return err
}

// surplus reads the connection to its end, or for closeWait, and reports whether
// anything came.
func (s *single) surplus() bool {
	_ = s.conn.SetReadDeadline(time.Now().Add(closeWait))
	_, err := s.br.Peek(1)
	return err == nil
}

// singleBody is the body of the one answer.
type singleBody struct {
	*single

	answer io.ReadCloser
	err    error // of every further Read
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

// Close closes the connection. What had not arrived never will.
func (b *singleBody) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	b.stop()
	return b.conn.Close()
}
