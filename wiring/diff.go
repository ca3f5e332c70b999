package wiring

import (
	"fmt"
	"regexp"
	"strings"

	"ferry/secret"
)

// around is how many unchanged lines a diff shows at each side of a change.
const around = 3

// change is a line of a diff: ' ', '-' or '+', and the line.
type change struct {
	sign byte
	line string
}

// diff is a unified diff of two texts, without what is nobody's business.
func diff(before, after, title string, keys []secret.String) string {
	if before == after {
		return ""
	}
	was, is := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	changes := script(was, is)
	shown := redacted(changes, keys)
	var out strings.Builder
	out.WriteString("--- kratos.yml\n+++ kratos.yml, " + title + "\n")
	for first := 0; first < len(changes); {
		if changes[first].sign == ' ' {
			first++
			continue
		}
		start, end := max(first-around, 0), hunkEnd(changes, first)
		writeHunk(&out, changes, shown, start, end)
		first = end
	}
	return out.String()
}

// hunkEnd is where the changes that begin at first are followed by more unchanged
// lines than two hunks have between them.
func hunkEnd(changes []change, first int) int {
	last := first
	for i := first; i < len(changes) && i-last <= 2*around+1; i++ {
		if changes[i].sign != ' ' {
			last = i
		}
	}
	return min(last+around+1, len(changes))
}

func writeHunk(out *strings.Builder, changes []change, shown []string, start, end int) {
	oldLine, newLine := 1, 1
	for _, c := range changes[:start] {
		if c.sign != '+' {
			oldLine++
		}
		if c.sign != '-' {
			newLine++
		}
	}
	var body strings.Builder
	oldLines, newLines := 0, 0
	for i := start; i < end; i++ {
		c := changes[i]
		if c.line == "" {
			continue // behind the last line end
		}
		if c.sign != '+' {
			oldLines++
		}
		if c.sign != '-' {
			newLines++
		}
		fmt.Fprintf(&body, "%c%s\n", c.sign, shown[i])
		if !strings.HasSuffix(c.line, "\n") {
			body.WriteString("\\ No newline at end of file\n")
		}
	}
	fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n%s", oldLine, oldLines, newLine, newLines, body.String())
}

// script is the shortest way from one text to the other: Myers' greedy algorithm
// ("An O(ND) Difference Algorithm and Its Variations", 1986).
func script(a, b []string) []change {
	limit := len(a) + len(b)
	furthest := make([]int, 2*limit+2)
	var trace [][]int
	for steps := 0; ; steps++ {
		trace = append(trace, append([]int(nil), furthest[limit-steps:limit+steps+1]...))
		for k := -steps; k <= steps; k += 2 {
			x := 0
			if k == -steps || k != steps && furthest[limit+k-1] < furthest[limit+k+1] {
				x = furthest[limit+k+1]
			} else {
				x = furthest[limit+k-1] + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			furthest[limit+k] = x
			if x >= len(a) && x-k >= len(b) {
				return retrace(a, b, trace)
			}
		}
	}
}

// retrace walks the way back; trace[n] is how far each diagonal came in n-1 steps,
// the diagonal 0 in its middle.
func retrace(a, b []string, trace [][]int) []change {
	var back []change
	x, y := len(a), len(b)
	for steps := len(trace) - 1; steps >= 0; steps-- {
		at := func(k int) int {
			if i := k + steps; i >= 0 && i < len(trace[steps]) {
				return trace[steps][i]
			}
			return 0
		}
		k := x - y
		previous := k - 1
		if k == -steps || k != steps && at(k-1) < at(k+1) {
			previous = k + 1
		}
		fromX := at(previous)
		fromY := fromX - previous
		if steps == 0 {
			fromX, fromY = 0, 0
		}
		for x > fromX && y > fromY {
			x, y = x-1, y-1
			back = append(back, change{' ', a[x]})
		}
		switch {
		case steps == 0:
		case x == fromX:
			y--
			back = append(back, change{'+', b[y]})
		default:
			x--
			back = append(back, change{'-', a[x]})
		}
	}
	out := make([]change, 0, len(back))
	for i := len(back) - 1; i >= 0; i-- {
		out = append(out, back[i])
	}
	return out
}

// hiddenKeys are keys of Kratos whose values are secrets, or hold one.
const hiddenKeys = `["']?\b(?:value|password|dsn|\w*secrets?|connection_uri|\w*private_key|\w*token|cookie|cipher|default|authorization)["']?\s*:`

// hiddenPattern finds one with a value on its line, in a comment too.
var hiddenPattern = regexp.MustCompile(`(?i)^(.*?` + hiddenKeys + `)\s*(\S.*)`)

// anchorPattern is what stands behind a key that has an anchor and begins a mapping.
var anchorPattern = regexp.MustCompile(`^&\S+\s*(?:#.*)?$`)

// blockPattern finds those whose value goes on in the lines below: `secrets:` itself,
// and texts.
var blockPattern = regexp.MustCompile(`(?i)^([ -]*)(?:["']?secrets["']?\s*:\s*(?:[#&].*)?$|` + hiddenKeys + `\s*(?:&\S+\s+)?[|>"'])`)

// variablePattern is a value that is nothing but the name of a variable.
var variablePattern = regexp.MustCompile(`^["']?\$\{\w+\}["']?\s*(?:#.*)?$`)

// userPattern is the user in a URL.
var userPattern = regexp.MustCompile(`://[^/\s@]+@`)

const (
	hidden = "[hidden]"
	// minFingerprinted is how long a key is whose fingerprint gives nothing away, in bytes.
	minFingerprinted = 32
	maxTemplate      = 48 // characters of an inline template that are shown
)

// redacted are the lines as they may be shown.
func redacted(changes []change, keys []secret.String) []string {
	shown := make([]string, len(changes))
	block := -1 // the column of a key whose secret lines follow
	for i, c := range changes {
		line := strings.TrimRight(c.line, "\r\n")
		text := strings.TrimLeft(line, " ")
		column := len(line) - len(text)
		switch {
		case text == "":
		case block >= 0 && (column > block || column == block && strings.HasPrefix(text, "-")):
			shown[i] = line[:column] + hidden
			continue
		default:
			block = -1
		}
		if found := blockPattern.FindStringSubmatch(line); found != nil {
			block = len(found[1])
		}
		shown[i] = redactLine(line, keys)
	}
	return shown
}

var templatePattern = regexp.MustCompile(regexp.QuoteMeta(base64Prefix) + `[A-Za-z0-9+/=]+`)

// redactLine hides what may be a secret. Of ferry's own keys it shows fingerprints.
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
