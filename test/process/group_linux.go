package process

import "syscall"

// group puts a child into a group of its own and has the kernel kill it when the
// thread that started it ends (prctl(2), PR_SET_PDEATHSIG).
func group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
