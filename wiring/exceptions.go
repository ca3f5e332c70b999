package wiring

import (
	"regexp"
	"slices"
	"strings"
)

// Excepted reports whether clients.http.private_ip_exception_urls contains an address. Its
// entries are glob patterns as in Kratos: * and ? do not match dots and slashes, ** does,
// and [a-z], [!a] and {a,b} are as in a shell.
func Excepted(exceptions []any, address string) bool {
	address, _, _ = strings.Cut(address, "?")
	return slices.ContainsFunc(exceptions, func(one any) bool {
		text, _ := one.(string)
		pattern, err := regexp.Compile("^" + expression(text) + "$")
		return err == nil && pattern.MatchString(address)
	})
}

// Exception returns the pattern that matches only one address. The brackets of IPv6 would
// otherwise be a character class.
func Exception(address string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`).Replace(address)
}

// expression converts a pattern to a regular expression.
func expression(pattern string) string {
	var out strings.Builder
	open := 0 // braces
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		set := strings.IndexByte(rest, ']')
		switch c := pattern[i]; {
		case strings.HasPrefix(rest, "**"):
			out.WriteString(".*")
			i++
		case c == '*':
			out.WriteString("[^./]*")
		case c == '?':
			out.WriteString("[^./]")
		case c == '[' && set > 1:
			inside, but := strings.CutPrefix(rest[1:set], "!")
			inside = strings.NewReplacer(`\`, `\\`, "[", `\[`, "^", `\^`).Replace(inside)
			if but {
				inside = "^" + inside
			}
			out.WriteString("[" + inside + "]")
			i += set
		case c == '{':
			out.WriteString("(?:")
			open++
		case c == '}' && open > 0:
			out.WriteString(")")
			open--
		case c == ',' && open > 0:
			out.WriteString("|")
		case c == '\\' && len(rest) > 1:
			i++
			out.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			out.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	return out.String()
}
