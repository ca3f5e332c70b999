package userfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"slices"
	"strings"

	"ferry/bulk/inputfile"
)

// separators are those that columns may have: not bars, which user ids contain.
const separators = ",;\t"

// readSeparator finds out which character separates the columns: the one with which the
// header has the user id, or that a line sep=; before the header names, as spreadsheets
// write it. It reads that line and returns it.
func readSeparator(in *bufio.Reader, columns Columns) (first []byte, separator rune, err error) {
	start, _ := in.Peek(inputfile.BufferSize) // reading the header repeats an error
	line, _, _ := bytes.Cut(start, []byte("\n"))
	if named, found := namedSeparator(string(line)); found {
		if !strings.ContainsRune(separators, named) {
			return nil, 0, inputfile.NewFault("the columns are separated by "+string(named), "separate them by commas, semicolons or tabs")
		}
		first, err = in.ReadBytes('\n')
		return first, named, err
	}
	line, _, _ = bytes.Cut(bytes.TrimLeft(start, inputfile.Blanks), []byte("\n"))
	for _, candidate := range separators {
		if titles := split(string(line), candidate); titles != nil {
			if _, names := fieldsOf(titles, columns); slices.Contains(names, userID) {
				return nil, candidate, nil
			}
		}
	}
	return nil, ',', nil
}

// namedSeparator returns the separator that a line names, as in sep=;
func namedSeparator(line string) (separator rune, found bool) {
	text := strings.Trim(strings.TrimSuffix(line, "\r"), `"`)
	if len(text) != len("sep=;") || !strings.EqualFold(text[:len("sep=")], "sep=") {
		return 0, false
	}
	return rune(text[len(text)-1]), true
}

// split splits a header; nil if it is not valid CSV.
func split(header string, separator rune) []string {
	in := csv.NewReader(strings.NewReader(header))
	in.Comma = separator
	titles, err := in.Read()
	if err != nil {
		return nil
	}
	return titles
}
