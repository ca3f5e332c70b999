package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-jsonnet"
)

// MapperError is the failure of a Jsonnet mapper.
type MapperError struct {
	// Name and Line are the place of the failure; Line is 0 if unknown.
	Name string
	Line int
	// Message is Jsonnet's message. It may contain personal data unless Public.
	Message string
	// Public is true if the message does not depend on the user's data.
	Public bool
}

// Error contains the message only if it is public.
func (e *MapperError) Error() string {
	if e.Public {
		return e.Detail()
	}
	return e.place() + ": failed; the message is withheld because it may contain personal data: run ferry map with this user to see it"
}

// Detail returns the error with its message, which may contain personal data.
func (e *MapperError) Detail() string { return e.place() + ": " + e.Message }

func (e *MapperError) place() string {
	if e.Line == 0 {
		return e.Name
	}
	return fmt.Sprintf("%s:%d", e.Name, e.Line)
}

// mostMessage bounds a message, in bytes.
const mostMessage = 500

// fault reads an error of Jsonnet: the innermost line of the program, and the message.
func (m *jsonnetMapper) fault(err error) *MapperError {
	e := &MapperError{Name: m.name, Message: err.Error()}
	if errors.Is(err, errEndless) {
		e.Public = true
		return e
	}
	var runtime jsonnet.RuntimeError
	if errors.As(err, &runtime) {
		e.Message = runtime.Msg
		for _, frame := range slices.Backward(runtime.StackTrace) {
			if frame.Loc.FileName == m.name && frame.Loc.Begin.Line > 0 {
				e.Line = frame.Loc.Begin.Line
				break
			}
		}
	}
	e.Message = strings.Join(strings.Fields(e.Message), " ")
	if len(e.Message) > mostMessage {
		e.Message = strings.ToValidUTF8(e.Message[:mostMessage], "") + "…"
	}
	return e
}

// isPublic reports whether the message does not depend on the user's data: the program
// fails with the same message if every value is another one, and the message contains no
// key that only the data has.
func (m *jsonnetMapper) isPublic(e *MapperError, claims map[string]any) bool {
	for key := range dataKeys(claims, nil) {
		if strings.Contains(e.Message, key) && !strings.Contains(m.source, key) && !slices.Contains(userFields(), key) {
			return false
		}
	}
	another, _ := anotherValue(claims).(map[string]any)
	extVar, err := json.Marshal(another)
	if err != nil {
		return false
	}
	_, err = m.bounded(string(extVar))
	return err != nil && m.fault(err).Message == e.Message
}

// dataKeys returns the keys of all objects in the value.
func dataKeys(value any, into map[string]bool) map[string]bool {
	if into == nil {
		into = map[string]bool{}
	}
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			into[key] = true
			dataKeys(below, into)
		}
	case []any:
		for _, element := range value {
			dataKeys(element, into)
		}
	}
	return into
}

// anotherValue returns a value of the same shape, in which every text, number and boolean
// is another one, and every list is longer.
func anotherValue(value any) any {
	switch value := value.(type) {
	case string:
		return strings.Map(anotherRune, value) + "q"
	case bool:
		return !value
	case json.Number:
		return json.Number("1" + strings.TrimLeft(strings.Map(anotherRune, digits(value.String())), "0"))
	case float64:
		return value + 1
	case int64:
		return value + 1
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, below := range value {
			out[key] = anotherValue(below)
		}
		return out
	case []any:
		out := make([]any, 0, len(value)+1)
		for _, element := range value {
			out = append(out, anotherValue(element))
		}
		if len(value) > 0 {
			out = append(out, out[0])
		}
		return out
	default:
		return value
	}
}

func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}

// anotherRune keeps spaces and ASCII punctuation, at which programs split texts.
func anotherRune(r rune) rune {
	switch {
	case r == 'z', r == 'Z', r == '9':
		return r - 1
	case r >= utf8.RuneSelf && !unicode.IsSpace(r):
		if next := r + 1; utf8.ValidRune(next) {
			return next
		}
		return 'x'
	case r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)):
		return r + 1
	}
	return r
}
