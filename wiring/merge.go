package wiring

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"

	"ferry/secret"
)

// Merged is a kratos.yml with ferry in it.
type Merged struct {
	// Text is the whole file.
	Text []byte
	// Diff is what changed, as a unified diff for people: keys, passwords and what
	// else looks like a secret are left out of it. Empty: nothing changed.
	Diff string
	// Notes say what an operator should know besides: what was left as it is, and
	// what else in the file would keep ferry from working.
	Notes []string
	// Placeholder: no key was known, and Placeholder stands where it belongs.
	Placeholder bool
	// Variables are the environment variables from which Kratos takes the key.
	Variables []string
}

// Merge puts into a kratos.yml what Fragment prints, and touches nothing else: bytes
// that need not change do not. Ferry's hook after a login is the first of its list:
// there the password is proven, and a hook before it that ends the login would keep
// that from ferry. Hooks that login.after.hooks runs after every login are copied
// behind it, because it would otherwise switch them off for logins with a password.
// Merging twice changes nothing more.
//
// Errors name the line that cannot be edited (flow style, aliases, a migration hook
// that calls somebody else) and never quote the file; a *NotKratosError means that the
// file is something else.
func Merge(file []byte, o Options) (Merged, error) {
	if err := o.Check(); err != nil {
		return Merged{}, err
	}
	m := merger{o: o}
	merged, err := edit(string(file), o.At, m.merge)
	if err != nil {
		return Merged{}, err
	}
	return Merged{
		Text:        []byte(merged),
		Diff:        unifiedDiff(string(file), merged, "with ferry", m.shown),
		Notes:       m.notes,
		Placeholder: m.placeholder,
		Variables:   m.variables,
	}, nil
}

func (m *merger) merge(d *document) error {
	m.document = d
	before := d.values
	if err := m.migrateHook(); err != nil {
		return err
	}
	if err := m.afterLogin(); err != nil {
		return err
	}
	if err := m.verify(before); err != nil {
		return err
	}
	m.variables = variables(d.values)
	m.advise()
	sent := sentKeys(before)
	m.adviseKeys(sent)
	m.shown = m.shownKeys(sent)
	return nil
}

// merger is one merge on its way.
type merger struct {
	*document
	o           Options
	notes       []string
	placeholder bool
	variables   []string
	shown       []secret.String // keys whose fingerprints the diff shows
	replaced    bool            // the migration hook was somebody else's
}

func (m *merger) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

func migratePath(below ...string) []string {
	return append([]string{"selfservice", "methods", "password", "config", "migrate_hook"}, below...)
}

func afterPath(below ...string) []string {
	return append([]string{"selfservice", "flows", "login", "after"}, below...)
}

func (m *merger) get(path ...string) any {
	value, _ := lookup(m.values, path...)
	return value
}

// ensure gives a path its scalar, true or a text.
func (m *merger) ensure(value string, path ...string) error {
	if here, ok := lookup(m.values, path...); ok && fmt.Sprint(here) == value && (value == "true") == (here == true) {
		return nil
	}
	at, missing, err := m.locate(path...)
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return m.set(at, path[len(path)-1], value)
	}
	leaf := node{key: path[len(path)-1], value: quoteLike("", value)}
	return m.insert(at, within(missing[:len(missing)-1], leaf))
}

// put writes a whole entry where there is none, or an empty one.
func (m *merger) put(n node, path ...string) error {
	at, missing, err := m.locate(path...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return m.insert(at, within(missing[:len(missing)-1], n))
	}
	if empty(m.get(path...)) {
		return m.insert(at, n.children...)
	}
	return m.replace(at, n)
}

