package userfile

import (
	"bufio"
	"compress/gzip"
	"io"

	"ferry/bulk/inputfile"
)

// Tenant returns the canonical domain of the tenant that the users are of, or "" if the file
// does not name it: only `ferry export` does, and only in a gzip file.
func (s *Source) Tenant() string { return inputfile.TenantOf(s.comment()) }

// IsExport reports whether the file is a gzip file of `ferry export`, which asks Auth0 for
// all fields.
func (s *Source) IsExport() bool { return inputfile.IsExport(s.comment()) }

// comment returns the comment in the header of a gzip file.
func (s *Source) comment() string {
	unpacked, err := gzip.NewReader(bufio.NewReader(io.NewSectionReader(s.raw, 0, s.size)))
	if err != nil {
		return "" // not gzip, or damaged, which a pass reports
	}
	return unpacked.Comment
}
