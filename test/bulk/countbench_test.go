package bulk

import (
	"strings"
	"testing"

	"github.com/prometheus/procfs"

	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// BenchmarkCount has ferry serve count the identities of a generated tenant in the real Kratos,
// on SQLite, and reports what the count costs both. Run it with -benchtime 1x.
func BenchmarkCount(b *testing.B) {
	x := newTenant(b, benchUsers, 1)
	k := newKratos(b, kratostest.Options{})
	ferry(b, adminURL(k), x.create("--json")...).want(b, 1)
	for b.Loop() {
		ofKratos := cpuTime(b, k.Pid())
		f, err := ferrytest.Start(b.Context(), ferrytest.Options{Binary: built.Ferry(b), Env: append(adminURL(k),
			"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS="+strings.Repeat("k", 32), "FERRY_AUTH0_DOMAIN=tenant.example",
			"FERRY_AUTH0_BASE_URL=http://127.0.0.1:1", "FERRY_AUTH0_CLIENT_ID=ferry", "FERRY_AUTH0_CLIENT_SECRET=secret", "FERRY_COUNT_EVERY=1h",
		)})
		if err != nil {
			b.Fatal(err)
		}
		if !await.True(func() bool { return strings.Contains(f.Logs(), "identities counted") }) {
			b.Fatal("no count:\n", f.Logs())
		}
		b.ReportMetric((cpuTime(b, k.Pid())-ofKratos)*1000, "kratos-cpu-ms")
		b.ReportMetric(cpuTime(b, f.Pid())*1000, "ferry-cpu-ms")
		if err := f.Stop(); err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(f.Logs()) {
			if strings.Contains(line, "identities counted") {
				b.Log(line)
			}
		}
	}
}

// cpuTime returns the CPU time of a process so far, in seconds.
func cpuTime(b *testing.B, pid int) float64 {
	b.Helper()
	p, err := procfs.NewProc(pid)
	if err != nil {
		b.Fatal(err)
	}
	stat, err := p.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return stat.CPUTime()
}
