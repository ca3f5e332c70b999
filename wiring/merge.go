package wiring

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"

	"ferry/secret"
	"ferry/wire"
)

// Merged is the result of Merge or Remove.
type Merged struct {
	// Text is the whole file.
	Text []byte
	// Diff is a unified diff with keys, passwords and other secrets redacted. It is empty
	// if nothing changed.
	Diff string
	// Notes tell the operator what was left unchanged, and what else in the file prevents
	// ferry from working.
	Notes []string
	// UnknownClient reports that the bridge's client id or secret is not known, so the text has
	// a placeholder instead.
	UnknownClient bool
	// Placeholder reports that no key was known, so the text has Placeholder instead.
	Placeholder bool
	// Variables are the environment variables that set the keys.
	Variables []string
}

// Merge adds the content of Fragment to a kratos.yml, and changes no other byte. ferry's
// hook becomes the first one after a login with a password, because ferry would not learn
// of logins that an earlier hook ends. The list would disable the hooks in
// login.after.hooks for these logins, so they are copied to its end. Merging again changes
// nothing.
//
// Errors name the line that cannot be edited (flow style, aliases, a migration hook that
// does not call ferry) and never quote the file. A *NotKratosError reports a file that is
// not a Kratos configuration.
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

		UnknownClient: m.unknownClient,
	}, nil
}

func (m *merger) merge(d *document) error {
	m.document = d
	before := d.values
	if err := m.migrateHook(); err != nil {
		return err
	}
	if m.lists = m.o.lists(); !m.o.SignUp {
		m.lists = append(m.lists, wiredSignUps(before)...)
	}
	for _, l := range m.lists {
		if err := m.addHook(l); err != nil {
			return err
		}
	}
	if err := m.bridge(); err != nil {
		return err
	}
	if err := m.verify(before); err != nil {
		return err
	}
	m.variables = variables(d.values)
	m.advise()
	m.adviseBridge()
	sent := sentKeys(before)
	m.adviseKeys(sent)
	m.shown = m.shownKeys(sent)
	return nil
}

// merger is a merge in progress.
type merger struct {
	*document
	o             Options
	lists         []hookList // those that have ferry's hook afterwards
	notes         []string
	placeholder   bool
	unknownClient bool
	variables     []string
	shown         []secret.String // keys whose fingerprints the diff shows
	replaced      bool            // the migration hook did not call ferry
}

func (m *merger) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// MigrateHookKeys returns a path below the migration hook in Kratos' configuration.
func MigrateHookKeys(below ...string) []string {
	return append([]string{"selfservice", "methods", "password", "config", "migrate_hook"}, below...)
}

// AfterLoginKeys returns a path below the settings after a login in Kratos' configuration.
func AfterLoginKeys(below ...string) []string {
	return afterKeys("login", below...)
}

func (m *merger) get(path ...string) any {
	value, _ := Lookup(m.values, path...)
	return value
}

// ensure sets a path to true or to a text.
func (m *merger) ensure(value string, path ...string) error {
	if here, ok := Lookup(m.values, path...); ok && fmt.Sprint(here) == value && (value == "true") == (here == true) {
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

// put adds an entry, or replaces the one at the path.
func (m *merger) put(n node, path ...string) error {
	at, missing, err := m.locate(path...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return m.insert(at, within(missing[:len(missing)-1], n))
	}
	if empty(m.get(path...)) && len(n.children) > 0 {
		return m.insert(at, n.children...)
	}
	return m.replace(at, n)
}

// empty reports whether a value is missing, null, or an empty mapping or list.
func empty(value any) bool {
	v := reflect.ValueOf(value)
	return value == nil || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

// migrateHook adds the migration hook, or updates it.
func (m *merger) migrateHook() error {
	hook := m.get(MigrateHookKeys()...)
	address, _ := m.get(MigrateHookKeys("config", "url")...).(string)
	switch {
	case empty(hook):
		m.keyUnknown()
		return m.put(m.o.migrateNode(), MigrateHookKeys()...)
	case address != "" && !strings.HasSuffix(address, wire.MigrationPath):
		at, _, err := m.locate(MigrateHookKeys("config", "url")...)
		if err != nil {
			return err
		}
		if !m.o.Replace {
			return at.cannot("does not call ferry: remove it, or allow replacing it (--replace)")
		}
		m.replaced = true
		m.keyUnknown()
		return m.put(m.o.migrateNode(), MigrateHookKeys()...)
	}
	if err := m.ensure("true", MigrateHookKeys("enabled")...); err != nil {
		return err
	}
	if empty(m.get(MigrateHookKeys("config")...)) {
		m.keyUnknown()
		return m.put(m.o.migrateConfig(), MigrateHookKeys("config")...)
	}
	if err := m.ensure(m.o.migrateURL(), MigrateHookKeys("config", "url")...); err != nil {
		return err
	}
	if err := m.ensure("POST", MigrateHookKeys("config", "method")...); err != nil {
		return err
	}
	if err := m.migrateBody(); err != nil {
		return err
	}
	return m.auth(MigrateHookKeys("config", "auth")...)
}

// migrateBody adds the template if Kratos supports it.
func (m *merger) migrateBody() error {
	path := MigrateHookKeys("config", "body")
	body, _ := m.get(path...).(string)
	takes, known := m.o.template()
	switch {
	case !takes && body != "" && known:
		at, _, err := m.locate(path...)
		if err != nil {
			return err
		}
		m.note("line %d: %s: Kratos 1.3.1 refuses to start with this line; remove it", at.line+1, at.path)
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

// namedHeader returns the client IP header in an inline template of ferry's.
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

// body sets a template. It does not change one that is in a file.
func (m *merger) body(template string, path ...string) error {
	if body, _ := m.get(path...).(string); body != "" && !strings.HasPrefix(body, base64Prefix) {
		at, _, err := m.locate(path...)
		if err != nil {
			return err
		}
		m.note("line %d: %s is not inline: it was not changed, keep it the same as ferry's template", at.line+1, at.path)
		return nil
	}
	return m.ensure(Base64(template), path...)
}

// auth makes Kratos send the key in Authorization, the only header that it does not log.
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
		// The block is ferry's: if it cannot be edited, it can be replaced.
		return m.put(m.o.authNode(path...), path...)
	}
	return err
}

func (m *merger) apiKey(path ...string) error {
	below := func(step string) []string { return append(path[:len(path):len(path)], step) }
	value, _ := m.get(below("value")...).(string)
	want := m.o.keyValue(path[:len(path)-1]...)
	own := strings.HasPrefix(value, variablePrefix+Variable(AfterLoginKeys()...)) || strings.HasPrefix(value, variablePrefix+Variable(afterKeys(registrationFlow)...))
	switch {
	case own: // its index may have changed
		fromEnvironment := Options{KeyFromEnvironment: true}
		want = fromEnvironment.keyValue(path[:len(path)-1]...)
	case !m.o.KeyFromEnvironment && strings.Contains(value, variablePrefix):
		want = value // the operator fills it in
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

// keyUnknown records that a key is written, and whether it is the placeholder.
func (m *merger) keyUnknown() {
	m.placeholder = m.placeholder || m.o.Key.Empty() && !m.o.KeyFromEnvironment
}
