package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"ferry/wire"
)

// ReplayCall is a hook call that can be sent again: a record, or a body that Kratos sent
// to another server.
type ReplayCall struct {
	// At is its position: the file, and the line in it.
	At string
	// Record is the recorded call. For a body alone it has only Route, Headers and Body,
	// and Body holds what the user typed: it must not be shown.
	Record Record
}

// Recorded reports whether the outcome of the call is known.
func (c ReplayCall) Recorded() bool { return c.Record.Version != 0 }

var (
	errNotCall   = errors.New("neither a record nor a request body from Kratos")
	errVersion   = errors.New("a record in a format that this version of ferry does not know")
	errRoute     = errors.New("a record of an unknown hook")
	errNotJSON   = errors.New("invalid or truncated JSON")
	errValueSize = errors.New("a JSON value longer than 16 MiB")
)

// parseCalls reads the calls in one JSON value: a record; a body from Kratos; a body inside
// a request with method, url and header, as test servers and logs write it; one of those as
// a JSON string; or a list of them. The error quotes nothing of the value.
func parseCalls(value []byte) ([]ReplayCall, error) {
	value = bytes.TrimSpace(bytes.TrimPrefix(value, []byte("\ufeff")))
	var text string
	if json.Unmarshal(value, &text) == nil && json.Valid([]byte(text)) {
		value = bytes.TrimSpace([]byte(text))
	}
	if !json.Valid(value) {
		return nil, errNotJSON
	}
	var items []json.RawMessage
	if value[0] != '[' {
		items = append(items, value)
	} else if json.Unmarshal(value, &items) != nil {
		return nil, errNotJSON
	}
	calls := make([]ReplayCall, 0, len(items))
	for _, item := range items {
		call, err := parseObject(item)
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

// parseObject reads one object. Its keys tell the kind.
func parseObject(value []byte) (ReplayCall, error) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(value, &keys) != nil {
		return ReplayCall{}, errNotCall
	}
	switch {
	case keys["v"] != nil && keys["route"] != nil:
		return parseRecord(value)
	case keys["body"] != nil && keys["identifier"] == nil && keys["identity"] == nil:
		return parseRequest(keys)
	}
	return parseBody(value, keys, "")
}

func parseRecord(value []byte) (ReplayCall, error) {
	var version struct {
		V int `json:"v"`
	}
	if json.Unmarshal(value, &version) != nil {
		return ReplayCall{}, errNotCall
	}
	if version.V != Version {
		return ReplayCall{}, errVersion
	}
	var record Record
	if json.Unmarshal(value, &record) != nil || record.Outcome == "" || record.Status == 0 {
		return ReplayCall{}, errNotCall
	}
	if record.Route != wire.RouteMigration && record.Route != wire.RouteAfterLogin {
		return ReplayCall{}, errRoute
	}
	return ReplayCall{Record: record}, nil
}

// parseRequest reads a complete request; its body may be a JSON string.
func parseRequest(keys map[string]json.RawMessage) (ReplayCall, error) {
	body, url, header := []byte(keys["body"]), "", map[string][]string{}
	var text string
	if json.Unmarshal(body, &text) == nil {
		body = []byte(text)
	}
	if keys["url"] != nil && json.Unmarshal(keys["url"], &url) != nil {
		return ReplayCall{}, errNotCall
	}
	if keys["header"] != nil && json.Unmarshal(keys["header"], &header) != nil {
		return ReplayCall{}, errNotCall
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return ReplayCall{}, errNotCall
	}
	call, err := parseBody(body, fields, url)
	if err != nil {
		return ReplayCall{}, err
	}
	for name, values := range header {
		if len(values) == 1 && isReplayed(name) {
			call.Record.Headers[name] = values[0]
		}
	}
	return call, nil
}

// parseBody finds out which hook a body is for. A body for the migration hook has an
// identifier and a password; one for the other hook names an identity or a flow.
func parseBody(body []byte, keys map[string]json.RawMessage, url string) (ReplayCall, error) {
	record := Record{Headers: map[string]string{"Content-Type": "application/json"}, Body: bytes.Clone(body)}
	switch {
	case keys["identifier"] != nil && keys["password"] != nil:
		record.Route = wire.RouteMigration
	case strings.HasSuffix(url, "/"+wire.RouteAfterLogin), keys["identity"] != nil && keys["flow"] != nil:
		record.Route = wire.RouteAfterLogin
	default:
		return ReplayCall{}, errNotCall
	}
	return ReplayCall{Record: record}, nil
}
