package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// The routes, as lines name them, and where they are at ferry.
const (
	RouteMigration  = "password-migration"
	RouteAfterLogin = "after-login"
	hooksPath       = "/hooks/"
)

// Call is a call of a hook that can be made again: a line of a recording, or a body
// of Kratos' that somebody kept.
type Call struct {
	// At is where it stands: the file, and its number in it.
	At string
	// Line is the recorded call. Of a body alone only Route, Headers and Body are
	// known, and Body holds what the person typed: it must not be shown.
	Line Line
}

// Recorded reports whether it is known what came of the call.
func (c Call) Recorded() bool { return c.Line.Version != 0 }

var (
	errNotCall   = errors.New("neither a line of a recording nor a body of Kratos'")
	errVersion   = errors.New("a line of a recording in a form that this ferry does not know")
	errRoute     = errors.New("a recorded call of a hook that ferry does not have")
	errNotJSON   = errors.New("not JSON, or cut off")
	errValueSize = errors.New("more than 16 MiB in one piece")
)

// ParseCalls reads the calls in one JSON value: a line of a recording; a body of
// Kratos'; one with other things around it, such as method, url and header, as a test
// server or a log keeps it; either as text, with its quotes escaped; or a list of such.
// The error quotes nothing of the value.
func ParseCalls(value []byte) ([]Call, error) {
	value = bytes.TrimSpace(bytes.TrimPrefix(value, []byte("\ufeff")))
	var text string
	if json.Unmarshal(value, &text) == nil && json.Valid([]byte(text)) {
		value = bytes.TrimSpace([]byte(text))
	}
	if !json.Valid(value) {
		return nil, errNotJSON
	}
	if value[0] != '[' {
		call, err := parseCall(value)
		if err != nil {
			return nil, err
		}
		return []Call{call}, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, errNotJSON
	}
	calls := make([]Call, 0, len(items))
	for _, item := range items {
		call, err := parseCall(item)
		if err != nil {
			return nil, err
		}
		calls = append(calls, call)
	}
	if len(calls) == 0 {
		return nil, errNotCall
	}
	return calls, nil
}

// parseCall reads one object; what tells the kinds apart are its keys.
func parseCall(value []byte) (Call, error) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(value, &keys) != nil {
		return Call{}, errNotCall
	}
	switch {
	case keys["v"] != nil && keys["route"] != nil:
		return parseLine(value)
	case keys["body"] != nil && keys["identifier"] == nil && keys["identity"] == nil:
		return parseRequest(keys)
	}
	return parseBody(value, keys, "")
}

func parseLine(value []byte) (Call, error) {
	var version struct {
		V int `json:"v"`
	}
	if json.Unmarshal(value, &version) != nil {
		return Call{}, errNotCall
	}
	if version.V != Version {
		return Call{}, errVersion
	}
	var line Line
	if json.Unmarshal(value, &line) != nil || line.Outcome == "" || line.Status == 0 {
		return Call{}, errNotCall
	}
	if line.Route != RouteMigration && line.Route != RouteAfterLogin {
		return Call{}, errRoute
	}
	return Call{Line: line}, nil
}

// parseRequest reads a request that was kept whole; its body may be text.
func parseRequest(keys map[string]json.RawMessage) (Call, error) {
	body, url, header := []byte(keys["body"]), "", map[string][]string{}
	var text string
	if json.Unmarshal(body, &text) == nil {
		body = []byte(text)
	}
	if keys["url"] != nil && json.Unmarshal(keys["url"], &url) != nil {
		return Call{}, errNotCall
	}
	if keys["header"] != nil && json.Unmarshal(keys["header"], &header) != nil {
		return Call{}, errNotCall
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return Call{}, errNotCall
	}
	call, err := parseBody(body, fields, url)
	if err != nil {
		return Call{}, err
	}
	for name, values := range header {
		if len(values) == 1 && replayedHeader(name) {
			call.Line.Headers[name] = values[0]
		}
	}
	return call, nil
}

// parseBody tells which hook a body is for. A body for the migration hook has both
// of what the person typed; one for the other hook names an identity or a flow.
func parseBody(body []byte, keys map[string]json.RawMessage, url string) (Call, error) {
	line := Line{Headers: map[string]string{"Content-Type": "application/json"}, Body: bytes.Clone(body)}
	switch {
	case keys["identifier"] != nil && keys["password"] != nil:
		line.Route = RouteMigration
	case strings.HasSuffix(url, "/"+RouteAfterLogin), keys["identity"] != nil && keys["flow"] != nil:
		line.Route = RouteAfterLogin
	default:
		return Call{}, errNotCall
	}
	return Call{Line: line}, nil
}
