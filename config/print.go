package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"

	"ferry/secret"
)

// sourceDefault is the source of a setting that is unset and has a default.
const sourceDefault = "default"

// Print writes every setting and its source (environment, file, default or unset), one
// per line. Secrets are redacted.
func (c *Config) Print(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	v := reflect.ValueOf(c).Elem()
	for _, s := range settings() {
		source, known := c.sources[s.name]
		if !known {
			source = "unset"
		}
		if _, err := fmt.Fprintf(tab, "%s\t%s\t%s\n", s.name, show(s, v.FieldByIndex(s.field.Index), source), source); err != nil {
			return fmt.Errorf("print settings: %w", err)
		}
	}
	if err := tab.Flush(); err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	return nil
}

func show(s setting, v reflect.Value, source string) string {
	switch value := v.Interface().(type) {
	case secret.String, Keys:
		switch source {
		case "unset":
			return "-"
		case sourceDefault: // documented, so not secret
			return s.field.Tag.Get("default")
		}
		return secret.Redacted
	case []string:
		if len(value) == 0 {
			return "-"
		}
		return strings.Join(value, ",")
	case string:
		switch {
		case value == "":
			return "-"
		case isAddress(s.name) && strings.ContainsAny(value, "@?#"):
			return secret.Redacted // such an address is invalid and may contain a password
		}
		return value
	default:
		return fmt.Sprint(value)
	}
}

func isAddress(name string) bool {
	return strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_DOMAIN")
}

// Table is the settings table of docs/settings.md, in Markdown.
func Table() string {
	var out strings.Builder
	out.WriteString("| Setting | Default | Meaning |\n| --- | --- | --- |\n")
	for _, s := range settings() {
		name := "`" + s.name + "`"
		if s.secret {
			name += "<br>or `" + s.name + "_FILE`"
		}
		value := s.field.Tag.Get("default")
		switch {
		case s.requiredBy([]Part{Serve}):
			value = "**required**"
		case value == "":
			value = "–"
		default:
			value = "`" + value + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", name, value, s.field.Tag.Get("desc"))
	}
	return out.String()
}
