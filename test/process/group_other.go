//go:build unix && !linux

package process

import "syscall"

// group puts a child into a group of its own. Only Linux can tie its life to the
// parent's.
func group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
