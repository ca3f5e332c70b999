//go:build unix

package transport

import (
	"net"
	"syscall"
)

// readable reports whether data can be read from a connection without waiting. It consumes
// nothing. For a connection that is not a socket it returns false.
func readable(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	var one [1]byte
	err = raw.Read(func(fd uintptr) bool {
		n, _, _ = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
		return true // do not wait, even after an error
	})
	return err == nil && n > 0
}
