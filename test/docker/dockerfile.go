package docker

import (
	"fmt"
	"strings"
)

// stage is one FROM of a Dockerfile with the instructions below it.
type stage struct {
	base  string
	name  string
	lines []instruction
}

type instruction struct {
	word string // upper case
	args string
}

// parse reads the part of the Dockerfile language that ferry's uses: comments,
// continued lines, stages. It refuses parser directives and here-documents.
func parse(source string) ([]stage, error) {
	var stages []stage
	for _, line := range logicalLines(source) {
		word, args, _ := strings.Cut(line, " ")
		in := instruction{word: strings.ToUpper(word), args: strings.TrimSpace(args)}
		switch {
		case strings.Contains(in.args, "<<"):
			return nil, fmt.Errorf("here-documents are not understood: %s", line)
		case in.word == "FROM":
			base, name, _ := strings.Cut(in.args, " AS ")
			stages = append(stages, stage{base: base, name: name})
		case len(stages) == 0:
			return nil, fmt.Errorf("an instruction before the first FROM: %s", line)
		default:
			last := &stages[len(stages)-1]
			last.lines = append(last.lines, in)
		}
	}
	return stages, nil
}

// logicalLines joins continued lines and drops comments and empty lines, which
// Docker allows inside a continued instruction too.
func logicalLines(source string) []string {
	var lines []string
	var open strings.Builder
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		rest, continued := strings.CutSuffix(line, `\`)
		open.WriteString(strings.TrimSpace(rest))
		if continued {
			open.WriteByte(' ')
			continue
		}
		lines = append(lines, open.String())
		open.Reset()
	}
	return lines
}

// all returns the arguments of every instruction with this word.
func (s stage) all(word string) []string {
	var args []string
	for _, in := range s.lines {
		if in.word == word {
			args = append(args, in.args)
		}
	}
	return args
}
