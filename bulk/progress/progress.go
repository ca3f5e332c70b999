// Package progress shows how far a run is. Packages report to a Reporter; Terminal prints
// for people. Nothing here decides anything or logs.
package progress

// Reporter shows the progress of a run. Its methods are called by several goroutines at
// once and must return quickly.
type Reporter interface {
	// Start begins a phase, and ends the one before. what names the things counted, and
	// ends in ", bytes" or ", percent" if that is the unit. total is how many there are,
	// 0 or less if that is not known.
	Start(what string, total int64)
	// Add counts n more; 0 is a sign of life.
	Add(n int64)
	// Say prints a line, which has no line break.
	Say(line string)
	// Done ends the phase.
	Done()
}
