package bulk

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/auth0sim/gen"
	"ferry/test/ferrytest/built"
	"ferry/test/fulldisk"
	"ferry/test/kratostest"
)

// onDisk runs the program to its end where it sees the disk.
func onDisk(t *testing.T, disk *fulldisk.Disk, env []string, args ...string) answer {
	t.Helper()
	command := append(append(disk.Under(), built.Ferry(t)), accepting(args)...)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// noSpace fails the test unless the error is that of a full disk.
func (a answer) noSpace(t *testing.T) answer {
	t.Helper()
	if !strings.Contains(a.stderr, "no space left on device") && !strings.Contains(a.stderr, "file too large") {
		t.Errorf("it does not say that the disk is full, but\n%s", a.stderr)
	}
	return a.want(t, 1)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exported is what ferry exports of the tenant while the disk is full, and then.
func (x *tenant) exported(t *testing.T, disk *fulldisk.Disk) {
	t.Helper()
	seed, err := os.Open(x.path(gen.SeedFile))
	must(t, err)
	tenant, err := auth0sim.ReadSeed(seed)
	must(t, errors.Join(err, seed.Close()))
	settings := tenant.Settings.Relaxed()
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &tenant.Tenant, Settings: &settings})
	env := []string{
		"FERRY_AUTH0_DOMAIN=" + sim.Domain(), "FERRY_AUTH0_BASE_URL=" + sim.URL(),
		"FERRY_AUTH0_MGMT_CLIENT_ID=" + gen.MachineID, "FERRY_AUTH0_MGMT_CLIENT_SECRET=" + gen.MachineSecret,
	}
	export := func() answer {
		t.Helper()
		return onDisk(t, disk, env, "export", "--out", filepath.Join(disk.Dir(), "users.ndjson"))
	}
	must(t, disk.FillBut(16<<10))
	export().noSpace(t)
	if _, err := os.Stat(disk.Path("users.ndjson")); err == nil {
		t.Error("a part of the export has the name of the whole")
	}
	must(t, disk.Free())
	export().want(t, 0)
	if users := readLines[struct{}](t, disk.Path("users.ndjson")); len(users) < 100 {
		t.Errorf("%d users", len(users))
	}
	must(t, os.Remove(disk.Path("users.ndjson")))
}

// TestFileSystemFull: an export, an import and a reconciliation on a full disk end with an error
// that says so. With room again the same commands go on, and nothing is missing.
func TestFileSystemFull(t *testing.T) {
	t.Parallel()
	x, disk := newTenant(t, 200, 8), fulldisk.New(t)
	x.exported(t, disk)

	k := newKratos(t, kratostest.Options{})
	results := filepath.Join(disk.Dir(), "results")
	run := func() answer {
		t.Helper()
		return onDisk(t, disk, adminURL(k), x.create("--results", results, "--temp-dir", x.dir)...)
	}
	must(t, disk.Fill())
	run().noSpace(t)
	if n := len(everybody(t, k)); n > 0 {
		t.Errorf("%d identities were created before the run could be resumed", n)
	}
	must(t, disk.Free())
	must(t, disk.FillBut(16<<10))
	says := []string{"rows failed"}
	if a := run().noSpace(t); !disk.IsLimit() { // which ends the temporary file before the results
		says = append(says, "continuing the run")
		if n := len(everybody(t, k)); n == 0 || !strings.Contains(a.stderr, "run the same command again") {
			t.Errorf("%d identities were created, and it says\n%s", n, a.stderr)
		}
	}
	must(t, disk.Free())
	run().want(t, 1, says...)
	got := readLines[result](t, disk.Path("results"))
	x.compare(t, got)
	x.thereAndBound(t, k, got)

	reconcile := func() answer {
		t.Helper()
		return onDisk(t, disk, adminURL(k), append([]string{
			"reconcile", "--users", x.path(gen.UsersFile), "--findings", filepath.Join(disk.Dir(), "findings"),
		}, google...)...)
	}
	must(t, disk.Fill())
	reconcile().noSpace(t)
	must(t, disk.Free())
	reconcile().want(t, 1, "verdict: ", "findings are open")
	if len(readLines[struct{}](t, disk.Path("findings"))) == 0 {
		t.Error("no findings")
	}
}
