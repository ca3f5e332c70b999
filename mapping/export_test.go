package mapping

import "time"

// IsEmail is the check of the format email.
func IsEmail(text string) bool { return isEmail(text) }

// WithMaxTime is the mapper of a program, with another bound on its time.
func WithMaxTime(m Mapper, maxTime time.Duration) Mapper {
	m.(*jsonnetMapper).maxTime = maxTime
	return m
}

// Left returns how many abandoned calls of the mapper still run.
func Left(m Mapper) int { return int(m.(*jsonnetMapper).left.Load()) }
