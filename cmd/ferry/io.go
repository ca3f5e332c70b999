package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxInput is the maximum size of a file in bytes, more than any user object, mapper, schema or
// configuration.
const maxInput = 16 << 20

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // G304: the file that the operator names
	if err != nil {
		return nil, err
	}
	text, err := readInput(file)
	return text, errors.Join(err, file.Close())
}

func readInput(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("read input: more than %d bytes", maxInput)
	}
	return text, err
}

// printPlainJSON is printJSON without escaping &, < and >.
func printPlainJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