// empty reports whether a value is not there, null, or a mapping or list of nothing.
func empty(value any) bool {
	v := reflect.ValueOf(value)
	return value == nil || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

// migrateHook puts the migration hook in, or brings it up to date.
func (m *merger) migrateHook() error {
	hook := m.get(migratePath()...)
	address, _ := m.get(migratePath("config", "url")...).(string)
	switch {
	case empty(hook):
		m.keyUnknown()
		return m.put(m.o.migrateNode(), migratePath()...)
	case address != "" && !strings.HasSuffix(address, MigrationPath):
		at, _, err := m.locate(migratePath("config", "url")...)
		if err != nil {
			return err
		}
		if !m.o.Replace {
			return at.cannot("calls something that is not ferry: take it out, or allow to replace it (--replace)")
		}
		m.replaced = true
		m.keyUnknown()
		return m.put(m.o.migrateNode(), migratePath()...)
	}
	if err := m.ensure("true", migratePath("enabled")...); err != nil {
		return err
	}
	if empty(m.get(migratePath("config")...)) {
		m.keyUnknown()
		return m.put(m.o.migrateConfig(), migratePath("config")...)
	}
	if err := m.ensure(m.o.migrateURL(), migratePath("config", "url")...); err != nil {
		return err
	}
	if err := m.ensure("POST", migratePath("config", "method")...); err != nil {
		return err
	}
	if err := m.migrateBody(); err != nil {
		return err
	}
	return m.auth(migratePath("config", "auth")...)
}

// migrateBody puts the template in where Kratos takes it.
func (m *merger) migrateBody() error {
	path := migratePath("config", "body")
	body, _ := m.get(path...).(string)
	takes, known := m.o.template()
	switch {
	case !takes && body != "" && known:
		at, _, err := m.locate(path...)
		if err != nil {
			return err
		}
		m.note("line %d: %s: Kratos 1.3.1 refuses to start with this line; take it out", at.line+1, at.path)
		return nil
	case !takes:
		return nil
	}
	header := m.o.ClientIPHeader
	if header == "" {
		header = namedHeader(body)
	}
	return m.body(MigrateJsonnet(header), path...)
}

// namedHeader is the client IP header that an inline template of ferry's names.
func namedHeader(body string) string {
	text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(body, base64Prefix))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		named, ok := strings.CutPrefix(strings.TrimSpace(line), "local clientIPHeader = ")
		if name := strings.Trim(named, `"';`); ok && named != name+";" && headerPattern.MatchString(name) {
			return name
		}
	}
	return ""
}

// body sets a template. One that the operator keeps in a file is left alone.
func (m *merger) body(template string, path ...string) error {
	if body, _ := m.get(path...).(string); body != "" && !strings.HasPrefix(body, base64Prefix) {
		at, _, err := m.locate(path...)
		if err != nil {
			return err
		}
		m.note("line %d: %s names a file of yours: it is left alone, keep it the same as ferry's template", at.line+1, at.path)
		return nil
	}
	return m.ensure(Base64(template), path...)
}

// auth makes Kratos send the key, in the one header that it does not log.
func (m *merger) auth(path ...string) error {
	below := func(steps ...string) []string { return append(path[:len(path):len(path)], steps...) }
	kind, _ := m.get(below("type")...).(string)
	if password, _ := m.get(below("config", "password")...).(string); kind == "basic_auth" && password != "" &&
		(m.o.Key.Empty() || password == m.o.Key.Reveal()) {
		return nil
	}
	if kind != "api_key" || empty(m.get(below("config")...)) {
		m.keyUnknown()
		return m.put(m.o.authNode(path...), path...)
	}
	err := m.apiKey(below("config")...)
	if err != nil && !m.o.Key.Empty() {
		// All of it is ferry's: what cannot be edited can be written anew.
		return m.put(m.o.authNode(path...), path...)
	}
	return err
}

func (m *merger) apiKey(path ...string) error {
	below := func(step string) []string { return append(path[:len(path):len(path)], step) }
	value, _ := m.get(below("value")...).(string)
	want := m.o.keyValue(path[:len(path)-1]...)
	own := strings.HasPrefix(value, variablePrefix+variable(afterPath()...))
	switch {
	case own: // its index may have changed
		fromEnvironment := Options{KeyFromEnvironment: true}
		want = fromEnvironment.keyValue(path[:len(path)-1]...)
	case !m.o.KeyFromEnvironment && strings.Contains(value, variablePrefix):
		want = value // somebody else fills it in
	case m.o.KeyFromEnvironment:
	case m.o.Key.Empty() && strings.HasPrefix(value, bearerPrefix):
		m.placeholder = m.placeholder || value == m.o.bearer()
		want = value
	default:
		m.keyUnknown()
	}
	if err := m.ensure(want, below("value")...); err != nil {
		return err
	}
	if name, _ := m.get(below("name")...).(string); !strings.EqualFold(name, "Authorization") {
		if err := m.ensure("Authorization", below("name")...); err != nil {
			return err
		}
	}
	return m.ensure("header", below("in")...)
}

// keyUnknown notes that a key is about to be written, and perhaps none is known.
func (m *merger) keyUnknown() {
	m.placeholder = m.placeholder || m.o.Key.Empty() && !m.o.KeyFromEnvironment
}
