package process

import (
	"context"
	"fmt"
	"net"
)

// FreePorts returns n ports of 127.0.0.1 at which nothing listens, for programs that cannot
// choose one themselves. Another process may take one before the program does.
func FreePorts(ctx context.Context, n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("choose a port: %w", err)
		}
		defer func() { _ = listener.Close() }() // all stay open until all are chosen
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("choose a port: unexpected address %s", listener.Addr())
		}
		ports[i] = address.Port
	}
	return ports, nil
}
