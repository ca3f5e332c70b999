// Package recording keeps what Kratos asked of the hooks, so that a login that went
// wrong can be looked at and played again. A recording holds no password and no
// identifier in clear: hashes stand for them, and what can be had back is sealed for
// the owner of a private key.
package recording
