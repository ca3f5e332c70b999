// Package faultyhttp is an HTTP/1.1 server that breaks the protocol where a test wants
// it to: it sends answers twice, loses them, switches protocols, or never ends.
package faultyhttp

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Fault is how one answer breaks the protocol.
type Fault int

// The faults. None is a correct answer.
const (
	None Fault = iota
	// Twice sends the answer two times at once.
	Twice
	// TwiceLater sends it again a millisecond later.
	TwiceLater
	// Lost closes the connection instead of answering. The request was processed.
	Lost
	// Switch answers 101 Switching Protocols, and leaves the connection open.
	Switch
	// EndlessBody sends the answer with a body that never ends.
	EndlessBody
	// EndlessHeader sends a header that never ends.
	EndlessHeader
	// EndlessInformational sends 103 Early Hints without end.
	EndlessInformational
)

// later is the delay between the two answers of TwiceLater, and between the parts of
// endless answers.
const later = time.Millisecond

// Server is a listening server. Without a fault it keeps connections open, and closes
// them if the client asks for that.
type Server struct {
	// URL is where it listens, http://127.0.0.1:PORT.
	URL string

	handler http.Handler
	fault   func(*http.Request) Fault
	done    chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Run starts a Server, which stops with the test. The handler answers every request,
// and fault returns what is wrong with that answer. fault is called before the handler
// and from several goroutines.
func Run(tb testing.TB, handler http.Handler, fault func(*http.Request) Fault) *Server {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{
		URL: "http://" + listener.Addr().String(), handler: handler, fault: fault,
		done: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		close(s.done)
		_ = listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

// track remembers a connection, so that Cleanup can close it.
func (s *Server) track(conn net.Conn) (forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = struct{}{}
	select {
	case <-s.done:
		_ = conn.Close()
	default:
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
		_ = conn.Close()
	}
}

func (s *Server) serve(conn net.Conn) {
	defer s.track(conn)()
	br := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		fault := s.fault(req)
		answer := s.answer(req)
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if !s.send(conn, fault, answer) || req.Close {
			return
		}
	}
}

// answer returns the handler's answer as it goes over the wire.
func (s *Server) answer(req *http.Request) []byte {
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, req)
	resp := recorder.Result()
	resp.ContentLength = int64(recorder.Body.Len())
	var wire bytes.Buffer
	_ = resp.Write(&wire) // a Buffer takes everything
	return wire.Bytes()
}

// send reports whether the connection stays usable.
func (s *Server) send(conn net.Conn, fault Fault, answer []byte) bool {
	switch fault {
	case Twice:
		return write(conn, answer, answer)
	case TwiceLater:
		return write(conn, answer) && s.pause() && write(conn, answer)
	case Lost:
		return false
	case Switch:
		return write(conn, []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ferry\r\n\r\n")) && s.hold(conn)
	case EndlessBody:
		return write(conn, []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")) && s.endless(conn, " ")
	case EndlessHeader:
		return write(conn, []byte("HTTP/1.1 200 OK\r\nX-Long: ")) && s.endless(conn, "x")
	case EndlessInformational:
		return s.endless(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
	case None:
	}
	return write(conn, answer)
}

func write(conn net.Conn, parts ...[]byte) bool {
	_, err := conn.Write(bytes.Join(parts, nil))
	return err == nil
}

// hold waits until the client has disconnected.
func (s *Server) hold(conn net.Conn) bool {
	_, _ = io.Copy(io.Discard, conn)
	return false
}

// endless repeats a text until the client has disconnected.
func (s *Server) endless(conn net.Conn, text string) bool {
	for s.pause() {
		if !write(conn, []byte(text)) {
			break
		}
	}
	return false
}

// pause reports whether the server is still running.
func (s *Server) pause() bool {
	select {
	case <-time.After(later):
		return true
	case <-s.done:
		return false
	}
}
