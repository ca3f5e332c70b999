package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	ossignal "os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ferry/test/process"
)

const stays = "Ctrl-C stops everything."

// startKept runs the demo until everything is up, and finds its children.
func startKept(t *testing.T) (*demo, map[string]int) {
	t.Helper()
	d := start(t, programs(t), "KEEP=1")
	awaitTrue(t, "everything to be up", func() bool { return d.out.Contains(stays) || d.process.Exited() })
	found := children(t, d.process.Pid())
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	if len(found) != 4 || !slices.Contains(names, "ferry") || !slices.Contains(names, "auth0sim") {
		t.Fatalf("the children are %q, want ferry, auth0sim, Kratos and Hydra", names)
	}
	return d, found
}

// children returns the running child processes of a process by name: /proc/PID/stat,
// see proc(5).
func children(t *testing.T, parent int) map[string]int {
	t.Helper()
	found := map[string]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, err := readStat(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		if stat.parent == parent && !stat.zombie {
			found[stat.name] = stat.pid
		}
	}
	return found
}

type stat struct {
	pid    int
	name   string
	zombie bool
	parent int
}

func readStat(path string) (stat, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	// PID (NAME) STATE PPID …, and the name may hold anything.
	before, after := string(text), ""
	if end := strings.LastIndex(before, ")"); end >= 0 {
		before, after = before[:end], before[end+1:]
	}
	pid, name, _ := strings.Cut(before, " (")
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return stat{}, fmt.Errorf("%s: %q", path, text)
	}
	s := stat{name: name, zombie: fields[0] == "Z" || fields[0] == "X"}
	var bad [2]error
	s.pid, bad[0] = strconv.Atoi(pid)
	s.parent, bad[1] = strconv.Atoi(fields[1])
	return s, errors.Join(bad[:]...)
}

// mustBeGone waits for the end of processes. A zombie counts as ended: in a container
// there may be no process that reaps it.
func mustBeGone(t *testing.T, processes map[string]int) {
	t.Helper()
	for name, pid := range processes {
		awaitTrue(t, "the end of "+name, func() bool {
			s, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || s.zombie || s.name != name
		})
	}
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// TestKept: with KEEP the demo stays up and the printed commands work. Ctrl-C ends it
// successfully.
func TestKept(t *testing.T) {
	t.Parallel()
	d, processes := startKept(t)
	testRecipes(t, d.out.String())
	d.mustSay(t, `"outcome":"match"`) // ferry's log of it
	signal(t, d.process.Pid(), syscall.SIGINT)
	d.mustEnd(t, 0)
	mustBeGone(t, processes)
}

// TestKilled: after SIGKILL no process is left.
func TestKilled(t *testing.T) {
	t.Parallel()
	d, processes := startKept(t)
	signal(t, d.process.Pid(), syscall.SIGKILL)
	awaitTrue(t, "the demo's end", d.process.Exited)
	mustBeGone(t, processes)
}

// TestAProgramEnds: if one program ends, the demo names it and exits.
func TestAProgramEnds(t *testing.T) {
	t.Parallel()
	d, processes := startKept(t)
	signal(t, processes["ferry"], syscall.SIGKILL)
	d.mustEnd(t, 1)
	d.mustSay(t, "demo: ferry exited")
	mustBeGone(t, processes)
}

// TestCutShort: a signal arrives while Kratos starts.
func TestCutShort(t *testing.T) {
	t.Parallel()
	// Under nohup this process ignores SIGHUP, and its children inherit that. Catching
	// the signal resets it for them.
	hangups := make(chan os.Signal, 1)
	ossignal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { ossignal.Stop(hangups) })
	for s, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 143} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			d := start(t, programs(t))
			var processes map[string]int
			awaitTrue(t, "the simulator and Kratos", func() bool {
				processes = children(t, d.process.Pid())
				return len(processes) == 2
			})
			signal(t, d.process.Pid(), s)
			d.mustEnd(t, status)
			d.mustSay(t, "demo: "+s.String()+" signal received\n")
			mustBeGone(t, processes)
			if d.out.Contains("\n1. ") {
				t.Error("the story began")
			}
		})
	}
}

// TestReaderLeaves: demo | head.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	d := &demo{temp: t.TempDir()}
	d.process, err = process.Command{
		Path: filepath.Join(programs(t), "demo"), Env: append(os.Environ(), "KEEP=1", "TMPDIR="+d.temp), Output: write,
	}.Start(t.Context())
	if err := errors.Join(err, write.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.process.Stop(0); err != nil {
			t.Error(err)
		}
	})
	if _, err := bufio.NewReader(read).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	var processes map[string]int
	awaitTrue(t, "the simulator", func() bool {
		processes = children(t, d.process.Pid())
		return len(processes) > 0
	})
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	d.mustEnd(t, 1)
	mustBeGone(t, processes)
}
