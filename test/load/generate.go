package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"
	"github.com/hashicorp/go-retryablehttp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"ferry/wire"
)

const (
	// answerWait is Kratos' timeout of one call of a hook.
	answerWait = 30 * time.Second
	// kratosRetries and kratosRetryWait are how Kratos repeats a call without an answer.
	kratosRetries   = 2
	kratosRetryWait = time.Second
	// kratosIdle is how many idle connections Kratos keeps to a hook.
	kratosIdle = 2
	// longest is the longest latency in the histogram, in microseconds.
	longest = int64(2 * time.Minute / time.Microsecond)
)

// attack is what the load generator does.
type attack struct {
	// URL is the listener of the hooks, without a path.
	URL string `json:"url"`
	// Workers is how many logins are in flight at once in a closed loop. Rate is the logins
	// per second in an open loop, which does not wait for answers. One of them is set.
	Workers int     `json:"workers"`
	Rate    float64 `json:"rate"`
	// Time is how long logins begin. Logins ends the attack earlier, if it is not 0.
	Time   time.Duration `json:"time"`
	Logins int           `json:"logins"`
	// People is the number of users. First is the number of the first login: no number must
	// occur twice in the life of an upstream.
	People int `json:"people"`
	First  int `json:"first"`
	// Wrong makes all passwords wrong ones.
	Wrong bool `json:"wrong"`
	// Find leaves the identity out of the request, as Kratos 1.3.1 does.
	Find bool `json:"find"`
	// Kratos makes the client behave as the one of Kratos: two idle connections, and a call
	// that fails is repeated twice.
	Kratos bool `json:"kratos"`
}

// report is what came of an attack. Latencies are in microseconds; in an open loop they
// count from the time at which the login was due, whenever it was sent.
type report struct {
	Logins  int            `json:"logins"`
	Failed  map[string]int `json:"failed"` // by answer or error
	Retried int            `json:"retried"`
	Seconds float64        `json:"seconds"`
	PerSec  float64        `json:"logins_per_second"`
	P50     int64          `json:"p50_us"`
	P99     int64          `json:"p99_us"`
	P999    int64          `json:"p999_us"`
	Max     int64          `json:"max_us"`
	// LateP99 is how late the generator itself sent, at the 99th percentile.
	LateP99 int64 `json:"generator_late_p99_us"`
}

// body is the request body of a login.
func (a attack) body(number int) ([]byte, error) {
	p, kind := person(number%a.People), rightPassword
	if a.Wrong {
		kind = wrongPassword
	}
	c := call{Identifier: p.email(), Password: kind + strconv.Itoa(number)}
	if !a.Find {
		c.Identity, c.Flow = &identity{ID: p.identityID(), State: "active"}, &flow{ID: uuid.NewString()}
		c.Client = &client{IP: "203.0.113.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
	}
	return json.Marshal(c)
}

// target returns the next login each time.
func (a attack) target() vegeta.Targeter {
	var next atomic.Int64
	next.Store(int64(a.First) - 1)
	return func(t *vegeta.Target) (err error) {
		number := int(next.Add(1))
		t.Method, t.URL = http.MethodPost, a.URL+wire.MigrationPath
		t.Header = http.Header{
			"Content-Type": {"application/json"}, "Authorization": {"Bearer " + hookKey}, "User-Agent": {"Go-http-client/1.1"},
			wire.HeaderRequestID: {uuid.NewString()}, wire.HeaderTriggerID: {uuid.NewString()},
		}
		t.Body, err = a.body(number)
		return err
	}
}

// client is the HTTP client of the attack. retried counts the calls that it repeated.
func (a attack) client(retried *atomic.Int64) *http.Client {
	if !a.Kratos {
		return &http.Client{Timeout: answerWait, Transport: &http.Transport{MaxIdleConnsPerHost: 10_000}}
	}
	retrying := retryablehttp.NewClient()
	retrying.HTTPClient = &http.Client{Timeout: answerWait, Transport: &http.Transport{MaxIdleConnsPerHost: kratosIdle}}
	retrying.Logger, retrying.RetryMax = nil, kratosRetries
	retrying.RetryWaitMin, retrying.RetryWaitMax = kratosRetryWait, answerWait
	retrying.RequestLogHook = func(_ retryablehttp.Logger, _ *http.Request, try int) {
		if try > 0 {
			retried.Add(1)
		}
	}
	return retrying.StandardClient()
}

// due is when a login of an open loop is due, after the beginning.
func (a attack) due(login uint64) time.Duration {
	return time.Duration(float64(login) / a.Rate * float64(time.Second))
}

// pacer implements vegeta.Pacer.
type pacer struct{ attack attack }

// Pace returns how long to wait before the next login.
func (p pacer) Pace(elapsed time.Duration, logins uint64) (wait time.Duration, stop bool) {
	switch a := p.attack; {
	case a.Logins > 0 && logins >= uint64(a.Logins):
		return 0, true
	case a.Rate > 0:
		return max(0, a.due(logins)-elapsed), false
	}
	return 0, false
}

// Rate returns the logins per second.
func (p pacer) Rate(time.Duration) float64 { return p.attack.Rate }

// run makes the logins, and waits for their answers.
func (a attack) run() report {
	workers, most := uint64(a.Workers), uint64(a.Workers)
	if a.Rate > 0 {
		workers, most = vegeta.DefaultWorkers, vegeta.DefaultMaxWorkers
	}
	var retried atomic.Int64
	attacker := vegeta.NewAttacker(vegeta.Client(a.client(&retried)), vegeta.Workers(workers), vegeta.MaxWorkers(most))
	latency, late := hdrhistogram.New(1, longest, 3), hdrhistogram.New(1, longest, 3)
	answer, status := matched(), http.StatusOK
	if a.Wrong {
		answer, status = notMatched(), http.StatusForbidden
	}
	r := report{Failed: map[string]int{}}
	began := time.Now()
	for got := range attacker.Attack(a.target(), pacer{a}, a.Time, "") {
		r.Logins++
		switch {
		case got.Code == 0:
			r.Failed[got.Error]++
		case int(got.Code) != status || string(got.Body) != answer:
			r.Failed[fmt.Sprintf("%d %s", got.Code, got.Body)]++
		}
		var wait time.Duration
		if a.Rate > 0 {
			wait = max(0, got.Timestamp.Sub(began.Add(a.due(got.Seq))))
		}
		record(late, wait)
		record(latency, wait+got.Latency)
	}
	r.Seconds, r.Retried = time.Since(began).Seconds(), int(retried.Load())
	r.PerSec = float64(r.Logins) / r.Seconds
	r.P50, r.P99, r.P999, r.Max = latency.ValueAtQuantile(50), latency.ValueAtQuantile(99), latency.ValueAtQuantile(99.9), latency.Max()
	r.LateP99 = late.ValueAtQuantile(99)
	return r
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), longest)) // in its range
}

// generate is the process of the load generator: args are an attack, and stdout gets its
// report.
func generate(args []string, stdout io.Writer) error {
	var a attack
	if len(args) != 1 {
		return errPart
	}
	if err := json.Unmarshal([]byte(args[0]), &a); err != nil {
		return fmt.Errorf("read attack: %w", err)
	}
	return json.NewEncoder(stdout).Encode(a.run())
}
