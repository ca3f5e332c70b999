package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/test/process"
)

const (
	benchLogins  = 50 // of each kind and worker
	benchWorkers = 2
)

// BenchmarkGateway measures what the gateway adds to a login of a user whom Kratos has: the
// same login through the gateway and through nginx, in turns, with 2 users at a time, each
// with connections of their own. It reports the medians and their ratio, with bcrypt at the
// cost of kratos.yml.example, and at the lowest, where little but the proxies' share is left.
// Kratos runs on SQLite, and everything on one machine. It leaves out TLS.
func BenchmarkGateway(b *testing.B) {
	for name, cost := range map[string]int{"bcrypt-12": 12, "bcrypt-4": 4} {
		b.Run(name, func(b *testing.B) { benchmarkGateway(b, cost) })
	}
}

func benchmarkGateway(b *testing.B, cost int) {
	b.Helper()
	limits := auth0sim.RelaxedSettings()
	sim := auth0sim.Run(b, auth0sim.Config{Settings: &limits, Tenant: auth0sim.DemoTenant()})
	kratos := kratostest.Run(b, kratostest.Options{Edit: func(config map[string]any) {
		config["hashers"] = map[string]any{"algorithm": "bcrypt", "bcrypt": map[string]any{"cost": cost}}
	}})
	for worker := range benchWorkers {
		if _, err := kratos.CreateIdentity(b.Context(), kratostest.IdentitySpec{
			Traits: map[string]any{"email": benchUser(worker)}, Password: benchPassword,
		}); err != nil {
			b.Fatal(err)
		}
	}
	through := [2]string{startNginx(b, kratos.PublicURL()), benchGateway(b, sim, kratos)}
	var mu sync.Mutex
	var took [2][]time.Duration
	for b.Loop() {
		var workers sync.WaitGroup
		for worker := range benchWorkers {
			workers.Go(func() {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				for i := range 2 * benchLogins {
					which := (i + i/2) % 2 // 0 1 1 0: alternate which is first
					spent, err := loginOnce(b, client, through[which], benchUser(worker))
					if err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					took[which] = append(took[which], spent)
					mu.Unlock()
				}
			})
		}
		workers.Wait()
	}
	nginx, gateway := middle(took[0]), middle(took[1])
	b.ReportMetric(float64(nginx.Microseconds()), "nginx-p50-µs")
	b.ReportMetric(float64(gateway.Microseconds()), "gateway-p50-µs")
	b.ReportMetric(float64(gateway)/float64(nginx), "gateway/nginx")
}

const benchPassword = "canary-Passw0rd-of-Kratos"

func benchUser(worker int) string { return fmt.Sprintf("bench%d@example.org", worker) }

func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// loginOnce begins a login and submits it, as an app does, and returns how long that took.
func loginOnce(b *testing.B, client *http.Client, base, user string) (time.Duration, error) {
	b.Helper()
	began := time.Now()
	var flow struct {
		ID string `json:"id"`
	}
	if err := call(b, client, http.MethodGet, base+"/self-service/login/api", nil, &flow); err != nil {
		return 0, err
	}
	body, err := json.Marshal(map[string]string{"method": "password", "identifier": user, "password": benchPassword})
	if err != nil {
		return 0, err
	}
	var session struct {
		Token string `json:"session_token"`
	}
	err = call(b, client, http.MethodPost, base+"/self-service/login?flow="+flow.ID, body, &session)
	if err == nil && session.Token == "" {
		err = fmt.Errorf("no session through %s", base)
	}
	return time.Since(began), err
}

func call(b *testing.B, client *http.Client, method, address string, body []byte, into any) error {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s, %w", method, address, resp.Status, text, err)
	}
	return json.Unmarshal(text, into)
}

// startNginx starts nginx as a proxy and returns its URL.
func startNginx(b *testing.B, to string) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr; worker_processes auto;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream kratos { server %[2]s; keepalive 16; }
  server { listen %[3]s; location / { proxy_pass http://kratos; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; } }
}
`, dir, to[len("http://"):], address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	nginx, err := process.Command{Path: "nginx", Args: []string{"-e", "stderr", "-p", dir, "-c", config}, Output: &process.Log{}}.Start(b.Context())
	if err != nil {
		b.Fatal("this benchmark needs nginx, the Debian package nginx-light: ", err)
	}
	b.Cleanup(func() {
		if err := nginx.Stop(5 * time.Second); err != nil {
			b.Error(err)
		}
	})
	if !await.True(func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}) {
		b.Fatal("nginx does not listen")
	}
	return "http://" + address
}

// benchGateway starts a ferry with a gateway and returns the gateway's URL.
func benchGateway(b *testing.B, sim *auth0sim.Server, kratos *kratostest.Kratos) string {
	b.Helper()
	return startBenchFerry(b, sim, kratos, "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_KRATOS_PUBLIC_URL="+kratos.PublicURL()).GatewayURL()
}
