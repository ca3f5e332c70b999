package doctor_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/doctor"
	"ferry/kratos"
	"ferry/upstream"
)

// certified serves by a certificate that was valid for a time, and makes a transport
// that trusts its issuer.
func certified(t *testing.T, from, until time.Time, ip string) (address string, transport *http.Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	signer, err := x509.ParseCertificate(srv.TLS.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key := srv.TLS.Certificates[0].PrivateKey
	text, err := x509.CreateCertificate(nil, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ferry"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.ParseIP(ip)},
	}, signer, signer.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS.Certificates[0] = tls.Certificate{Certificate: [][]byte{text}, PrivateKey: key}
	trusted := x509.NewCertPool()
	trusted.AddCert(signer)
	return srv.URL, &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
}

// TestCertificates: what is wrong with a certificate is told apart, wherever it is,
// because each is fixed in another way.
func TestCertificates(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		from, until time.Time
		ip          string
		distrust    bool
		detail, fix string
	}{
		"expired":       {now.Add(-2 * day), now.Add(-day), "127.0.0.1", false, "expired on " + now.Add(-day).UTC().Format(time.DateOnly), "renew"},
		"not yet valid": {now.Add(day), now.Add(2 * day), "127.0.0.1", false, "is not valid before", "clock"},
		"another name":  {now.Add(-day), now.Add(day), "192.0.2.1", false, "is for another name", "correct the host in "},
		"not trusted":   {now.Add(-day), now.Add(day), "127.0.0.1", true, "is not trusted here", "certificate authority"},
	} {
		t.Run(name, func(t *testing.T) {
			address, transport := certified(t, c.from, c.until, c.ip)
			if c.distrust {
				transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			}
			checkTLS(t, address, transport, c.detail, c.fix)
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		checkTLS(t, strings.Replace(srv.URL, "http:", "https:", 1), &http.Transport{DisableKeepAlives: true}, "does not use TLS", "swapped")
	})
}

func checkTLS(t *testing.T, address string, transport *http.Transport, detail, fix string) {
	t.Helper()
	tenant, err := upstream.NewTenant(address, transport)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kratos.New(kratos.Options{AdminURL: address, Timeout: time.Minute, Transport: transport, RetryPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	report := doctor.Examine(t.Context(), doctor.Options{
		Settings: doctor.Settings{BaseURL: address}, Tenant: tenant, Kratos: admin, Hooks: transport, Now: time.Now, ID: uuid.NewString,
		KratosConfig: []byte("selfservice: {methods: {password: {config: {migrate_hook: {config: {url: " + address + "/hooks/password-migration}}}}}}"),
	})
	for _, check := range report.Checks {
		switch check.Name {
		case "auth0.tls", "kratos.admin", "hook.round_trip":
			if check.Status != doctor.Fail || !strings.Contains(check.Detail, detail) || !strings.Contains(check.Fix, fix) {
				t.Errorf("%+v", check)
			}
		}
	}
}
