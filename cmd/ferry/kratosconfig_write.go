package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"ferry/bulk/tempfile"
	"ferry/config"
	"ferry/verification"
)

// overwrite replaces a file atomically, with the same owner and mode. It replaces the target
// of a symbolic link, not the link. It does not replace a read-only file.
func overwrite(name string, was, text []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	const writable = 0o200
	if info.Mode().Perm()&writable == 0 {
		return errors.New("it is read-only, and was not changed: chmod u+w, if you may change it")
	}
	return tempfile.Replace(target, func(fresh *os.File) error {
		_, err := fresh.Write(text)
		return errors.Join(err, sameOwner(fresh, info), fresh.Chmod(info.Mode().Perm()), unchanged(target, was))
	})
}

// unchanged checks that no other program changed the file meanwhile.
func unchanged(name string, was []byte) error {
	now, err := os.ReadFile(name) //nolint:gosec // G304: the file that the operator names
	if err == nil && !bytes.Equal(now, was) {
		err = errors.New("another program has changed it in the meantime")
	}
	return err
}

// keepRecord records what the file now says, if it was written. Invalid settings are not an error
// here: --remove needs no settings.
func (f kratosConfigFlags) keepRecord(text []byte, stderr io.Writer) {
	cfg, err := config.LoadFor()
	if !f.write || err != nil || f.at != "" {
		return
	}
	record := verification.Record{Command: verification.KratosConfig, Started: time.Now(), OK: true}
	addKratosConfigTo(&record, text)
	keepRecord(context.Background(), cfg, record, stderr)
}
