//go:build !unix

package transport

import "net"

// readable is not known here: what arrives before the request is found as surplus only.
func readable(net.Conn) bool { return false }
