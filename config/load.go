package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"ferry/secret"
)

// prefixWord is the prefix as envconfig wants it.
const prefixWord = "ferry"

// Fault is one setting that cannot be used: its name and what to change. It never
// holds the setting's value.
type Fault struct{ Name, Problem string }

// Faults are all the faults found, in the order of the settings table, those of
// unknown names last.
type Faults []Fault

// Error lists every fault, a line each.
func (f Faults) Error() string {
	lines := make([]string, 0, len(f)+1)
	lines = append(lines, fmt.Sprintf("%d of the settings cannot be used:", len(f)))
	for _, fault := range f {
		lines = append(lines, "  "+fault.Name+": "+fault.Problem)
	}
	return strings.Join(lines, "\n")
}

// Load is LoadFor what `ferry serve` needs.
func Load() (*Config, error) { return LoadFor(Serve) }

// LoadFor reads every setting from the environment and checks the whole; only what
// the parts need has to be there. The error is a Faults that names everything wrong
// at once; the Config beside it then holds what could be read.
func LoadFor(parts ...Part) (*Config, error) {
	c := &Config{sources: map[string]string{}}
	var faults Faults
	v := reflect.ValueOf(c).Elem()
	for _, s := range settings() {
		if problem := c.load(s, s.requiredBy(parts), v.FieldByIndex(s.field.Index)); problem != "" {
			faults = append(faults, Fault{s.name, problem})
		}
	}
	faults = append(faults, c.check(faults.names(), parts)...)
	faults.sort()
	faults = append(faults, unknownNames()...)
	if len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

// sort puts the faults into the order of the settings.
func (f Faults) sort() {
	order := map[string]int{}
	for i, s := range settings() {
		order[s.name] = i
	}
	slices.SortStableFunc(f, func(a, b Fault) int { return order[a.Name] - order[b.Name] })
}

func (f Faults) names() map[string]bool {
	names := make(map[string]bool, len(f))
	for _, fault := range f {
		names[fault.Name] = true
	}
	return names
}

// setting is one field of Config.
type setting struct {
	name     string // FERRY_HOOK_KEYS
	field    reflect.StructField
	required []string // the parts that cannot do without
	secret   bool
}

func (s setting) requiredBy(parts []Part) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { return slices.Contains(s.required, string(p)) })
}

// settings lists the fields of Config with the names that envconfig gives them.
func settings() []setting {
	var all []setting
	var fields []reflect.StructField
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if !field.IsExported() {
			continue
		}
		t := field.Type
		all = append(all, setting{
			field:    field,
			required: strings.Split(field.Tag.Get("required"), ","),
			secret:   t == reflect.TypeFor[secret.String]() || t == reflect.TypeFor[Keys](),
		})
		fields = append(fields, forEnvconfig(field))
	}
	var names strings.Builder
	spec := reflect.New(reflect.StructOf(fields)).Interface()
	if err := envconfig.Usagef(prefixWord, spec, &names, "{{range .}}{{.Key}} {{end}}"); err != nil {
		return nil // a template of ours that does not compile: every test of this package fails
	}
	for i, name := range strings.Fields(names.String()) {
		all[i].name = name
	}
	return all
}

// forEnvconfig is the field with the tags that envconfig may see. Its `required`
// takes an empty value for one, and its `envconfig` would also take the variable
// without the prefix.
func forEnvconfig(field reflect.StructField) reflect.StructField {
	fallback, hasDefault := field.Tag.Lookup("default")
	field.Tag = `split_words:"true"`
	if hasDefault {
		field.Tag += reflect.StructTag(fmt.Sprintf(` default:%q`, fallback))
	}
	return field
}

// load fills one field and returns what is wrong with its variable, or nothing.
// Each setting goes through envconfig by itself, because envconfig stops at the
// first fault, and its error quotes the value.
func (c *Config) load(s setting, required bool, into reflect.Value) string {
	text, set := os.LookupEnv(s.name)
	path, fileSet := os.LookupEnv(s.name + "_FILE")
	switch {
	case s.secret && set && fileSet:
		return "both it and " + s.name + "_FILE are set; keep one"
	case s.secret && fileSet:
		c.sources[s.name] = "file"
		return loadFile(s, path, into)
	case required && text == "":
		return missing(s)
	case set && text == "":
		return "is set but empty; unset it or give it a value"
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{forEnvconfig(s.field)}))
	if err := envconfig.Process(prefixWord, one.Interface()); err != nil {
		return expectation(s.field.Type)
	}
	into.Set(one.Elem().Field(0))
	switch {
	case set:
		c.sources[s.name] = "environment"
	case s.field.Tag.Get("default") != "":
		c.sources[s.name] = sourceDefault
	}
	return ""
}

// loadFile reads a secret from its file, less one newline at the end.
func loadFile(s setting, path string, into reflect.Value) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return s.name + "_FILE cannot be read: " + reason(err)
	}
	decoder, ok := into.Addr().Interface().(envconfig.Decoder)
	if !ok || decoder.Decode(cutNewline(string(text))) != nil {
		return "the file of " + s.name + "_FILE is empty"
	}
	return ""
}

func cutNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// reason is an operating system's error without the path: an operator may have put
// the secret itself where its file's name belongs.
func reason(err error) string {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return "it is not a readable file"
}

func missing(s setting) string {
	if s.secret {
		return "is not set; set it, or " + s.name + "_FILE"
	}
	return "is not set"
}

func expectation(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "must be a duration such as 8s or 1500ms"
	case reflect.TypeFor[bool]():
		return "must be true or false"
	case reflect.TypeFor[int]():
		return "must be a whole number"
	}
	return "cannot be read"
}

// unknownNames finds FERRY_ variables that are no setting, except those that
// Kubernetes puts into every pod beside a service called ferry.
func unknownNames() Faults {
	var known []string
	for _, s := range settings() {
		known = append(known, s.name)
		if s.secret {
			known = append(known, s.name+"_FILE")
		}
	}
	var faults Faults
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, Prefix) || slices.Contains(known, name) || isServiceLink(name) {
			continue
		}
		faults = append(faults, Fault{name, "is not a setting" + suggestion(name, known)})
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) })
	return faults
}

func isServiceLink(name string) bool {
	return name == Prefix+"PORT" || strings.HasPrefix(name, Prefix+"PORT_") || strings.HasPrefix(name, Prefix+"SERVICE_")
}

// suggestion names the setting that was probably meant: at most three typing
// mistakes away.
func suggestion(name string, known []string) string {
	best, least := "", 4
	for _, candidate := range known {
		if d := distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return "; see `ferry config`"
	}
	return "; did you mean " + best + "?"
}

// distance is the number of inserted, dropped and changed letters between two
// names (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
