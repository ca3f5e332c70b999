package auth0sim

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// maxPassword is the longest password that bcrypt, and so Auth0, can store.
const maxPassword = 72

// account is a user as stored: without passwords, with the logins it has.
type account struct {
	user   User
	logins []*credential
}

// credential is one way to log in: the user's own, or a linked identity's.
type credential struct {
	account  *account
	identity string // provider|id
	// hash returns the bcrypt hash; nil without a password. It is computed at the first
	// login, because most users never log in.
	hash func() []byte
	keys []loginKey
}

// loginKey identifies a credential: e-mail, username or phone, in a connection.
type loginKey struct {
	connection, identifier string
}

// addUser stores a new user and returns it as stored.
func (d *directory) addUser(u User) (User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u.ID == "" {
		id, err := newUserID()
		if err != nil {
			return User{}, err
		}
		u.ID = id
	}
	if _, ok := d.users[u.ID]; ok {
		return User{}, fmt.Errorf("user %q: exists already", u.ID)
	}
	if u.Connection == "" {
		u.Connection = d.defaultDirectory
	}
	now := d.now().UTC()
	if u.CreatedAt.IsZero() {
		u.CreatedAt = now
	}
	if u.UpdatedAt.IsZero() {
		u.UpdatedAt = now
	}
	return d.store(u, nil)
}

// changeUser applies change to a user; the old passwords stay unless change
// sets new ones.
func (d *directory) changeUser(id string, change func(*User)) (User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, ok := d.users[id]
	if !ok {
		return User{}, fmt.Errorf("user %q: %w", id, ErrNotFound)
	}
	u := old.user.clone()
	change(&u)
	if u.ID != id {
		return User{}, fmt.Errorf("user %q: the id cannot change", id)
	}
	u.UpdatedAt = d.now().UTC()
	if u.Password != "" || u.PasswordHash != "" {
		u.LastPasswordReset = u.UpdatedAt
	}
	return d.store(u, old)
}

// store replaces old by u. The caller holds the lock. Nothing changes on error.
func (d *directory) store(u User, old *account) (User, error) {
	acc, err := d.newAccount(u, old)
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", u.ID, err)
	}
	for _, login := range acc.logins {
		for _, key := range login.keys {
			if other, ok := d.logins[key]; ok && other.account != old {
				return User{}, fmt.Errorf("user %q: %q is taken in connection %q", u.ID, key.identifier, key.connection)
			}
		}
	}
	d.drop(old)
	d.users[u.ID] = acc
	for _, login := range acc.logins {
		for _, key := range login.keys {
			d.logins[key] = login
		}
	}
	return acc.user.clone(), nil
}

// drop forgets an account and its logins. The caller holds the lock.
func (d *directory) drop(acc *account) {
	if acc == nil {
		return
	}
	delete(d.users, acc.user.ID)
	for _, login := range acc.logins {
		for _, key := range login.keys {
			delete(d.logins, key)
		}
	}
}

// newAccount builds the stored form of u, with the hashes of old for logins without a new
// password.
func (d *directory) newAccount(u User, old *account) (*account, error) {
	own := Identity{
		UserID: u.ID, Connection: u.Connection, Email: u.Email, Username: u.Username, Phone: u.Phone,
		Password: u.Password, PasswordHash: u.PasswordHash,
	}
	if err := checkMethods(u.AuthenticationMethods); err != nil {
		return nil, err
	}
	acc := &account{}
	login, folded, err := d.newCredential(acc, own, old)
	if err != nil {
		return nil, err
	}
	u.Email, u.Username = folded.Email, folded.Username
	u.Password, u.PasswordHash = "", ""
	acc.logins = append(acc.logins, login)
	u.Identities = slices.Clone(u.Identities)
	for i, identity := range u.Identities {
		if identity.Provider == "" || identity.UserID == "" {
			return nil, errors.New("linked identity: want provider and user_id")
		}
		login, folded, err := d.newCredential(acc, identity, old)
		if err != nil {
			return nil, fmt.Errorf("linked identity %s: %w", identity.id(), err)
		}
		u.Identities[i] = folded
		acc.logins = append(acc.logins, login)
	}
	acc.user = u.clone()
	return acc, nil
}

// newCredential makes one login, and returns the identity as stored.
func (d *directory) newCredential(acc *account, identity Identity, old *account) (*credential, Identity, error) {
	connection, ok := d.connections[identity.Connection]
	switch {
	case ok:
	case identity.Provider != "" && identity.Password == "" && identity.PasswordHash == "":
		// A linked social account, whose connection is not needed.
		connection = Connection{Name: identity.Connection, Strategy: identity.Provider, Custom: true}
	default:
		return nil, Identity{}, fmt.Errorf("no such connection: %q", identity.Connection)
	}
	login := &credential{account: acc, identity: identity.id()}
	hash, err := hash(identity)
	if err != nil {
		return nil, Identity{}, err
	}
	login.hash = hash
	if hash == nil && old != nil {
		for _, before := range old.logins {
			if before.identity == login.identity {
				login.hash = before.hash
			}
		}
	}
	identity.Email = connection.fold(identity.Email)
	identity.Username = connection.fold(identity.Username)
	identity.Password, identity.PasswordHash = "", ""
	for _, identifier := range []string{identity.Email, identity.Username, identity.Phone} {
		if key := (loginKey{connection.Name, identifier}); identifier != "" && !slices.Contains(login.keys, key) {
			login.keys = append(login.keys, key)
		}
	}
	return login, identity, nil
}

