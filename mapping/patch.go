package mapping

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Op is one operation of a JSON Patch (RFC 6902), as Kratos' admin API takes it:
// add or replace. Kratos knows no test, and ferry removes nothing.
type Op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// pointer is a path as a JSON Pointer (RFC 6901).
func pointer(path ...string) string {
	var out strings.Builder
	for _, name := range path {
		out.WriteByte('/')
		out.WriteString(strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
	}
	return out.String()
}

// diff are the operations that make current into next, which has every key that
// current has. replaceWhole names keys, by pointer, whose values are replaced as one.
func diff(path []string, current, next map[string]any, replaceWhole ...string) []Op {
	if current == nil {
		if len(next) == 0 {
			return nil
		}
		return []Op{{Op: "add", Path: pointer(path...), Value: next}}
	}
	var ops []Op
	for _, name := range slices.Sorted(maps.Keys(next)) {
		at := append(slices.Clone(path), name)
		was, exists := current[name]
		if !exists {
			ops = append(ops, Op{Op: "add", Path: pointer(at...), Value: next[name]})
			continue
		}
		if equal(was, next[name]) {
			continue
		}
		before, isObject := was.(map[string]any)
		after, staysObject := next[name].(map[string]any)
		if isObject && staysObject && before != nil && !slices.Contains(replaceWhole, pointer(at...)) {
			ops = append(ops, diff(at, before, after, replaceWhole...)...)
			continue
		}
		ops = append(ops, Op{Op: "replace", Path: pointer(at...), Value: next[name]})
	}
	return ops
}

// equal compares JSON values. Numbers are the same where they have the same value,
// however they were decoded.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && (a == nil) == (b == nil) && maps.EqualFunc(a, b, equal)
	case []any:
		b, ok := b.([]any)
		return ok && (a == nil) == (b == nil) && slices.EqualFunc(a, b, equal)
	case json.Number, float64, int, int64:
		return sameNumber(a, b)
	case string:
		b, ok := b.(string)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case nil:
		return b == nil
	default:
		return false
	}
}

func sameNumber(a, b any) bool {
	x, okX := number(a)
	y, okY := number(b)
	if !okX || !okY {
		return false
	}
	if x == y {
		return true
	}
	// 1, 1.0 and 1e0 are one number.
	fx, errX := x.Float64()
	fy, errY := y.Float64()
	return errX == nil && errY == nil && fx == fy
}

func number(v any) (json.Number, bool) {
	switch v := v.(type) {
	case json.Number:
		return v, true
	case float64, int, int64:
		text, err := json.Marshal(v)
		return json.Number(text), err == nil
	default:
		return "", false
	}
}

// empty reports whether a value says nothing: false and 0 do say something.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

// overlay is under with everything that over has, objects key by key. Neither is
// changed.
func overlay(under, over map[string]any) map[string]any {
	if len(over) == 0 {
		return under
	}
	out := maps.Clone(under)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range over {
		below, isObject := out[name].(map[string]any)
		above, staysObject := value.(map[string]any)
		if isObject && staysObject {
			out[name] = overlay(below, above)
			continue
		}
		out[name] = value
	}
	return out
}

// with is an object with a value at a path, and copies of the objects above it.
func with(object map[string]any, path []string, value any) map[string]any {
	out := maps.Clone(object)
	if out == nil {
		out = map[string]any{}
	}
	into := out
	for i, name := range path {
		if i == len(path)-1 {
			into[name] = value
			break
		}
		child, _ := into[name].(map[string]any)
		child = maps.Clone(child)
		if child == nil {
			child = map[string]any{}
		}
		into[name] = child
		into = child
	}
	return out
}
