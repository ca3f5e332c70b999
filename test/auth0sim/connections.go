package auth0sim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// usersByEmail is GET /api/v2/users-by-email: all connections, at once, and with
// regard to case.
func (s *Server) usersByEmail(x *exchange) response {
	values := x.req.URL.Query()
	email := values.Get("email")
	if len(values) != 1 || len(values["email"]) != 1 || email == "" {
		return s.refuse(AnswerManagementBadQuery, "reason", "expected email, and nothing else")
	}
	return managementResponse(apiUsers(s.dir.usersWhere(func(acc *account) bool { return acc.user.Email == email })))
}

var (
	connectionIDs = regexp.MustCompile(`^con_[A-Za-z0-9]{16}$`)
	jobIDs        = regexp.MustCompile(`^job_[A-Za-z0-9]{16}$`)
)

const (
	idLength = 16
	base62   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// ConnectionID is the id of the connection of a name: always the same.
func ConnectionID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "con_" + inBase62(sum[:])
}

// inBase62 writes random bytes as Auth0 writes ids.
func inBase62(random []byte) string {
	number, base := new(big.Int).SetBytes(random), big.NewInt(int64(len(base62)))
	var id strings.Builder
	digit := new(big.Int)
	for range idLength {
		number.DivMod(number, base, digit)
		id.WriteByte(base62[digit.Int64()])
	}
	return id.String()
}

// listConnections is GET /api/v2/connections, by name.
func (s *Server) listConnections(x *exchange) response {
	query, err := readQuery(x.req.URL.RawQuery, "name", paramFields, paramIncludeFields)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	shown := []map[string]any{}
	for _, c := range s.dir.connectionList() {
		if query.Has("name") && c.Name != query.Get("name") {
			continue
		}
		fields, err := onlyFields(query, apiConnection(c))
		if err != nil {
			return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
		}
		shown = append(shown, fields)
	}
	return managementResponse(shown)
}

// connectionList is every connection, by name.
func (d *directory) connectionList() []Connection {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var list []Connection
	for _, name := range slices.Sorted(maps.Keys(d.connections)) {
		list = append(list, d.connections[name])
	}
	return list
}

func (d *directory) connectionByID(id string) (Connection, bool) {
	for _, c := range d.connectionList() {
		if ConnectionID(c.Name) == id {
			return c, true
		}
	}
	return Connection{}, false
}

// apiConnection is a connection as the Management API shows it.
func apiConnection(c Connection) map[string]any {
	return map[string]any{
		"id": ConnectionID(c.Name), "name": c.Name, "strategy": c.Strategy, "realms": c.Realms,
		"is_domain_connection": false, "options": map[string]any{},
	}
}

const (
	maxTake     = 1000
	defaultTake = 50
)

// connectionClients is GET /api/v2/connections/{id}/clients: the applications that it is
// enabled for, in pages that each name the next.
func (s *Server) connectionClients(x *exchange) response {
	id := x.req.PathValue("id")
	if !connectionIDs.MatchString(id) {
		return s.refuse(AnswerManagementBadPath, "reason", "id: expected "+connectionIDs.String())
	}
	connection, ok := s.dir.connectionByID(id)
	if !ok {
		return s.refuse(AnswerManagementNoConnection)
	}
	take, from, err := readTake(x.req.URL.RawQuery)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	enabled := slices.DeleteFunc(s.dir.enabledFor(connection), func(client string) bool { return client < from })
	answer := map[string]any{}
	if len(enabled) > take {
		answer["next"] = enabled[take]
		enabled = enabled[:take]
	}
	clients := []map[string]any{}
	for _, client := range enabled {
		clients = append(clients, map[string]any{"client_id": client})
	}
	answer["clients"] = clients
	return managementResponse(answer)
}

// readQuery reads a query string of known parameters, each at most once.
func readQuery(raw string, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("unreadable")
	}
	for name, all := range values {
		if !slices.Contains(known, name) || len(all) > 1 {
			return nil, fmt.Errorf("additional or repeated property: %s", name)
		}
	}
	return values, nil
}

// readTake reads the query of a list that is paged by checkpoints.
func readTake(raw string) (take int, from string, err error) {
	values, err := readQuery(raw, "take", "from")
	if err != nil {
		return 0, "", err
	}
	take = defaultTake
	if values.Has("take") {
		if take, err = strconv.Atoi(values.Get("take")); err != nil || take < 1 || take > maxTake {
			return 0, "", errors.New("take: expected an integer from 1 to 1000")
		}
	}
	return take, values.Get("from"), nil
}

// enabledFor are the applications that a connection is enabled for, by their ids.
func (d *directory) enabledFor(c Connection) []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var clients []string
	for _, id := range slices.Sorted(maps.Keys(d.apps)) {
		if !c.Disabled && d.apps[id].allows(c) {
			clients = append(clients, id)
		}
	}
	return clients
}
