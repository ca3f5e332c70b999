// Package recording records hook calls, so that a login that went wrong can be examined
// and replayed. A recording holds no password and no identifier in clear: it has keyed
// hashes instead, and credentials sealed for the owner of a private key.
package recording
