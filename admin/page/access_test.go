package page_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"ferry/test/pagetest"
)

// TestAccessThroughNginx: an nginx on this machine with proxy_pass alone passes on the requests of
// others with its own address as the host, and without a header that says so.
func TestAccessThroughNginx(t *testing.T) {
	t.Parallel()
	o := start(t, pagetest.Middle(), nil)
	host := o.Listener.Addr().String()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\nUser-Agent: Mozilla/5.0\r\n\r\n", host); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Error(resp.Status)
	}
}
