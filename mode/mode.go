// Package mode says what ferry does with logins, and lets an operator change it while ferry
// runs.
//
//	on        logins are decided, and matches are given
//	observe   logins are decided, but no match is given and no identity is created
//	off       no login is decided, and Auth0 is not asked
//
// A [Switch] holds the mode of one process. It reads the mode from a file when the file
// changes and when it is told to (SIGHUP), and takes it from the admin listener. The last
// change counts. A start begins with the file, or with the setting where there is no file.
//
// The package decides no login and answers no one.
package mode

import (
	"errors"

	"ferry/wire"
)

// Mode is what ferry does with logins. The zero value is Off.
type Mode uint8

// The modes.
const (
	// Off: no login is decided, and Auth0 is not asked.
	Off Mode = iota
	// Observe: everything is done as with On, but no match is given and no identity is
	// created.
	Observe
	// On: ferry works.
	On
)

// All returns every mode.
func All() []Mode { return []Mode{On, Observe, Off} }

// Parse reads the name of a mode. Its error does not quote the text.
func Parse(text string) (Mode, error) {
	for _, m := range All() {
		if text == m.String() {
			return m, nil
		}
	}
	return Off, errors.New("the mode must be on, observe or off")
}

// String returns the name of the mode in settings, logs and metrics.
func (m Mode) String() string {
	switch m {
	case On:
		return wire.ModeOn
	case Observe:
		return wire.ModeObserve
	case Off:
	}
	return wire.ModeOff
}
