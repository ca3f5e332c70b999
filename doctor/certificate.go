package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"
)

// isTLSFault reports whether the server's certificate is not trusted, or it has no TLS.
func isTLSFault(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// certificateFault returns why a TLS connection to the address in a setting failed, and
// what to change. trust is the fix for an unknown certificate authority.
func certificateFault(address, setting string, err error, now time.Time, trust string) (detail, fix string) {
	var (
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return address + " does not use TLS", "check whether http and https are swapped in " + setting
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return "the certificate of " + address + " is not valid before " + invalid.Cert.NotBefore.Format(time.DateOnly),
			"set this machine's clock: run NTP or chrony; if it is right, install a certificate that is valid now"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate of " + address + " expired on " + invalid.Cert.NotAfter.Format(time.DateOnly),
			"renew the certificate; or set this machine's clock, if that is ahead: run NTP or chrony"
	case errors.As(err, &host):
		return "the certificate of " + address + " is for another name",
			"correct the host in " + setting + ", or install a certificate for this name"
	}
	return "the certificate of " + address + " is not trusted here", trust
}
