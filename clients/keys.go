package clients

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Key is a public key of an application, with the key id that the application names in its
// assertions, if any.
type Key struct {
	id  string
	key any // *rsa.PublicKey or *ecdsa.PublicKey
}

// ParseKeys reads public keys: PEM (public keys and certificates), a JSON Web Key, or a set of
// them. A private key is refused: it must stay with the application.
func ParseKeys(text []byte) ([]Key, error) {
	if block, _ := pem.Decode(text); block != nil {
		return parsePEM(text)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) == 0 {
		var one jose.JSONWebKey
		if one.UnmarshalJSON(text) != nil {
			return nil, errors.New("want public keys as PEM, as a JSON Web Key or as a set of them")
		}
		set.Keys = []jose.JSONWebKey{one}
	}
	var keys []Key
	for _, k := range set.Keys {
		key, err := publicKey(k.Key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, Key{k.KeyID, key})
	}
	return keys, nil
}

func parsePEM(text []byte) ([]Key, error) {
	var keys []Key
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		key, err := publicKey(parsed)
		if err != nil {
			return nil, err
		}
		keys = append(keys, Key{key: key})
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, fmt.Errorf("a PEM block is %q: want a public key or a certificate", block.Type)
}

func publicKey(key any) (any, error) {
	switch key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return key, nil
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return nil, errors.New("it is a private key: give the public one")
	}
	return nil, errors.New("want RSA or ECDSA public keys")
}

// keySet returns the keys as the client has them. Hydra finds a key by the id that an assertion
// names. A key without an id, as in PEM, gets that of the application's only credential.
func (b *builder) keySet(keys []Key) (any, error) {
	credentials := b.credentials()
	var set jose.JSONWebKeySet
	for _, k := range keys {
		id := k.id
		if id == "" && len(keys) == 1 && len(credentials) == 1 {
			id = credentials[0].KID
		}
		if id == "" && len(credentials) > 0 {
			return nil, errors.New("the application has several keys: give them as a JSON Web Key Set, with their key ids")
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key, KeyID: id, Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var plain map[string]any
	return plain, json.Unmarshal(text, &plain)
}
