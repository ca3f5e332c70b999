package plan

import (
	"fmt"
	"slices"
	"strings"

	"ferry/bulk/results"
)

const (
	// maxFoldings bounds the groups of lines that a summary lists.
	maxFoldings = 100
	// toldFoldings bounds the groups that a warning lists.
	toldFoldings = 10
)

// warnAboutFile warns of shared identifiers and of those that the next Kratos would fold.
func (p *Plan) warnAboutFile() {
	p.People = p.countPeople()
	if text := p.People.warning(p.opts.Merge); text != "" {
		p.warnings = slices.Insert(p.warnings, 0, text)
	}
	p.Shared = p.identifiers.shared(p.creates)
	if p.Shared > 0 {
		p.warn(fmt.Sprintf("%d rows have an identifier or address that another row has too, and in Kratos only one identity can have it: they fail as %s. "+
			"Auth0 lets users share an e-mail address; a schema whose only identifier is the username, and that neither verifies the e-mail address nor recovers by it, accepts them all",
			p.Shared, results.ReasonTwice))
	}
	p.Folding, p.FoldingLines = p.foldings()
	if p.Folding > 0 {
		var told []string
		for _, lines := range p.FoldingLines[:min(len(p.FoldingLines), toldFoldings)] {
			told = append(told, strings.Trim(strings.ReplaceAll(fmt.Sprint(lines), " ", " and "), "[]"))
		}
		more := ""
		if p.Folding > len(told) {
			more = ", and more"
		}
		p.warn(fmt.Sprintf("%d identifiers of several users would become one at a Kratos later than 26.2, which drops invisible characters, replaces compatibility forms and writes phone numbers as E.164: lines %s%s",
			p.Folding, strings.Join(told, ", "), more))
	}
}

// shared counts the lines among creates that lose an identifier.
func (x *index) shared(creates results.LineSet) int {
	var lines results.LineSet
	for _, l := range x.collisions {
		if !l.user && creates.Has(int(l.line)) {
			lines.Add(int(l.line))
		}
	}
	return lines.Shared(creates)
}

// foldings returns the groups of lines whose identifiers the next Kratos would take for one.
// It leaves out rows that get no identity anyway.
func (p *Plan) foldings() (count int, groups [][]int) {
	for i := range p.folded.buckets {
		bucket := p.folded.buckets[i]
		for start := 0; start < len(bucket); {
			end := start + 1
			for end < len(bucket) && same(bucket[start], bucket[end]) {
				end++
			}
			lines := p.identifiers.linesOf(byte(i), bucket[start].high, bucket[start].low)
			for _, c := range bucket[start:end] {
				lines = append(lines, int(c.line()))
			}
			start = end
			slices.Sort(lines)
			lines = slices.DeleteFunc(slices.Compact(lines), func(line int) bool {
				_, lost := p.identifiers.collisionOf(line)
				return lost || !p.creates.Has(line)
			})
			lines = slices.CompactFunc(lines, func(a, b int) bool { return p.identifiers.people.same(uint32(a), uint32(b)) }) //nolint:gosec // bounded in add
			if len(lines) < 2 {
				continue
			}
			if count++; len(groups) < maxFoldings {
				groups = append(groups, lines)
			}
		}
	}
	slices.SortFunc(groups, slices.Compare)
	return count, groups
}
