package mapping

// ValidateWhole is Validate without the quick answer, the verdict of the library alone.
func (s *Schema) ValidateWhole(traits map[string]any) error { return s.explain(traits) }

// IsQuick reports whether Validate answers for such traits without the library.
func (s *Schema) IsQuick(traits map[string]any) bool { return s.quick.allows(traits) }

// IsEmail is the check of the format email.
func IsEmail(text string) bool { return isEmail(text) }
