package main

import (
	"errors"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/doctor"
)

// readRelyingParties reads the domains of passkeys and security keys from kratos.yml, if it is
// given.
func (f *importFlags) readRelyingParties(opts *importer.Options) error {
	if f.kratosConfig == "" {
		return nil
	}
	text, err := readFile(f.kratosConfig)
	if err != nil {
		return err
	}
	var domains plan.RelyingParties
	if domains.Passkey, domains.WebAuthn, err = doctor.RelyingParties(text); err != nil {
		return err
	}
	if domains == (plan.RelyingParties{}) {
		return errors.New("the file of --kratos-config has neither selfservice.methods.passkey.config.rp.id nor that of webauthn; if Kratos' environment sets them, name the domain with --rp-id")
	}
	opts.RelyingParties = domains
	return nil
}
