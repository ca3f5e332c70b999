package auth0sim

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	defaultHang     = 30 * time.Second
	defaultSlowByte = 10 * time.Millisecond
)

// delay waits as the request's faults require. It returns true, with the outcome to record,
// if no answer follows.
func (s *Server) delay(x *exchange) (response, bool) {
	if f, ok := x.fault(FaultLatency); ok && !s.pause(x.req, f.Delay, f.ended) {
		return response{outcome: string(FaultLatency)}, true
	}
	if f, ok := x.fault(FaultHang); ok {
		bound := f.Delay
		if bound == 0 {
			bound = defaultHang
		}
		s.pause(x.req, bound, nil)
		return response{outcome: string(FaultHang)}, true
	}
	if _, ok := x.fault(FaultResetBeforeRequest); ok {
		return response{outcome: string(FaultResetBeforeRequest)}, true
	}
	return response{}, false
}

// pause waits for the time, or until ended is closed, and returns false if the client
// left or the server closes.
func (s *Server) pause(r *http.Request, d time.Duration, ended <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ended:
		return true
	case <-r.Context().Done():
		return false
	case <-s.closing:
		return false
	}
}

// send writes the response, or breaks the connection as a fault requires. A response
// without a status resets the connection.
func (s *Server) send(w http.ResponseWriter, x *exchange, resp response) {
	if resp.status == 0 {
		reset(w)
		return
	}
	if _, ok := x.fault(FaultResetAfterRequest); ok {
		reset(w)
		return
	}
	if _, ok := x.fault(FaultCloseAfterRequest); ok {
		hangUp(w)
		return
	}
	for key, values := range resp.header {
		w.Header()[key] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // keeps net/http from guessing one
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)))
	w.WriteHeader(resp.status)
	if _, ok := x.fault(FaultResetInBody); ok {
		s.sendHalf(w, resp.body)
		return
	}
	if f, ok := x.fault(FaultSlowBytes); ok {
		s.sendSlowly(w, x.req, resp.body, f.Delay)
		return
	}
	s.write(w, resp.body)
}

// sendHalf writes half of the announced length, and resets the connection.
func (s *Server) sendHalf(w http.ResponseWriter, body []byte) {
	if s.write(w, body[:len(body)/2]) && http.NewResponseController(w).Flush() == nil {
		reset(w)
	}
}

// sendSlowly writes one byte at a time.
func (s *Server) sendSlowly(w http.ResponseWriter, r *http.Request, body []byte, gap time.Duration) {
	if gap == 0 {
		gap = defaultSlowByte
	}
	controller := http.NewResponseController(w)
	for i := range body {
		if !s.write(w, body[i:i+1]) || controller.Flush() != nil || !s.pause(r, gap, nil) {
			return
		}
	}
}

// write returns false if the client has disconnected.
func (s *Server) write(w http.ResponseWriter, b []byte) bool {
	if _, err := w.Write(b); err != nil {
		s.log.Info("client left", "error", err.Error())
		return false
	}
	return true
}

// reset ends the connection with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, ok := hijack(w)
	if !ok {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Without lingering, closing sends RST; failing that, it sends FIN.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hangUp closes the connection in order, without a byte.
func hangUp(w http.ResponseWriter) {
	if conn, ok := hijack(w); ok {
		_ = conn.Close()
	}
}

// hijack takes over the connection. If that is impossible (a recorder), it answers 500.
func hijack(w http.ResponseWriter) (net.Conn, bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this connection cannot be broken", http.StatusInternalServerError)
		return nil, false
	}
	return conn, true
}
