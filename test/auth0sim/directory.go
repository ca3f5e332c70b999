package auth0sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNotFound is the error for an unknown id.
var ErrNotFound = errors.New("not found")

// directory is the tenant's connections, applications, APIs and users.
type directory struct {
	now func() time.Time

	mu               sync.RWMutex
	defaultDirectory string
	connections      map[string]Connection
	apps             map[string]*application
	apis             map[string]API
	grants           []ClientGrant
	users            map[string]*account
	logins           map[loginKey]*credential
}

func newDirectory(now func() time.Time) *directory {
	d := &directory{now: now}
	d.clear()
	return d
}

// clear forgets everything.
func (d *directory) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.defaultDirectory = ""
	d.connections = map[string]Connection{}
	d.apps = map[string]*application{}
	d.apis = map[string]API{}
	d.grants = nil
	d.users = map[string]*account{}
	d.logins = map[loginKey]*credential{}
}

// load adds everything in t.
func (d *directory) load(t Tenant) error {
	for _, c := range t.Connections {
		if err := d.putConnection(c); err != nil {
			return err
		}
	}
	if err := d.setDefaultDirectory(t.DefaultDirectory); err != nil {
		return err
	}
	for _, a := range t.Apps {
		if err := d.putApp(a); err != nil {
			return err
		}
	}
	for _, a := range t.APIs {
		if err := d.putAPI(a); err != nil {
			return err
		}
	}
	for _, g := range t.ClientGrants {
		if err := d.putGrant(g); err != nil {
			return err
		}
	}
	for _, u := range t.Users {
		if _, err := d.addUser(u); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) setDefaultDirectory(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name != "" {
		if _, ok := d.connections[name]; !ok {
			return fmt.Errorf("default directory: no such connection: %q", name)
		}
	}
	d.defaultDirectory = name
	return nil
}

func (d *directory) putConnection(c Connection) error {
	if c.Name == "" {
		return errors.New("connection: want a name")
	}
	if c.Strategy == "" {
		c.Strategy = StrategyDatabase
	}
	if len(c.Realms) == 0 {
		c.Realms = []string{c.Name}
	}
	if c.WrongPassword != nil && (c.WrongPassword.Status < 400 || c.WrongPassword.Status > 599) {
		return fmt.Errorf("connection %q: wrong_password: status %d: want 400 to 599", c.Name, c.WrongPassword.Status)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.connections {
		if other.Name == c.Name {
			continue
		}
		for _, realm := range c.Realms {
			if slices.Contains(other.Realms, realm) {
				return fmt.Errorf("connection %q: realm %q belongs to %q", c.Name, realm, other.Name)
			}
		}
	}
	d.connections[c.Name] = c
	return nil
}

func (d *directory) putAPI(a API) error {
	if a.Identifier == "" {
		return errors.New("api: want an identifier")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apis[a.Identifier] = a
	return nil
}

func (d *directory) putGrant(g ClientGrant) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.apps[g.ClientID]; !ok {
		return fmt.Errorf("client grant: no such application: %q", g.ClientID)
	}
	if _, ok := d.apis[g.Audience]; !ok {
		return fmt.Errorf("client grant of %q: no such API: %q", g.ClientID, g.Audience)
	}
	d.grants = append(d.grants, g)
	return nil
}

// realm finds the connection that a realm name stands for; an empty name is
// the default directory.
func (d *directory) realm(name string) (Connection, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if name == "" {
		name = d.defaultDirectory
		c, ok := d.connections[name]
		return c, ok
	}
	for _, c := range d.connections {
		if slices.Contains(c.Realms, name) {
			return c, true
		}
	}
	return Connection{}, false
}

func (d *directory) api(identifier string) (API, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, ok := d.apis[identifier]
	return a, ok
}

// foldsCase reports whether the connection stores identifiers in lower case:
// Auth0's own databases do, all others keep the case.
func (c Connection) foldsCase() bool {
	return c.Strategy == StrategyDatabase && !c.Custom
}

// takesPasswords reports whether the connection supports password grants.
func (c Connection) takesPasswords() bool {
	switch c.Strategy {
	case StrategyDatabase, StrategyEmail, StrategySMS, StrategyAD, StrategyADFS, StrategyAzureAD:
		return true
	}
	return false
}

// wrongPassword is the row for wrong credentials in the connection.
func (c Connection) wrongPassword() AnswerName {
	switch c.Strategy {
	case StrategyEmail:
		return AnswerWrongEmailCode
	case StrategySMS:
		return AnswerWrongPhoneCode
	}
	return AnswerWrongPassword
}

// fold writes an identifier as the connection stores it.
func (c Connection) fold(identifier string) string {
	if c.foldsCase() {
		return strings.ToLower(identifier)
	}
	return identifier
}

// AddConnection adds a connection, or replaces the one of that name.
func (s *Server) AddConnection(c Connection) error {
	if err := s.dir.putConnection(c); err != nil {
		return fmt.Errorf("auth0sim: %w", err)
	}
	return nil
}
