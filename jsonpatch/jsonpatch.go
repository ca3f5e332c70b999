// Package jsonpatch computes JSON Patches (RFC 6902) of the kind that Kratos' admin API
// takes: add and replace. Kratos supports no test, and ferry removes nothing.
package jsonpatch

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Op is one operation: add or replace.
type Op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Pointer returns a path as a JSON Pointer (RFC 6901).
func Pointer(path ...string) string {
	var out strings.Builder
	for _, name := range path {
		out.WriteByte('/')
		out.WriteString(strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
	}
	return out.String()
}

// Diff returns the operations that turn current, the value at path, into next, which has
// every key that current has. Objects are compared key by key, except the values at
// replaceWhole, which are pointers.
func Diff(path []string, current, next map[string]any, replaceWhole ...string) []Op {
	if current == nil {
		if len(next) == 0 {
			return nil
		}
		return []Op{{Op: "add", Path: Pointer(path...), Value: next}}
	}
	var ops []Op
	for _, name := range slices.Sorted(maps.Keys(next)) {
		at := append(slices.Clone(path), name)
		was, exists := current[name]
		if !exists {
			ops = append(ops, Op{Op: "add", Path: Pointer(at...), Value: next[name]})
			continue
		}
		if Equal(was, next[name]) {
			continue
		}
		before, isObject := was.(map[string]any)
		after, staysObject := next[name].(map[string]any)
		if isObject && staysObject && before != nil && !slices.Contains(replaceWhole, Pointer(at...)) {
			ops = append(ops, Diff(at, before, after, replaceWhole...)...)
			continue
		}
		ops = append(ops, Op{Op: "replace", Path: Pointer(at...), Value: next[name]})
	}
	return ops
}

// Equal compares JSON values. Numbers are equal if their values are, however they were
// decoded.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && (a == nil) == (b == nil) && maps.EqualFunc(a, b, Equal)
	case []any:
		b, ok := b.([]any)
		return ok && (a == nil) == (b == nil) && slices.EqualFunc(a, b, Equal)
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
