package census_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/bulk/status"
	"ferry/census"
	"ferry/kratos"
	"ferry/test/bulktest"
)

// kratosTakes is how long the fake of Kratos takes for a page.
const kratosTakes = 200 * time.Millisecond

// direct hands requests to the fake without a network, so that the time in a bubble of
// synctest passes only when all wait. It records when each page was requested.
type direct struct {
	*bulktest.Kratos

	mu    sync.Mutex
	pages []time.Time
	busy  int
	most  int // requests at the same time
}

func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	d.pages = append(d.pages, time.Now())
	d.busy++
	d.most = max(d.most, d.busy)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.busy--
		d.mu.Unlock()
	}()
	select {
	case <-time.After(kratosTakes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	answer := httptest.NewRecorder()
	request := r.Clone(r.Context())
	if request.Body == nil {
		request.Body = http.NoBody
	}
	d.ServeHTTP(answer, request)
	return answer.Result(), nil
}

// requested returns when each page was requested, since the start.
func (d *direct) requested(start time.Time) []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []time.Duration
	for _, at := range d.pages {
		all = append(all, at.Sub(start))
	}
	return all
}

// newCensus returns a census with the pace of serve, which counts every hour.
func newCensus(t *testing.T, d *direct) (*census.Census, *prometheus.Registry, *observer.ObservedLogs) {
	t.Helper()
	client, err := kratos.New(kratos.Options{AdminURL: "http://kratos.test", Timeout: time.Second, RetryPause: time.Second, Rest: census.Rest, Transport: d})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	registry := prometheus.NewRegistry()
	c, err := census.New(census.Options{Kratos: client, Every: time.Hour, Log: zap.New(core), Metrics: registry, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c, registry, logs
}

// from returns the identity with its connection recorded.
func from(connection string, p bulktest.Identity) bulktest.Identity {
	return bulktest.Marked(p, bulktest.With{"connection": connection})
}

// TestCounts: ferry counts at the start and at the interval, shows the count by connection and
// kind, and tells those who wait for it.
func TestCounts(t *testing.T) {
	t.Parallel()
	fake := bulktest.NewKratos(t)
	fake.Add(from("Users", bulktest.Pending("auth0|1", "1@x.test")))
	fake.Add(from("Users", bulktest.Pending("auth0|2", "2@x.test")))
	fake.Add(from("Old", bulktest.Bound("auth0|3", "3@x.test")))
	synctest.Test(t, func(t *testing.T) {
		c, registry, logs := newCensus(t, &direct{Kratos: fake})
		if n := testutil.CollectAndCount(registry, "ferry_identities", "ferry_count_timestamp_seconds"); n != 0 {
			t.Errorf("%d values before the first count", n)
		}
		if _, counted := c.Last(); counted {
			t.Error("there is a count before the first")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began, first := time.Now(), c.Changed()
		go c.Run(ctx)
		<-first
		if last, counted := c.Last(); !counted || last.Total != 3 || !last.At.Equal(began) {
			t.Fatalf("%v, %v, %+v", counted, began, last)
		}
		for key, want := range map[[2]string]float64{
			{"Users", "pending"}: 2, {"Users", "imported_hash"}: 0, {"Old", "imported_hash"}: 1, {"Old", "pending"}: 0,
		} {
			if got, found := identities(t, registry)[key]; !found || got != want {
				t.Errorf("%v: %v, want %v", key, got, want)
			}
		}
		want := fmt.Sprintf(`# HELP ferry_count_duration_seconds How long the last count of the identities took, with its pauses; 0 before the first.
# TYPE ferry_count_duration_seconds gauge
ferry_count_duration_seconds 0.2
# HELP ferry_count_timestamp_seconds When the last count of the identities began, in Unix time. Missing before the first.
# TYPE ferry_count_timestamp_seconds gauge
ferry_count_timestamp_seconds %g
# HELP ferry_counts_total Counts of the identities in Kratos (FERRY_COUNT_EVERY), by result: ok or failed.
# TYPE ferry_counts_total counter
ferry_counts_total{result="failed"} 0
ferry_counts_total{result="ok"} 1
`, float64(began.Unix()))
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "ferry_count_duration_seconds", "ferry_count_timestamp_seconds", "ferry_counts_total"); err != nil {
			t.Error(err)
		}
		fake.Add(from("Users", bulktest.Pending("auth0|4", "4@x.test")))
		<-c.Changed()
		if last, _ := c.Last(); last.Total != 4 || last.At.Sub(began) != time.Hour+kratosTakes {
			t.Errorf("%d after %v", last.Total, last.At.Sub(began))
		}
		if n := logs.FilterMessage("identities counted").Len(); n != 2 {
			t.Errorf("%d counts are logged", n)
		}
		cancel()
		synctest.Wait()
	})
}

// TestPace: one page at a time, and Kratos rests three times as long as it worked.
func TestPace(t *testing.T) {
	t.Parallel()
	fake := bulktest.NewKratos(t)
	fake.Page = 1
	for i := range 3 {
		fake.Add(bulktest.Pending(fmt.Sprint("auth0|", i), fmt.Sprint(i, "@x.test")))
	}
	synctest.Test(t, func(t *testing.T) {
		d := &direct{Kratos: fake}
		c, _, _ := newCensus(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began, first := time.Now(), c.Changed()
		go c.Run(ctx)
		<-first
		const page = kratosTakes + 3*kratosTakes
		if got := d.requested(began); len(got) != 3 || got[0] != 0 || got[1] != page || got[2] != 2*page || d.most != 1 {
			t.Errorf("pages requested at %v, %d at once", got, d.most)
		}
		cancel()
		synctest.Wait()
	})
	for took, want := range map[time.Duration]time.Duration{
		0: 250 * time.Millisecond, time.Millisecond: 250 * time.Millisecond, time.Second: 3 * time.Second, time.Hour: time.Minute,
	} {
		if got := census.Rest(took); got != want {
			t.Errorf("after a page of %v Kratos rests %v, want %v", took, got, want)
		}
	}
}

// TestFailures: a count that fails leaves the last one, is counted each time, logged once, and
// tried again after a minute.
func TestFailures(t *testing.T) {
	t.Parallel()
	fake := bulktest.NewKratos(t)
	fake.Page = 1
	fake.Add(bulktest.Pending("auth0|1", "1@x.test"))
	fake.Add(bulktest.Pending("auth0|2", "2@x.test"))
	synctest.Test(t, func(t *testing.T) {
		d := &direct{Kratos: fake}
		c, registry, logs := newCensus(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := c.Changed()
		go c.Run(ctx)
		<-first
		fake.Mu.Lock()
		fake.On = func(kind string, n int) bulktest.Fault {
			if kind == "page" && n > 3 { // from the second page of the second count on
				return bulktest.Refuses500
			}
			return bulktest.Well
		}
		fake.Mu.Unlock()
		<-time.After(time.Hour + 5*time.Minute)
		synctest.Wait()
		failed := counter(t, registry, "failed")
		if last, counted := c.Last(); failed < 3 || failed > 5 || !counted || last.Total != 2 {
			t.Errorf("%v counts failed, the last says %d", failed, last.Total)
		}
		if n := logs.FilterMessageSnippet("identities not counted").Len(); n != 1 {
			t.Errorf("%d failures are logged", n)
		}
		fake.EndFaults()
		<-c.Changed()
		if got := counter(t, registry, "ok"); got != 2 {
			t.Errorf("%v counts are ok", got)
		}
		cancel()
		synctest.Wait()
	})
}

// TestEnds: Run ends with its context, in the middle of a page as well, and that is no failure.
func TestEnds(t *testing.T) {
	t.Parallel()
	fake := bulktest.NewKratos(t)
	synctest.Test(t, func(t *testing.T) {
		c, registry, logs := newCensus(t, &direct{Kratos: fake})
		ctx, cancel := context.WithTimeout(t.Context(), kratosTakes/2)
		defer cancel()
		c.Run(ctx)
		if got := counter(t, registry, "failed"); got != 0 || logs.Len() != 0 {
			t.Errorf("%v failures, %v", got, logs.All())
		}
	})
}

// TestManyConnections: the largest 100 connections have series of their own, and no identity is
// left out.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	fake := bulktest.NewKratos(t)
	for i := range 105 {
		fake.Add(from(fmt.Sprintf("c%03d", i), bulktest.Pending(fmt.Sprint("auth0|", i), fmt.Sprint(i, "@x.test"))))
	}
	fake.Add(from("c104", bulktest.Pending("auth0|more", "more@x.test")))
	synctest.Test(t, func(t *testing.T) {
		c, registry, _ := newCensus(t, &direct{Kratos: fake})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := c.Changed()
		go c.Run(ctx)
		<-first
		all, names := 0.0, map[string]bool{}
		for key, n := range identities(t, registry) {
			all += n
			names[key[0]] = true
		}
		if all != 106 || len(names) != 101 || !names["c104"] || names["c103"] || !names[status.OtherConnections] {
			t.Errorf("%v identities of %d connections", all, len(names))
		}
		cancel()
		synctest.Wait()
	})
}

// identities returns the values of ferry_identities by connection and kind.
func identities(t *testing.T, registry *prometheus.Registry) map[[2]string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[[2]string]float64{}
	for _, family := range families {
		if family.GetName() != "ferry_identities" {
			continue
		}
		for _, m := range family.GetMetric() {
			all[[2]string{m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue()}] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := census.New(census.Options{}); err == nil {
		t.Error("options that are not set are accepted")
	}
}

func counter(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "ferry_counts_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatal("ferry_counts_total has no result", result)
	return 0
}
