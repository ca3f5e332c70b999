package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/test/await"
	"ferry/wire"
)

// answered is what a caller got: a status, or the error of the connection.
type answered struct {
	status int
	err    error
}

// logIn makes one login of a user of their own.
func (r *rig) logIn(ctx context.Context, url string, number int) answered {
	a := attack{People: r.opts.People}
	body, err := a.body(number)
	if err != nil {
		return answered{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+wire.MigrationPath, strings.NewReader(string(body)))
	if err != nil {
		return answered{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+hookKey)
	req.Header.Set(wire.HeaderTriggerID, uuid.NewString())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return answered{err: err}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return answered{resp.StatusCode, err}
}

// TestDrainWithFullQueue: a ferry that is told to stop while its queue is full answers each
// login that waits, asks Auth0 about no other ones, and ends in order.
func TestDrainWithFullQueue(t *testing.T) {
	t.Parallel()
	const inFlight, queued = 4, 200
	r := startRig(t, func(o *options) { o.People = inFlight + queued + 1 })
	if err := r.setLatency(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	f, err := r.startFerry(t.Context(), anyPort, fmt.Sprint("FERRY_LOGINS_IN_FLIGHT=", inFlight), fmt.Sprint("FERRY_LOGINS_QUEUED=", queued))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Stop(0) }()
	got := make([]answered, inFlight+queued)
	var logins sync.WaitGroup
	for i := range got {
		logins.Go(func() { got[i] = r.logIn(t.Context(), f.url, i) })
	}
	// On a busy machine the first logins leave the queue before the last ones have come.
	waiting := 0
	if !await.True(func() bool {
		waiting = int(metric(t, r, f, "ferry_logins_queued"))
		return waiting > queued/2
	}) {
		t.Fatal("the queue does not fill")
	}
	if err := f.stop(); err != nil {
		t.Error(err)
	}
	logins.Wait()
	count := map[int]int{}
	for _, a := range got {
		count[a.status]++
	}
	t.Logf("%d waited; answers by status: %v", waiting, count)
	// A login that comes after the signal gets no answer (0): Kratos repeats it elsewhere.
	right, outage := count[http.StatusOK], count[http.StatusFailedDependency]
	if right < inFlight || outage == 0 || right+outage < waiting+inFlight || right+outage+count[0] != len(got) {
		t.Errorf("%d waited; answers by status: %v", waiting, count)
	}
	asked, err := r.grants(t.Context())
	if err != nil || asked.Grants != right || asked.Repeats != 0 {
		t.Errorf("%+v, %v", asked, err)
	}
	if log := f.output.end(); strings.Contains(log, "did not end in time") {
		t.Errorf("it did not end in order:\n%s", log)
	}
}

// slowClients opens connections that never end a request, or never read an answer.
func slowClients(t *testing.T, url string, each int) (leave func()) {
	t.Helper()
	head := "POST " + wire.MigrationPath + " HTTP/1.1\r\nHost: ferry\r\nContent-Type: application/json\r\nAuthorization: Bearer "
	unauthorized := head + "wrong\r\nContent-Length: 2\r\n\r\n{}"
	kinds := []string{
		head,
		head + hookKey + "\r\nContent-Length: 4096\r\n\r\n{\"identifier\":\"" + strings.Repeat("x", 2048),
		strings.Repeat(unauthorized, 10), // whose answers nobody reads
	}
	var open []net.Conn
	for i := range each * len(kinds) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(1024)
		}
		if _, err := io.WriteString(conn, kinds[i%len(kinds)]); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}
}

// TestSlowClientsTakeNoMemory: a thousand clients that send slowly or never read, again and
// again, take no more memory than logins that wait, and leave nothing behind. Logins go on.
func TestSlowClientsTakeNoMemory(t *testing.T) {
	t.Parallel()
	r := startRig(t, nil)
	err := r.withFerry(t.Context(), func(ferry subject) error {
		before, err := r.usage(t.Context(), ferry)
		if err != nil {
			return err
		}
		for wave := range 3 {
			leave := slowClients(t, ferry.url, 334)
			if got := r.logIn(t.Context(), ferry.url, r.opts.People*1000+wave); got.status != http.StatusOK {
				t.Errorf("a login meanwhile: %+v", got)
			}
			leave()
			var now usage
			if !await.True(func() bool {
				now, err = r.usage(t.Context(), ferry)
				return err != nil || now.Goroutines <= before.Goroutines+20 && now.Descriptors <= before.Descriptors+20
			}) {
				t.Errorf("left behind: %+v, before %+v", now, before)
			}
			t.Logf("wave %d: %.1f MiB", wave, now.ResidentMiB)
		}
		peak, err := ferry.peakMiB()
		if err == nil && peak > goalWaiting {
			err = fmt.Errorf("%.1f MiB resident, at most %v", peak, goalWaiting)
		}
		t.Logf("%.1f MiB at the beginning, %.1f at most", before.ResidentMiB, peak)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
