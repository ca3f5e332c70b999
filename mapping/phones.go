package mapping

import (
	"errors"
	"maps"
	"strings"
)

// formatPhone is the format of phone numbers in identity schemas.
const formatPhone = "tel"

// rulePhone is how a violation says that a value is not one.
const rulePhone = "is not of the format " + formatPhone

// WithoutPhones returns a copy of the traits without the phone numbers that Kratos refuses
// according to err, an error of Validate, and the paths of those. Numbers for which keep
// reports true stay.
func (s *Schema) WithoutPhones(traits map[string]any, err error, keep func(number string) bool) (rest map[string]any, left []string) {
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		return traits, nil
	}
	rest = traits
	for _, v := range invalid.Violations {
		if v.Rule != rulePhone || len(v.Path) < 2 {
			continue
		}
		path := v.Path[1:]
		value, _ := lookup(rest, path)
		if number, isText := value.(string); isText && !keep(number) {
			rest = without(rest, path)
			left = append(left, strings.Join(v.Path, "."))
		}
	}
	return rest, left
}

// without is a copy of the object without the value of a path.
func without(object map[string]any, path []string) map[string]any {
	object = maps.Clone(object)
	if len(path) == 1 {
		delete(object, path[0])
		return object
	}
	if below, ok := object[path[0]].(map[string]any); ok {
		object[path[0]] = without(below, path[1:])
	}
	return object
}
