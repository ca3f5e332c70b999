package process_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// parentVariable makes TestDiesWithItsParent the parent that is killed.
const parentVariable = "PROCESS_TEST_PARENT"

// TestDiesWithItsParent: a child ends when its parent is killed with SIGKILL.
func TestDiesWithItsParent(t *testing.T) {
	if os.Getenv(parentVariable) != "" {
		p, err := shell("exec sleep 300", io.Discard).Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\nchild %d\n", p.Pid()) //nolint:forbidigo // read by the test below
		<-p.Done()
		return
	}
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiesWithItsParent$")
	parent.Env = append(os.Environ(), parentVariable+"=yes")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	child := readChild(t, output)
	if !alive(child) {
		t.Error("the child is not running")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	poll(t, "the child's end", func() bool { return !alive(child) })
}

func readChild(t *testing.T, output io.Reader) int {
	t.Helper()
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "child "); ok {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("the parent said nothing of a child: %v", lines.Err())
	return 0
}

// alive reports false for zombies too: in a container there may be no process that
// reaps them.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
