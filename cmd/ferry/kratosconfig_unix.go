//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// sameOwner gives a file the owner of another one, so that Kratos can read it.
func sameOwner(file *os.File, like fs.FileInfo) error {
	fresh, err := file.Stat()
	if err != nil {
		return err
	}
	want, known := like.Sys().(*syscall.Stat_t)
	have, _ := fresh.Sys().(*syscall.Stat_t)
	if !known || have != nil && want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}
