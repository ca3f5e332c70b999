package submit

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// hasTraits reports whether the body has any trait.
func hasTraits(f fields) bool {
	for name := range f {
		if isBelow(name, fieldTraits) {
			return true
		}
	}
	return false
}

// plainTrait reports whether Kratos reads a trait in one way only, beside the others.
//
// Traits come as one field traits, an object or its JSON text, or flat: traits.email,
// traits.name.first. With an object and a part of it, the order decides, and it is random. A flat trait that the
// schema calls an object is inserted unchecked: text that looks like JSON and is not could
// add a trait.
func (f fields) plainTrait(name string, v value) bool {
	if !f.only(name) {
		return false
	}
	if name == fieldTraits {
		return v.text == "" || isObject(v.text)
	}
	return !strings.ContainsAny(v.text, `"{}[]`) || json.Valid([]byte(v.text))
}

// only reports whether no other field is below this one.
func (f fields) only(object string) bool {
	for name := range f {
		if name != object && isBelow(name, object) {
			return false
		}
	}
	return true
}

// trait returns the text of the trait at a dotted path. ok is false if the trait is missing,
// is not text, or occurs more than once.
func (f fields) trait(path string) (text string, ok bool) {
	steps := strings.Split(path, ".")
	for _, step := range steps {
		if !isPlainStep(step) {
			return "", false
		}
	}
	// The field that holds the trait: it is the trait, or an object around it.
	holder, below := "", []string(nil)
	for i := 0; i <= len(steps); i++ {
		name := strings.Join(append([]string{fieldTraits}, steps[:i]...), ".")
		if f.text(name) == "" {
			continue
		}
		if holder != "" {
			return "", false
		}
		holder, below = name, steps[i:]
	}
	switch v := f[holder]; {
	case holder == "", v.structured && len(below) == 0:
		return "", false
	case len(below) > 0:
		return find(v.text, below)
	default:
		return replaceInvalid(v.text), true
	}
}

// isPlainStep reports whether a part of a path has the same meaning in every notation of
// paths: letters, digits, - and _, and not a number.
func isPlainStep(step string) bool {
	const digits = "0123456789"
	const plain = digits + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	return strings.Trim(step, plain) == "" && strings.Trim(step, digits) != ""
}

// find returns the text at a path in a JSON object.
func find(object string, steps []string) (text string, ok bool) {
	if !isObject(object) {
		return "", false
	}
	at := gjson.Parse(object)
	for _, step := range steps {
		found, count := gjson.Result{}, 0
		if !at.IsObject() {
			return "", false
		}
		at.ForEach(func(name, member gjson.Result) bool {
			if name.String() == step {
				found = member
				count++
			}
			return true
		})
		if count != 1 {
			return "", false
		}
		at = found
	}
	if at.Type != gjson.String {
		return "", false
	}
	return replaceInvalid(at.Str), true
}
