package auth0sim

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Algorithms of ID tokens.
const (
	algRS256 = "RS256"
	algPS256 = "PS256"
	algHS256 = "HS256"
)

// application is an App with its public keys read.
type application struct {
	App

	publicKeys []any
}

// putApp adds an application, with Auth0's defaults for empty fields.
func (d *directory) putApp(a App) error {
	if a.ClientID == "" {
		return errors.New("app: want a client id")
	}
	switch {
	case len(a.GrantTypes) > 0:
	case len(a.ManagementScopes) > 0:
		a.GrantTypes = []string{GrantClientCredentials}
	default:
		a.GrantTypes = []string{GrantPassword, GrantPasswordRealm}
	}
	if len(a.AuthMethods) == 0 {
		a.AuthMethods = []string{AuthPost}
	}
	if a.IDTokenAlg == "" {
		a.IDTokenAlg = algRS256
	}
	if err := a.check(); err != nil {
		return fmt.Errorf("app %q: %w", a.ClientID, err)
	}
	stored := &application{App: a}
	for i, text := range a.PublicKeys {
		key, err := parsePublicKey(text)
		if err != nil {
			return fmt.Errorf("app %q: public key %d: %w", a.ClientID, i, err)
		}
		stored.publicKeys = append(stored.publicKeys, key)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range a.Connections {
		if _, ok := d.connections[name]; !ok {
			return fmt.Errorf("app %q: no such connection: %q", a.ClientID, name)
		}
	}
	d.apps[a.ClientID] = stored
	return nil
}

// check refuses an application that could never get a token.
func (a App) check() error {
	for _, method := range a.AuthMethods {
		switch method {
		case AuthPost, AuthBasic:
			if a.ClientSecret == "" {
				return fmt.Errorf("%s: want a client secret", method)
			}
		case AuthPrivateKey:
			if len(a.PublicKeys) == 0 {
				return fmt.Errorf("%s: want a public key", method)
			}
		case AuthNone:
		default:
			return fmt.Errorf("auth method %q: unknown", method)
		}
	}
	switch a.IDTokenAlg {
	case algRS256, algPS256:
	case algHS256:
		if a.ClientSecret == "" {
			return fmt.Errorf("%s: want a client secret", algHS256)
		}
	default:
		return fmt.Errorf("id token algorithm %q: want RS256, PS256 or HS256", a.IDTokenAlg)
	}
	return nil
}

func parsePublicKey(text string) (any, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return key, nil
}

func (d *directory) app(clientID string) (*application, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, ok := d.apps[clientID]
	return a, ok
}

// allows reports whether the application may use the connection.
func (a *application) allows(c Connection) bool {
	return len(a.Connections) == 0 || slices.Contains(a.Connections, c.Name)
}

// AddApp adds an application, or replaces the one of that client id.
func (s *Server) AddApp(a App) error {
	if err := s.dir.putApp(a); err != nil {
		return fmt.Errorf("auth0sim: %w", err)
	}
	return nil
}
