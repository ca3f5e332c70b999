package mapping

import "time"

// ValidateWhole is Validate without the quick answer, the verdict of the library alone.
func (s *Schema) ValidateWhole(traits map[string]any) error { return s.explain(traits) }

// IsQuick reports whether Validate answers for such traits without the library.
func (s *Schema) IsQuick(traits map[string]any) bool { return s.quick.allows(traits) }

// IsEmail is the check of the format email.
func IsEmail(text string) bool { return isEmail(text) }

// WithMaxTime is the mapper of a program, with another bound on its time.
func WithMaxTime(m Mapper, maxTime time.Duration) Mapper {
	m.(*jsonnetMapper).maxTime = maxTime
	return m
}

// Left is how many calls of the mapper still run that nobody waits for.
func Left(m Mapper) int { return int(m.(*jsonnetMapper).left.Load()) }
