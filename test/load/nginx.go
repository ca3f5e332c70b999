package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ferry/test/process"
)

const (
	nginxProgram = "nginx"
	// Ports below the range from which the system takes the ports of outgoing connections:
	// a port stays free while the program at it is restarted.
	firstPort, lastPort = 20000, 32000
	portTries           = 20
)

// hasNginx reports whether nginx is installed.
func hasNginx() bool { return nginxPath() != "" }

// nginxPath is the program, which Debian keeps in a directory that users do not search.
func nginxPath() string {
	for _, name := range []string{nginxProgram, "/usr/sbin/" + nginxProgram} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// startNginx starts nginx as a proxy for the servers, with a connection for each call, which
// is its default. It is one process, so that its CPU time is that of one pid.
func startNginx(ctx context.Context, dir, name string, servers ...string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "nginx-"+name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	var upstreams strings.Builder
	for _, url := range servers {
		fmt.Fprintf(&upstreams, "server %s max_fails=1 fail_timeout=1s;\n", strings.TrimPrefix(url, "http://"))
	}
	var temporary strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off;
master_process off;
pid %s;
error_log stderr warn;
events { worker_connections 8192; }
http {
access_log off;
keepalive_requests 1000000;
%s
upstream ferry {
%s}
server {
listen %s backlog=2048;
location / { proxy_pass http://ferry; }
}
}
`, filepath.Join(dir, "pid"), temporary.String(), upstreams.String(), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	command := process.Command{Path: nginxPath(), Args: []string{"-e", "stderr", "-p", dir, "-c", config}}
	return startServer(ctx, nginxProgram, command, func(string) (url string, ok bool) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return "", false
		}
		_ = conn.Close()
		return "http://" + address, true
	})
}

// freeAddress returns an address on loopback at which nothing listens.
func freeAddress(ctx context.Context) (string, error) {
	var errs []error
	for range portTries {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			return address, listener.Close()
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}
