package mapping

import "maps"

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
