package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
)

// TestTLS: both listeners serve TLS when a certificate and its key are set.
func TestTLS(t *testing.T) {
	certFile, keyFile, roots := certificate(t)
	ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_TLS_CERT_FILE=" + certFile, "FERRY_TLS_KEY_FILE=" + keyFile,
		"FERRY_HOOK_KEYS=" + hookKey, "FERRY_AUTH0_DOMAIN=tenant.example", "FERRY_AUTH0_BASE_URL=http://127.0.0.1:9",
		"FERRY_AUTH0_CLIENT_ID=c", "FERRY_AUTH0_CLIENT_SECRET=s", "FERRY_KRATOS_ADMIN_URL=http://127.0.0.1:9",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ferry.Stop(); err != nil {
			t.Error(err)
		}
	}()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport}
	for url, want := range map[string]int{ferry.HooksURL() + "/hooks/password-migration": http.StatusUnauthorized, ferry.AdminURL() + "/health/ready": http.StatusOK} {
		method := http.MethodGet
		if strings.Contains(url, "/hooks/") {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if !strings.HasPrefix(url, "https://") || resp.StatusCode != want {
			t.Errorf("%s: %s", url, resp.Status)
		}
	}
}

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for file, text := range map[string][]byte{certFile: cert, keyFile: private} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return certFile, keyFile, roots
}
