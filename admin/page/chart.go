package page

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The size of a chart, in its own units. It is drawn as wide as a phone, and several stand
// beside each other on a wide screen, so that its letters stay readable.
const (
	chartWidth  = 360.0
	chartHeight = 190.0
	plotLeft    = 44.0
	plotRight   = 352.0
	plotTop     = 10.0
	plotBottom  = 162.0
	labelsAt    = 178.0
)

// chart is a drawing, with the same in words and as a table.
type chart struct {
	ID, Title string
	// Says is the drawing in a sentence.
	Says   string
	Empty  string // said instead of a drawing
	Grid   []gridLine
	Bars   []bar
	Lines  []line
	Labels []label
	Legend []legendEntry
	Head   []string
	Rows   [][]string
}

type gridLine struct{ Y, Text string }

type bar struct{ X, Y, Width, Height, Class, Says string }

type line struct{ Points, Class string }

type label struct{ X, Text, Anchor string }

type legendEntry struct{ Class, Text string }

// unit writes a length.
func unit(x float64) string { return fmt.Sprintf("%.1f", x) }

// scale maps values to the height of the plot.
type scale struct{ top int }

// newScale ends at a round number that is not below most, and adds its lines to the chart.
func (c *chart) newScale(most int) scale {
	s := scale{top: round(max(most, 1))}
	steps := 1
	for _, n := range []int{4, 5, 3, 2} {
		if value := s.top / n; s.top%n == 0 && round(value) == value {
			steps = n
			break
		}
	}
	for i := range steps + 1 {
		value := s.top / steps * i
		c.Grid = append(c.Grid, gridLine{unit(s.y(float64(value))), axisNumber(value)})
	}
	return s
}

func (s scale) y(value float64) float64 {
	return plotBottom - (plotBottom-plotTop)*value/float64(s.top)
}

// round returns a round number that is not below n.
func round(n int) int {
	power := 1
	for power <= n/10 {
		power *= 10
	}
	for _, halves := range []int{2, 3, 4, 6, 8, 10, 12, 16, 20} {
		if value := power * halves / 2; value >= n && power*halves%2 == 0 {
			return value
		}
	}
	return 10 * power
}

// slot is a bar, or a stack of bars.
type slot struct {
	name   string // in the table
	label  string // below the bar; empty: none
	values []part
}

// part is a part of a bar.
type part struct {
	value int
	class string
	name  string // of what is counted
}

// bars draws a slot beside the other.
func (c *chart) bars(slots []slot) {
	most := 0
	for _, s := range slots {
		sum := 0
		for _, one := range s.values {
			sum += one.value
		}
		most = max(most, sum)
	}
	scale := c.newScale(most)
	width := (plotRight - plotLeft) / float64(len(slots))
	gap := min(2, width/4)
	for i, s := range slots {
		x, below := plotLeft+float64(i)*width, 0
		row := []string{s.name}
		for _, one := range s.values {
			row = append(row, number(one.value))
			if one.value == 0 {
				continue
			}
			top, bottom := scale.y(float64(below+one.value)), scale.y(float64(below))
			if bottom-top < 1 {
				top = bottom - 1 // one user among millions is still seen
			}
			c.Bars = append(c.Bars, bar{unit(x + gap/2), unit(top), unit(width - gap), unit(bottom - top), one.class, s.name + ": " + number(one.value) + " " + one.name})
			below += one.value
		}
		if s.label != "" {
			c.Labels = append(c.Labels, barLabel(i, len(slots), x, width, s.label))
		}
		c.Rows = append(c.Rows, row)
	}
}

// barLabel keeps the labels of the first and the last bar inside the drawing.
func barLabel(i, of int, x, width float64, text string) label {
	switch i {
	case 0:
		return label{unit(x), text, "start"}
	case of - 1:
		return label{unit(x + width), text, "end"}
	}
	return label{unit(x + width/2), text, "middle"}
}

// point is a value at a time.
type point struct {
	at    time.Time
	value float64
}

// timeAxis maps times to the width of the plot, and adds labels to the chart.
func (c *chart) timeAxis(from, to time.Time) func(time.Time) float64 {
	whole := max(to.Sub(from), time.Hour)
	x := func(at time.Time) float64 {
		share := float64(at.Sub(from)) / float64(whole)
		return plotLeft + (plotRight-plotLeft)*min(max(share, 0), 1)
	}
	format := "2 Jan"
	if whole > 300*day {
		format = "Jan 2006"
	}
	for i, anchor := range []string{"start", "middle", "end"} {
		at := from.Add(whole / 2 * time.Duration(i))
		c.Labels = append(c.Labels, label{unit(x(at)), at.UTC().Format(format), anchor})
	}
	return x
}

// draw adds a line. Points that could not be told apart are left out.
func (c *chart) draw(points []point, class string, x func(time.Time) float64, s scale) {
	var text strings.Builder
	last := math.Inf(-1)
	for i, p := range points {
		at := x(p.at)
		if i > 0 && i < len(points)-1 && at-last < 0.5 {
			continue
		}
		last = at
		fmt.Fprintf(&text, "%s,%s ", unit(at), unit(s.y(p.value)))
	}
	c.Lines = append(c.Lines, line{strings.TrimSpace(text.String()), class})
}
