package progress

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	// progressEvery is how often a line is printed where there is no terminal.
	progressEvery = 5 * time.Second
	// progressRedraw is how often the bar is redrawn at most.
	progressRedraw = 100 * time.Millisecond
	// barColumns is how many columns the bar and its figures need.
	barColumns = 80
)

// Terminal is a Reporter that writes for people: a bar if it writes to a terminal that is
// wide enough, else a line every few seconds.
type Terminal struct {
	to  io.Writer
	now func() time.Time

	mu      sync.Mutex
	columns func() int               // of the terminal; 0: there is none
	bar     *progressbar.ProgressBar // of the phase, on a terminal that is wide enough
	phase   string                   // what is counted; empty between phases
	unit    unit                     // of what is counted
	total   int64                    // 0: unknown
	count   int64
	began   time.Time
	told    time.Time // when the last line was printed
}

// NewTerminal returns a Reporter that writes to to, usually standard error.
func NewTerminal(to io.Writer) *Terminal {
	return &Terminal{to: to, now: time.Now, columns: func() int { return columnsOf(to) }}
}

// columnsOf returns the width of a terminal, 0 if the writer is not a terminal.
func columnsOf(to io.Writer) int {
	file, ok := to.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	if columns < 1 {
		return barColumns // a terminal that does not say
	}
	return columns
}

// Start implements Reporter.
func (p *Terminal) Start(what string, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.phase, p.unit = unitOf(what)
	p.total, p.count, p.began = max(total, 0), 0, p.now()
	p.told = p.began
	if p.columns() >= barColumns {
		p.bar = newBar(p.to, p.phase, p.total, p.unit)
	}
}

// Add implements Reporter.
func (p *Terminal) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == "" {
		return
	}
	p.count += n
	if p.bar != nil {
		_ = p.bar.Add64(n) // its errors are of a terminal that has gone, or of more than the total
		return
	}
	now := p.now()
	if now.Sub(p.told) < progressRedraw {
		return
	}
	switch width := p.columns(); {
	case width > 0:
		p.told = now
		_, _ = fmt.Fprint(p.to, clearLine, shortened(p.line(now.Sub(p.began)), width-1))
	case now.Sub(p.told) >= progressEvery:
		p.told = now
		_, _ = fmt.Fprintln(p.to, p.line(now.Sub(p.began)))
	}
}

// clearLine empties the line of the terminal and returns to its start.
const clearLine = "\x1b[2K\r"

// shortened cuts an ASCII text to a number of columns.
func shortened(text string, columns int) string {
	return text[:min(len(text), max(columns, 0))]
}

// clear removes the bar or the text from the terminal's line.
func (p *Terminal) clear() {
	switch {
	case p.bar != nil:
		_ = p.bar.Clear()
	case p.phase != "" && p.columns() > 0:
		_, _ = fmt.Fprint(p.to, clearLine)
	}
}

// Say implements Reporter.
func (p *Terminal) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	_, _ = fmt.Fprintln(p.to, line)
}

// Done implements Reporter.
func (p *Terminal) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// end prints the total of the phase.
func (p *Terminal) end() {
	if p.phase == "" {
		return
	}
	p.clear()
	if p.bar != nil {
		_ = p.bar.Exit()
		p.bar = nil
	}
	took := p.now().Sub(p.began)
	_, _ = fmt.Fprintf(p.to, "%s: %s in %s%s\n", p.phase, p.amount(p.count), took.Round(time.Second/10), p.rate(took))
	p.phase = ""
}

// unit is what a phase counts.
type unit int

const (
	things unit = iota
	bytesRead
	percent
)

// unitOf splits the argument of Start into the phase and its unit.
func unitOf(what string) (phase string, _ unit) {
	if phase, found := strings.CutSuffix(what, ", bytes"); found {
		return phase, bytesRead
	}
	if phase, found := strings.CutSuffix(what, ", percent"); found {
		return phase, percent
	}
	return what, things
}

// line describes the phase so far: "users: 12,000 of 100,000 (12%), 2,400/s, 37s left".
func (p *Terminal) line(took time.Duration) string {
	text := p.phase + ": " + p.amount(p.count)
	if p.total > 0 && p.unit != percent {
		text += fmt.Sprintf(" of %s (%d%%)", p.amount(p.total), min(p.count*100/p.total, 100))
	}
	text += p.rate(took)
	if p.total > p.count && p.count > 0 {
		left := time.Duration(float64(took) / float64(p.count) * float64(p.total-p.count))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

// rate describes how much is done in a second; empty if it is too early to tell.
func (p *Terminal) rate(took time.Duration) string {
	if p.count == 0 || took < time.Second || p.unit == percent {
		return ""
	}
	perSecond := float64(p.count) / took.Seconds()
	if perSecond < 1 {
		return fmt.Sprintf(", %.0f/min", perSecond*60)
	}
	return ", " + p.amount(int64(perSecond)) + "/s"
}

func (p *Terminal) amount(n int64) string {
	switch p.unit {
	case bytesRead:
		return Size(n)
	case percent:
		return Grouped(n) + "%"
	case things:
	}
	return Grouped(n)
}

// newBar returns a bar that starts no goroutine.
func newBar(to io.Writer, what string, total int64, counted unit) *progressbar.ProgressBar {
	if total == 0 {
		total = -1 // unknown
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(to),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionThrottle(progressRedraw),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionShowBytes(counted == bytesRead),
		progressbar.OptionShowTotalBytes(total > 0),
	}
	switch counted {
	case things:
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(""))
	case bytesRead: // their rate is shown with them
		options = append(options, progressbar.OptionShowCount())
	case percent: // the bar shows it
	}
	bar := progressbar.NewOptions64(total, options...)
	_ = bar.RenderBlank() // the clock runs from here
	return bar
}

// Grouped formats a number with commas between thousands.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Size formats a number of bytes, such as 1.2 MB.
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	size, unit := float64(n)/1000, 0
	for ; size >= 999.95 && unit < 3; unit++ {
		size /= 1000
	}
	return fmt.Sprintf("%.1f %s", size, []string{"kB", "MB", "GB", "TB"}[unit])
}
