package wiring

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"ferry/secret"
)

// unifiedDiff is a unified diff of two versions of a kratos.yml, with secrets redacted.
// It is empty where they are the same.
func unifiedDiff(before, after, title string, keys []secret.String) string {
	raw := string(diff.Diff("kratos.yml", []byte(before), "kratos.yml, "+title, []byte(after)))
	_, raw, _ = strings.Cut(raw, "\n") // the first line names a diff command
	was, is := redacted(before, keys), redacted(after, keys)
	var out strings.Builder
	oldLine, newLine := 0, 0 // the next one of each version, from 1; 0: in the header
	for line := range strings.Lines(raw) {
		switch {
		case strings.HasPrefix(line, "@@"):
			var lines int
			_, _ = fmt.Sscanf(line, "@@ -%d,%d +%d", &oldLine, &lines, &newLine)
			out.WriteString(line)
		case oldLine == 0 || line[0] == '\\':
			out.WriteString(line)
		case line[0] == '-':
			out.WriteString("-" + was[oldLine-1] + "\n")
			oldLine++
		case line[0] == '+':
			out.WriteString("+" + is[newLine-1] + "\n")
			newLine++
		default:
			shown := is[newLine-1]
			if shown == strings.TrimRight(line[1:], "\r\n") {
				shown = was[oldLine-1] // may be redacted in one version alone
			}
			out.WriteString(" " + shown + "\n")
			oldLine++
			newLine++
		}
	}
	return out.String()
}

// hiddenKeys are keys of Kratos whose values are secrets, or hold one.
const hiddenKeys = `["']?\b(?:value|password|dsn|\w*secrets?|connection_uri|\w*private_key|\w*token|cookie|cipher|default|authorization)["']?\s*:`

// hiddenPattern matches such a key with a value on its line, in a comment too.
var hiddenPattern = regexp.MustCompile(`(?i)^(.*?` + hiddenKeys + `)\s*(\S.*)`)

// anchorPattern matches what follows a key whose value is an anchored mapping.
var anchorPattern = regexp.MustCompile(`^&\S+\s*(?:#.*)?$`)

// blockPattern matches a secret key whose value continues on the lines below: `secrets:`
// itself, and multi-line scalars.
var blockPattern = regexp.MustCompile(`(?i)^([ -]*)(?:["']?secrets["']?\s*:\s*(?:[#&].*)?$|` + hiddenKeys + `\s*(?:&\S+\s+)?[|>"'])`)

// variablePattern matches a value that is only a variable reference.
var variablePattern = regexp.MustCompile(`^["']?\$\{\w+\}["']?\s*(?:#.*)?$`)

// userPattern matches the user information of a URL.
var userPattern = regexp.MustCompile(`://[^/\s@]+@`)

const (
	hidden = "[hidden]"
	// minFingerprinted is the length in bytes from which the fingerprint of a key is safe
	// to show.
	minFingerprinted = 32
	maxTemplate      = 48 // shown characters of an inline template
)

// redacted returns the lines of a text, without line ends, with secrets hidden.
func redacted(text string, keys []secret.String) []string {
	var shown []string
	block := -1 // the column of a key whose value continues on the next lines
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		text := strings.TrimLeft(line, " ")
		column := len(line) - len(text)
		switch {
		case text == "":
		case block >= 0 && (column > block || column == block && strings.HasPrefix(text, "-")):
			shown = append(shown, line[:column]+hidden)
			continue
		default:
			block = -1
		}
		if found := blockPattern.FindStringSubmatch(line); found != nil {
			block = len(found[1])
		}
		shown = append(shown, redactLine(line, keys))
	}
	return shown
}

var templatePattern = regexp.MustCompile(regexp.QuoteMeta(base64Prefix) + `[A-Za-z0-9+/=]+`)

// redactLine hides secrets. It shows fingerprints of ferry's own keys.
func redactLine(line string, keys []secret.String) string {
	mark := hidden
	for _, key := range keys {
		if len(key.Reveal()) >= minFingerprinted && strings.Contains(line, key.Reveal()) {
			mark = "[hidden, key " + Fingerprint(key) + "]"
		}
	}
	if found := hiddenPattern.FindStringSubmatch(line); found != nil && !anchorPattern.MatchString(found[2]) {
		if variablePattern.MatchString(found[2]) {
			return line
		}
		return found[1] + " " + mark
	}
	if i := strings.Index(line, bearerPrefix); i >= 0 {
		return line[:i] + mark
	}
	for _, key := range keys {
		if !key.Empty() {
			line = strings.ReplaceAll(line, key.Reveal(), hidden)
		}
	}
	line = userPattern.ReplaceAllString(line, "://"+hidden+"@")
	return templatePattern.ReplaceAllStringFunc(line, func(template string) string {
		if len(template) <= maxTemplate {
			return template
		}
		return fmt.Sprintf("%s...(%d characters)", template[:maxTemplate], len(template))
	})
}
