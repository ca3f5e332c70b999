// Package fulldisk gives programs a small file system that tests can fill. It is a tmpfs in a
// mount namespace of its own, which a program sees that runs under the command of Under: made
// by root, or else in a user namespace. Where a system allows neither, a limit on the size of
// files takes its place (RLIMIT_FSIZE): while the disk is full, no file can grow.
package fulldisk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ferry/test/process"
)

// Size is the size of the file system in bytes.
const Size = 1 << 20

const (
	startWait = 20 * time.Second
	poll      = 5 * time.Millisecond
)

// Disk is a small file system.
type Disk struct {
	dir   string
	limit string // of files, where there is no file system
	// holder is a process in the namespaces of the disk, as long as the disk lasts; nil: there is a
	// limit instead.
	holder *process.Process
	enter  []string // runs a program in them
}

// New makes a disk, which lasts as long as the test.
func New(t *testing.T) *Disk {
	t.Helper()
	var faults error
	for _, namespaces := range [][]string{{"--mount"}, {"--user", "--map-root-user", "--mount"}} {
		d, err := mounted(t, namespaces)
		if err == nil {
			return d
		}
		faults = errors.Join(faults, err)
	}
	t.Logf("no file system of its own (%v): a limit on the size of files takes its place", faults)
	return Limited(t)
}

// Limited returns a disk that is a limit.
func Limited(t *testing.T) *Disk {
	t.Helper()
	return &Disk{dir: t.TempDir(), limit: unlimited}
}

const unlimited = "unlimited"

// mounted makes a tmpfs in new namespaces.
func mounted(t *testing.T, namespaces []string) (*Disk, error) {
	t.Helper()
	d := &Disk{dir: t.TempDir()}
	log := &process.Log{}
	script := fmt.Sprintf(`mount -t tmpfs -o size=%d,mode=700 tmpfs "$0" && echo mounted && exec sleep infinity`, Size)
	var err error
	d.holder, err = process.Command{
		Path: "/usr/bin/env", Args: append(append([]string{"unshare"}, namespaces...), "sh", "-c", script, d.dir),
		Env: []string{"PATH=" + os.Getenv("PATH")}, Output: log,
	}.Start(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = d.holder.Stop(0) })
	deadline, tick := time.NewTimer(startWait), time.NewTicker(poll)
	defer deadline.Stop()
	defer tick.Stop()
	for !log.Contains("mounted") {
		select {
		case <-tick.C:
		case <-d.holder.Done():
			return nil, fmt.Errorf("fulldisk: mount: %s", log.Tail(3))
		case <-deadline.C:
			return nil, errors.New("fulldisk: mount: it takes too long")
		}
	}
	d.enter = []string{"nsenter", "--target=" + strconv.Itoa(d.holder.Pid()), "--preserve-credentials"}
	for _, namespace := range namespaces {
		if namespace != "--map-root-user" {
			d.enter = append(d.enter, namespace)
		}
	}
	return d, nil
}

// IsLimit reports whether the disk is a limit on the size of each file.
func (d *Disk) IsLimit() bool { return d.holder == nil }

// Dir is where programs see the disk that run under Under.
func (d *Disk) Dir() string { return d.dir }

// Path is the path of a file of the disk as the test sees it.
func (d *Disk) Path(name string) string {
	if d.holder == nil {
		return filepath.Join(d.dir, name)
	}
	return filepath.Join("/proc", strconv.Itoa(d.holder.Pid()), "root", d.dir, name)
}

// Under is the command that runs a program, given as its last arguments, with the disk. The
// program keeps the process id.
func (d *Disk) Under() []string {
	if d.holder != nil {
		return append([]string{"/usr/bin/env"}, d.enter...)
	}
	return append([]string{"/usr/bin/env", "prlimit", "--fsize=" + d.limit + ":", "--"}, "env")
}

const filler = "filler"

// Fill fills the disk to the last byte. Where it is a limit, running are the programs to which
// it applies from now on.
func (d *Disk) Fill(running ...int) error { return d.FillBut(0, running...) }

// FillBut fills the disk but for some bytes, of which a file system makes whole pages. A limit
// is one of each file.
func (d *Disk) FillBut(left int64, running ...int) error {
	if d.holder == nil {
		d.limit = strconv.FormatInt(left, 10)
		return d.limitSize(running)
	}
	file, err := os.OpenFile(d.Path(filler), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for size := 4096; size > 0; {
		if _, err = file.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(fmt.Errorf("fulldisk: fill: %w", err), file.Close())
	}
	info, err := file.Stat()
	if err == nil && left > 0 {
		err = file.Truncate(max(info.Size()-left, 0))
	}
	return errors.Join(err, file.Close())
}

// Free frees it again.
func (d *Disk) Free(running ...int) error {
	if d.holder == nil {
		d.limit = unlimited
		return d.limitSize(running)
	}
	return os.Remove(d.Path(filler))
}

// limitSize sets the limit of running programs.
func (d *Disk) limitSize(running []int) error {
	for _, pid := range running {
		out, err := exec.Command("prlimit", "--pid="+strconv.Itoa(pid), "--fsize="+d.limit+":").CombinedOutput()
		if err != nil {
			return fmt.Errorf("fulldisk: prlimit: %w: %s", err, out)
		}
	}
	return nil
}
