package faults

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// hop is the connection between two parts: a proxy that can fail.
type hop struct {
	name   string
	server *toxiproxy.ApiServer

	mu       sync.Mutex
	address  string
	upstream string
	proxy    *toxiproxy.Proxy // nil while connections are refused
}

// newHop starts a proxy to upstream, which lasts as long as the test.
func newHop(t *testing.T, name, upstream string) *hop {
	t.Helper()
	h := &hop{
		name: name, address: "127.0.0.1:0", upstream: upstream,
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()),
	}
	if err := h.heals(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.stop()
	})
	return h
}

// fault is what a hop can do to its connections.
type fault struct {
	name string
	// toxics are toxiproxy's, as JSON.
	toxics []string
	// refuses is true if the hop refuses connections.
	refuses bool
	// passes is true if requests get through nevertheless.
	passes bool
	// late is true if answers come after a while.
	late bool
}

// hopFaults returns the faults of hops. Requests go upstream, answers downstream. hang is how
// long a connection hangs.
func hopFaults(hang time.Duration) []fault {
	return []fault{
		{name: "refused", refuses: true},
		{name: "reset before the request", toxics: []string{toxic("reset_peer", "upstream", `"timeout":0`)}},
		{name: "reset after the request", toxics: []string{toxic("reset_peer", "downstream", `"timeout":0`)}},
		{name: "the request hangs", toxics: []string{toxic("timeout", "upstream", fmt.Sprintf(`"timeout":%d`, hang.Milliseconds()))}},
		{name: "the answer hangs", late: true, toxics: []string{toxic("latency", "downstream", fmt.Sprintf(`"latency":%d`, hang.Milliseconds()))}},
		{name: "the answer is cut", toxics: []string{toxic("limit_data", "downstream", `"bytes":40`)}},
		{name: "slow bytes", passes: true, toxics: []string{toxic("slicer", "downstream", `"average_size":40,"size_variation":20,"delay":200`)}},
		{name: "latency", passes: true, toxics: []string{toxic("latency", "downstream", `"latency":60,"jitter":30`)}},
	}
}

func toxic(kind, stream, attributes string) string {
	return fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{%s}}`, kind, stream, attributes)
}

// breaks begins a fault, and ends the earlier one. Open connections are closed.
func (h *hop) breaks(f fault) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop()
	if f.refuses {
		return nil
	}
	proxy := toxiproxy.NewProxy(h.server, h.name, h.address, h.upstream)
	for _, text := range f.toxics {
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("%s: %s: %w", h.name, text, err)
		}
	}
	if err := proxy.Start(); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	if h.proxy = proxy; h.address != proxy.Listen { // the first time only: others read it
		h.address = proxy.Listen
	}
	return nil
}

// heals ends every fault.
func (h *hop) heals() error { return h.breaks(fault{}) }

// leadsTo changes where the hop ends, and ends every fault.
func (h *hop) leadsTo(upstream string) error {
	h.mu.Lock()
	h.upstream = upstream
	h.mu.Unlock()
	return h.heals()
}

func (h *hop) stop() {
	if h.proxy != nil {
		h.proxy.Stop()
		h.proxy = nil
	}
}

// host is host and port of a URL.
func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
