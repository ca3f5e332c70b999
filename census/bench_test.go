//go:build unix

package census_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"ferry/bulk/status"
	"ferry/kratos"
	"ferry/test/bulktest"
)

// benchIdentities is how many identities one count reads.
const benchIdentities = 100_000

// BenchmarkCount counts 100,000 identities of the fake without pauses and without a network:
// what a count costs ferry.
func BenchmarkCount(b *testing.B) {
	fake := bulktest.NewKratos(b)
	for i := range benchIdentities {
		one := from(fmt.Sprint("connection-", i%5), bulktest.Pending(fmt.Sprint("auth0|", i), fmt.Sprint("user", i, "@example.org")))
		if i%3 == 0 {
			one = bulktest.Migrated(i, bulktest.Now().Add(-time.Duration(i)*time.Minute))
		}
		fake.Add(one)
	}
	client, err := kratos.New(kratos.Options{AdminURL: "http://kratos.test", Timeout: time.Second, Transport: &replayed{to: fake, answers: map[string]*httptest.ResponseRecorder{}}})
	if err != nil {
		b.Fatal(err)
	}
	count := func() {
		got, err := status.Read(b.Context(), status.Options{Kratos: client, Progress: &bulktest.Quiet{}, Now: bulktest.Now})
		if err != nil || got.Total != benchIdentities {
			b.Fatal(got.Total, err)
		}
	}
	count() // the fake makes its answers
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		count()
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N)/benchIdentities, "cpu-µs/identity")
}

// cpuTime returns the CPU time of this process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// replayed has the fake make each answer once, because it is slow.
type replayed struct {
	to      http.Handler
	answers map[string]*httptest.ResponseRecorder
}

func (r *replayed) RoundTrip(request *http.Request) (*http.Response, error) {
	key := request.URL.String()
	if r.answers[key] == nil {
		r.answers[key] = httptest.NewRecorder()
		asked := request.Clone(request.Context())
		asked.Body = http.NoBody
		r.to.ServeHTTP(r.answers[key], asked)
	}
	made := r.answers[key]
	return &http.Response{
		StatusCode: made.Code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: made.Result().Header,
		Body: io.NopCloser(bytes.NewReader(made.Body.Bytes())), ContentLength: int64(made.Body.Len()), Request: request,
	}, nil
}
