package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
	fresh, err := os.CreateTemp(filepath.Dir(target), ".kratos-config-*")
	if err != nil {
		return err
	}
	err = errors.Join(fill(fresh, text), sameOwner(fresh, info), fresh.Chmod(info.Mode().Perm()), fresh.Close())
	if err == nil {
		err = unchanged(target, was)
	}
	if err == nil {
		err = os.Rename(fresh.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return nil
}

func fill(file *os.File, text []byte) error {
	if _, err := file.Write(text); err != nil {
		return err
	}
	return file.Sync()
}

// unchanged checks that no other program changed the file meanwhile.
func unchanged(name string, was []byte) error {
	now, err := os.ReadFile(name)
	if err == nil && !bytes.Equal(now, was) {
		err = errors.New("it has changed meanwhile")
	}
	return err
}