// hash returns a function for the identity's bcrypt hash, or nil without a password.
func hash(identity Identity) (func() []byte, error) {
	if identity.PasswordHash != "" {
		hash := []byte(identity.PasswordHash)
		if _, err := bcrypt.Cost(hash); err != nil {
			return nil, fmt.Errorf("password hash: %w", err)
		}
		return func() []byte { return hash }, nil
	}
	if identity.Password == "" {
		return nil, nil
	}
	if len(identity.Password) > maxPassword {
		return nil, fmt.Errorf("password: longer than %d bytes", maxPassword)
	}
	password := []byte(identity.Password)
	return sync.OnceValue(func() []byte {
		hash, err := bcrypt.GenerateFromPassword(password, bcrypt.MinCost)
		if err != nil {
			return nil // only a longer password could cause it: it matches nothing
		}
		return hash
	}), nil
}

// find looks a login up in a connection.
func (d *directory) find(c Connection, identifier string) (*credential, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	login, ok := d.logins[loginKey{c.Name, c.fold(identifier)}]
	return login, ok
}

// matches compares a password with the login's hash. Like every bcrypt it
// looks at the first 72 bytes only.
func (c *credential) matches(password string) bool {
	return c.hash != nil && bcrypt.CompareHashAndPassword(c.hash(), []byte(password)) == nil
}

// id is the identity as a user id: provider|id; a primary one is whole already.
func (i Identity) id() string {
	if i.Provider == "" {
		return i.UserID
	}
	return i.Provider + "|" + i.UserID
}

func (u User) clone() User {
	u.AppMetadata = maps.Clone(u.AppMetadata)
	u.UserMetadata = maps.Clone(u.UserMetadata)
	u.CustomClaims = maps.Clone(u.CustomClaims)
	u.Multifactor = slices.Clone(u.Multifactor)
	u.AuthenticationMethods = slices.Clone(u.AuthenticationMethods)
	u.Identities = slices.Clone(u.Identities)
	if u.Deny != nil {
		deny := *u.Deny
		u.Deny = &deny
	}
	return u
}

func newUserID() (string, error) {
	raw := make([]byte, 12)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make user id: %w", err)
	}
	return "auth0|" + hex.EncodeToString(raw), nil
}

// AddUser adds a user and returns it as stored: with its id, identifiers folded
// as the connection folds them, and no password.
func (s *Server) AddUser(u User) (User, error) {
	stored, err := s.dir.addUser(u)
	if err != nil {
		return User{}, fmt.Errorf("auth0sim: add %w", err)
	}
	return stored, nil
}

// UpdateUser changes a user. Setting Password or PasswordHash changes the
// password, and as in Auth0 that lifts brute-force blocks.
func (s *Server) UpdateUser(id string, change func(*User)) (User, error) {
	newPassword := false
	stored, err := s.dir.changeUser(id, func(u *User) {
		change(u)
		newPassword = u.Password != "" || u.PasswordHash != ""
	})
	if err != nil {
		return User{}, fmt.Errorf("auth0sim: change %w", err)
	}
	if newPassword {
		s.unblock(stored)
	}
	return stored, nil
}

// SetPassword changes a user's password.
func (s *Server) SetPassword(id, password string) error {
	if password == "" {
		return fmt.Errorf("auth0sim: change user %q: empty password", id)
	}
	_, err := s.UpdateUser(id, func(u *User) { u.Password = password })
	return err
}

// DeleteUser removes a user; its access tokens stop working.
func (s *Server) DeleteUser(id string) error {
	s.dir.mu.Lock()
	defer s.dir.mu.Unlock()
	acc, ok := s.dir.users[id]
	if !ok {
		return fmt.Errorf("auth0sim: delete user %q: %w", id, ErrNotFound)
	}
	s.dir.drop(acc)
	return nil
}

// User returns a user as stored.
func (s *Server) User(id string) (User, bool) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	acc, ok := s.dir.users[id]
	if !ok {
		return User{}, false
	}
	return acc.user.clone(), true
}

// Users returns all users, by id.
func (s *Server) Users() []User {
	return s.dir.usersWhere(func(*account) bool { return true })
}

// usersWhere returns the users that match, by id.
func (d *directory) usersWhere(match func(*account) bool) []User {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var found []*account
	for _, acc := range d.users {
		if match(acc) {
			found = append(found, acc)
		}
	}
	slices.SortFunc(found, func(a, b *account) int { return strings.Compare(a.user.ID, b.user.ID) })
	users := make([]User, 0, len(found))
	for _, acc := range found {
		users = append(users, acc.user.clone())
	}
	return users
}

// UnblockUser lifts the brute-force blocks of a user, as DELETE
// /api/v2/user-blocks does.
func (s *Server) UnblockUser(id string) error {
	user, ok := s.User(id)
	if !ok {
		return fmt.Errorf("auth0sim: unblock user %q: %w", id, ErrNotFound)
	}
	s.unblock(user)
	return nil
}
