package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestHealth: the exit status says whether ferry takes logins, with TLS for another name and
// at an address of all interfaces as well.
func TestHealth(t *testing.T) {
	var status atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health/ready" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(int(status.Load()))
	})
	plain, encrypted := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer encrypted.Close()
	cert, key := writeKeyPair(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(plain.URL, "http://"), ":")
	for name, c := range map[string]struct {
		listen string
		tls    bool
		answer int64
		want   int
	}{
		"ready":               {strings.TrimPrefix(plain.URL, "http://"), false, 200, exitOK},
		"all interfaces":      {"0.0.0.0:" + port, false, 200, exitOK},
		"no host":             {":" + port, false, 200, exitOK},
		"not ready":           {strings.TrimPrefix(plain.URL, "http://"), false, 503, exitFailed},
		"TLS":                 {strings.TrimPrefix(encrypted.URL, "https://"), true, 200, exitOK},
		"TLS, not ready":      {strings.TrimPrefix(encrypted.URL, "https://"), true, 503, exitFailed},
		"TLS, without":        {strings.TrimPrefix(encrypted.URL, "https://"), false, 200, exitFailed},
		"nothing listens":     {"127.0.0.1:1", false, 200, exitFailed},
		"not a valid address": {"4481", false, 200, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			status.Store(c.answer)
			t.Setenv("FERRY_ADMIN_LISTEN", c.listen)
			if c.tls {
				t.Setenv("FERRY_TLS_CERT_FILE", cert)
				t.Setenv("FERRY_TLS_KEY_FILE", key)
			}
			var stderr bytes.Buffer
			if got := run(t.Context(), []string{"health"}, io.Discard, &stderr); got != c.want {
				t.Errorf("exit status %d, want %d: %s", got, c.want, &stderr)
			}
		})
	}
}

// writeKeyPair writes a certificate for the name ferry.example, and its key.
func writeKeyPair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"ferry.example"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("tls.crt", "CERTIFICATE", cert), write("tls.key", "EC PRIVATE KEY", private)
}
