package userfile

import (
	"bufio"
	"compress/gzip"
	"io"

	"ferry/bulk/inputfile"
)

// Tenant returns the canonical domain of the tenant that the users are of, or "" if the file
// does not name it: only `ferry export` does, and only in a gzip file.
func (s *Source) Tenant() string {
	if !s.gzip {
		return ""
	}
	unpacked, err := gzip.NewReader(bufio.NewReader(io.NewSectionReader(s.raw, 0, s.size)))
	if err != nil {
		return "" // a pass reports it
	}
	return inputfile.TenantOf(unpacked.Comment)
}
