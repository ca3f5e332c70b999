package inputfile

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
)

// zipMagic begins a zip archive that has files.
const zipMagic = "PK\x03\x04"

var (
	errZip       = &Fault{"the zip archive is damaged or not whole", "copy the whole file again"}
	errZipLocked = &Fault{"the zip archive is encrypted or packed in an unusual way", "unpack it first"}
	errOffice    = &Fault{"the file is a spreadsheet or an office document", "save it as CSV"}
)

// Zip is the only file within a zip archive.
type Zip struct {
	// Offset and Size are those of the packed file within the archive.
	Offset, Size int64

	stored   bool
	unpacked uint64
	sum      uint32
}

// OpenZip finds the only file within a zip archive; nil if the file is not an archive. Notes
// of operating systems do not count. An archive that cannot be read is reported as a Fault.
func OpenZip(raw io.ReaderAt, size int64) (*Zip, error) {
	magic := make([]byte, len(zipMagic))
	if n, err := raw.ReadAt(magic, 0); string(magic[:n]) != zipMagic {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	archive, err := zip.NewReader(raw, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, errZip
	}
	isOffice := func(f *zip.File) bool { return f.Name == "[Content_Types].xml" || f.Name == "content.xml" }
	if slices.ContainsFunc(archive.File, isOffice) {
		return nil, errOffice
	}
	files := slices.DeleteFunc(slices.Clone(archive.File), isNote)
	if len(files) != 1 {
		return nil, &Fault{fmt.Sprintf("the zip archive has %d files", len(files)), "unpack it, and give one of them"}
	}
	file := files[0]
	const encrypted = 1
	if file.Flags&encrypted != 0 || file.Method != zip.Store && file.Method != zip.Deflate {
		return nil, errZipLocked
	}
	offset, err := file.DataOffset()
	packed := int64(file.CompressedSize64) //nolint:gosec // checked below
	if err != nil || packed < 0 || offset > size-packed {
		return nil, errZip
	}
	return &Zip{Offset: offset, Size: packed, stored: file.Method == zip.Store, unpacked: file.UncompressedSize64, sum: file.CRC32}, nil
}

// isNote reports whether a member is a directory, or what macOS adds.
func isNote(f *zip.File) bool {
	base := path.Base(f.Name)
	return strings.HasSuffix(f.Name, "/") || strings.HasPrefix(f.Name, "__MACOSX/") || base == ".DS_Store" || strings.HasPrefix(base, "._")
}

// Unpack reads the file. packed are its Size bytes in the archive. Damage is reported as a
// Fault, at the end at the latest.
func (z *Zip) Unpack(packed io.Reader) io.Reader {
	if !z.stored {
		packed = flate.NewReader(packed)
	}
	return &checked{in: packed, zip: z, sum: crc32.NewIEEE()}
}

// checked compares the file with its size and sum in the archive.
type checked struct {
	in   io.Reader
	zip  *Zip
	read uint64
	sum  hash.Hash32
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.read += uint64(n)       //nolint:gosec // never negative
	_, _ = c.sum.Write(p[:n]) // a hash returns no errors
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF) && (c.read != c.zip.unpacked || c.sum.Sum32() != c.zip.sum),
		errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		return n, errZip
	}
	return n, err
}
