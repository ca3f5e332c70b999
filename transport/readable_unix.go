//go:build unix

package transport

import (
	"net"
	"syscall"
)

// readable reports whether something can be read from a connection at once. It takes
// nothing of it. Of a connection that is no socket it knows nothing, and says no.
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
		return true // whatever came of it: do not wait
	})
	return err == nil && n > 0
}
