package bulk

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ferry/test/auth0sim/gen"
	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/test/process"
)

// kills is how often the import is killed; each run resumes the one before.
const kills = 50

// TestKilled: however often and wherever an import is killed, in the end every row has
// one correct result, and no user has two identities.
func TestKilled(t *testing.T) {
	t.Parallel()
	killed := 0
	for seed := uint64(10); killed < kills; seed++ {
		if seed == 20 {
			t.Fatalf("after ten tenants it was killed %d times", killed)
		}
		killed += killedImport(t, seed, kills-killed)
	}
}

// killedImport imports one tenant and kills the import at most so many times.
func killedImport(t *testing.T, seed uint64, most int) (killed int) {
	t.Helper()
	x := newTenant(t, 3000, seed)
	k := newKratos(t, kratostest.Options{})
	points := rand.New(rand.NewPCG(seed, 50))
	args := x.create("--results", x.path("results"))
	for killed < most {
		p, _ := start(t, adminURL(k), args...)
		if !killAt(t, x, p, points) {
			break
		}
		killed++
	}
	ferry(t, adminURL(k), args...).want(t, 1, "rows failed")
	results := readLines[result](t, x.path("results"))
	x.compare(t, results)
	x.thereAndBound(t, k, results)
	t.Logf("killed %d times", killed)
	return killed
}

// killAt kills the import after a random time or number of results. It reports false
// if the import ended first.
func killAt(t *testing.T, x *tenant, p *process.Process, points *rand.Rand) bool {
	t.Helper()
	after := time.Duration(points.IntN(400)) * time.Millisecond
	var more int64
	if points.IntN(5) > 0 {
		after, more = time.Minute, int64(points.IntN(20_000))
	}
	before := sizeOf(x.path("results"))
	timer, tick := time.NewTimer(after), time.NewTicker(time.Millisecond)
	defer timer.Stop()
	defer tick.Stop()
	for {
		select {
		case <-p.Done():
			return false
		case <-timer.C:
		case <-tick.C:
			if more == 0 || sizeOf(x.path("results"))-before < more {
				continue
			}
		}
		if err := p.Stop(0); err != nil {
			t.Fatal(err)
		}
		return true
	}
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// TestKratosStops: Kratos stops during the import and is restarted with its database.
func TestKratosStops(t *testing.T) {
	t.Parallel()
	x := newTenant(t, 1500, 4)
	dir := t.TempDir()
	k := newKratos(t, kratostest.Options{Dir: dir})
	args := x.create("--results", x.path("results"), "--retry-for", "1s")
	p, printed := start(t, adminURL(k), args...)
	defer func() { _ = p.Stop(0) }()
	if !await.True(func() bool { return sizeOf(x.path("results")) > 0 }) {
		t.Fatal("there are no results")
	}
	if err := k.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(time.Minute):
		t.Fatal("the import does not end")
	}
	if says := "nothing is lost, the same command continues from here"; p.Err() == nil || !strings.Contains(printed.String(), says) {
		t.Errorf("it ends with %v and says\n%s", p.Err(), printed)
	}
	ferry(t, adminURL(k), args...).want(t, 1, "is FERRY_KRATOS_ADMIN_URL its admin API, and does it run?")
	k = newKratos(t, kratostest.Options{Dir: dir})
	ferry(t, adminURL(k), args...).want(t, 1, "continuing the run", "rows failed")
	results := readLines[result](t, x.path("results"))
	x.compare(t, results)
	x.thereAndBound(t, k, results)
}

// TestBrokenFiles: faults in the files are found before anything is written.
func TestBrokenFiles(t *testing.T) {
	x, other := newTenant(t, 500, 5), newTenant(t, 500, 6)
	k := newKratos(t, kratostest.Options{})
	users, err := os.ReadFile(x.path(gen.UsersFile))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(users); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		if err := os.WriteFile(x.path(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		return x.path(name)
	}
	whole := write("whole.gz", packed.Bytes())
	cut := write("cut.gz", packed.Bytes()[:packed.Len()/2])
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a truncated gzip file":           {[]string{"--users", cut, "--results", x.path("r1")}, "ends too early"},
		"another tenant's hashes":         {[]string{"--users", whole, "--hashes", foreign(t, other)}, "from different tenants; nothing was written"},
		"hashes that name another tenant": {[]string{"--users", whole, "--hashes", x.path(gen.HashesFile), "--tenant", "prod"}, `is of the tenant "sim", not of "prod"`},
		"no such file":                    {[]string{"--users", x.path("nobody")}, "no such file"},
		"an invalid schema":               {[]string{"--users", whole, "--schema", whole}, "schema"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ferry(t, adminURL(k), append([]string{"import"}, c.args...)...)
			if a.code != 1 || !strings.Contains(a.stderr, c.says) || strings.Contains(a.stderr, "hint: run the same") {
				t.Errorf("it ends with %d and says\n%s", a.code, a.stderr)
			}
			if n := len(everybody(t, k)); n > 0 {
				t.Errorf("%d identities were made", n)
			}
		})
	}
	t.Run("the whole file goes on from the truncated one's results", func(t *testing.T) {
		if err := os.Rename(whole, cut); err != nil {
			t.Fatal(err)
		}
		ferry(t, adminURL(k), "import", "--users", cut, "--results", x.path("r1")).want(t, 1, "rows failed")
	})
}

// foreign writes a hash file of users who are in no other file.
func foreign(t *testing.T, x *tenant) string {
	t.Helper()
	text, err := os.ReadFile(x.path(gen.HashesFile))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(`"$oid":"`), []byte(`"$oid":"f`))
	text = bytes.ReplaceAll(text, []byte(`"alt_id":"`), []byte(`"alt_id":"f`))
	if err := os.WriteFile(x.path("foreign"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return x.path("foreign")
}

// TestFullDisk: a full disk ends the run with an error, and the results written before
// are correct.
func TestFullDisk(t *testing.T) {
	x := newTenant(t, 500, 7)
	k := newKratos(t, kratostest.Options{})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	says := runInto(t, full, adminURL(k), x.create()...)
	if !strings.Contains(says, "no space left on device") {
		t.Errorf("it says\n%s", says)
	}
	created := len(everybody(t, k))
	ferry(t, adminURL(k), x.create("--results", x.path("results"))...).want(t, 1)
	exist := 0
	for _, r := range readLines[result](t, x.path("results")) {
		if r.Outcome == "skipped" && r.word() == "exists" {
			exist++
		}
	}
	if all := len(everybody(t, k)); exist != created || all != x.count("created_hash")+x.count("created_pending")+x.count("created_social") {
		t.Errorf("%d were made before, %d are said to exist, and %d are there", created, exist, all)
	}
}
