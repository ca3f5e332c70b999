package config

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
	"github.com/spf13/cobra"

	"ferry/secret"
)

// Fault is one invalid setting: its name and what to change. It never contains the
// setting's value.
type Fault struct{ Name, Problem string }

// Faults are all the faults found, in the order of the settings table. Faults of
// unknown names come last.
type Faults []Fault

// Error lists every fault on its own line.
func (f Faults) Error() string {
	lines := make([]string, 0, len(f)+1)
	lines = append(lines, fmt.Sprintf("%d of the settings cannot be used:", len(f)))
	for _, fault := range f {
		lines = append(lines, "  "+fault.Name+": "+fault.Problem)
	}
	return strings.Join(lines, "\n")
}

// Load reads the settings that `ferry serve` needs.
func Load() (*Config, error) { return LoadFor(Serve) }

// LoadFor reads every setting from the environment and checks them together. Only the
// settings that the parts need are required. The error is a Faults that names every
// fault; the Config returned with it contains the settings that could be read.
func LoadFor(parts ...Part) (*Config, error) {
	c := &Config{sources: map[string]string{}}
	if err := envconfig.Process("", c); err != nil {
		return c, errors.New("read the settings: a field of Config has a type that is not a text") // err quotes the value
	}
	var faults Faults
	v := reflect.ValueOf(c).Elem()
	for _, s := range settings() {
		field := v.FieldByIndex(s.field.Index)
		if problem := c.load(s, s.requiredBy(parts), field); problem != "" {
			field.SetZero()
			faults = append(faults, Fault{s.name, problem})
		}
	}
	faults = append(faults, c.check(faults.names(), parts)...)
	faults.sort()
	faults = append(faults, unknownNames()...)
	if slices.Contains(parts, Serve) {
		faults = append(faults, c.loadTraces()...)
	}
	if len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

// sort sorts the faults in the order of the settings.
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
	required []string // the parts that need it
	secret   bool
}

func (s setting) requiredBy(parts []Part) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { return slices.Contains(s.required, string(p)) })
}

// settings lists the fields of Config that have a variable.
func settings() []setting {
	var all []setting
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name, ok := field.Tag.Lookup("envconfig")
		if !ok {
			continue
		}
		all = append(all, setting{
			name:     name,
			field:    field,
			required: strings.Split(field.Tag.Get("required"), ","),
			secret:   field.Type == reflect.TypeFor[secret.String]() || field.Type == reflect.TypeFor[Keys](),
		})
	}
	return all
}

// load completes one field that envconfig has read, and returns what is wrong with its
// variable, or "".
func (c *Config) load(s setting, required bool, field reflect.Value) (problem string) {
	text, set := os.LookupEnv(s.name)
	path, fileSet := os.LookupEnv(s.name + "_FILE")
	fallback := s.field.Tag.Get("default")
	switch {
	case s.secret && set && fileSet:
		return "both it and " + s.name + "_FILE are set; keep one"
	case s.secret && fileSet:
		c.sources[s.name] = "file"
		return loadFile(s, path, field)
	case required && text == "":
		return missing(s)
	case set && text == "":
		return "is set but empty; unset it or give it a value"
	case !set && fallback == "":
		return ""
	case !set:
		text = fallback
	}
	if problem := parse(text, field.Addr().Interface()); problem != "" {
		return problem
	}
	c.sources[s.name] = "environment"
	if !set {
		c.sources[s.name] = sourceDefault
	}
	return ""
}

// parse sets a flag, a number or a duration, which envconfig has ignored. It returns what
// the text must be, or "", and never quotes the text.
func parse(text string, into any) (problem string) {
	switch into := into.(type) {
	case *bool:
		value, err := strconv.ParseBool(text)
		if err != nil {
			return "must be true or false"
		}
		*into = value
	case *int:
		value, err := strconv.ParseInt(text, 0, 0)
		if err != nil {
			return "must be a whole number"
		}
		*into = int(value)
	case *time.Duration:
		value, err := time.ParseDuration(text)
		if err != nil {
			return "must be a duration such as 8s or 1500ms"
		}
		*into = value
	}
	return ""
}

// loadFile reads a secret from its file, without one newline at the end.
func loadFile(s setting, path string, field reflect.Value) (problem string) {
	text, err := os.ReadFile(path) //nolint:gosec // G304: a setting names it
	if err != nil {
		return s.name + "_FILE cannot be read: " + reason(err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	secret, ok := field.Addr().Interface().(encoding.TextUnmarshaler)
	if value == "" || !ok || secret.UnmarshalText([]byte(value)) != nil {
		return "the file of " + s.name + "_FILE is empty"
	}
	return ""
}

// reason is an operating system's error without the path. The path may be a secret that
// was put into the _FILE variable by mistake.
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

// unknownNames finds FERRY_ variables that are not settings. It ignores those that
// Kubernetes sets in every pod of a namespace with a service called ferry.
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

// suggestion names the settings that were probably meant. cobra suggests commands for
// mistyped ones; settings are given to it as commands.
func suggestion(name string, known []string) string {
	const distance, most = 3, 3
	list := cobra.Command{SuggestionsMinimumDistance: distance}
	for _, setting := range known {
		list.AddCommand(&cobra.Command{Use: setting, Run: func(*cobra.Command, []string) {}})
	}
	meant := list.SuggestionsFor(name)
	if len(meant) == 0 || len(meant) > most {
		return "; see `ferry config`"
	}
	return "; did you mean " + strings.Join(meant, " or ") + "?"
}

// SetsGOGC reports whether the environment sets GOGC, which the Go runtime reads.
func SetsGOGC() bool { return os.Getenv("GOGC") != "" }

// SetsGOMEMLIMIT reports whether the environment sets GOMEMLIMIT, which the Go runtime reads.
func SetsGOMEMLIMIT() bool { return os.Getenv("GOMEMLIMIT") != "" }
