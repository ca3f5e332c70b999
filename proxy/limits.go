package proxy

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ferry/clientip"
)

const (
	// maxNetworks is the number of networks whose requests are counted one by one. If there
	// are more, the others share one limit.
	maxNetworks = 100_000
	sweepEvery  = time.Minute
)

// Limits bound the requests of each network: an address, or a /64 of IPv6. It is safe for
// concurrent use.
type Limits struct {
	perMinute int
	now       func() time.Time

	mu       sync.Mutex
	networks map[string]*rate.Limiter
	swept    time.Time
}

// NewLimits allows so many requests a minute to each network. now is the clock.
func NewLimits(perMinute int, now func() time.Time) *Limits {
	return &Limits{perMinute: perMinute, now: now, networks: map[string]*rate.Limiter{}}
}

// Allow counts a request, and reports whether the network of the address may make it.
func (l *Limits) Allow(ip netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return l.of(ip, now).AllowN(now, 1)
}

// Spent reports whether Allow would refuse a request. It counts nothing.
func (l *Limits) Spent(ip netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return l.of(ip, now).TokensAt(now) < 1
}

// of returns the limiter of a network. The caller holds mu.
func (l *Limits) of(ip netip.Addr, now time.Time) *rate.Limiter {
	if now.Sub(l.swept) > sweepEvery {
		for network, limiter := range l.networks {
			if limiter.TokensAt(now) >= float64(l.perMinute) {
				delete(l.networks, network)
			}
		}
		l.swept = now
	}
	network := clientip.Key(ip)
	if len(l.networks) >= maxNetworks && l.networks[network] == nil {
		network = "others"
	}
	limiter := l.networks[network]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(float64(l.perMinute)/time.Minute.Seconds()), l.perMinute)
		l.networks[network] = limiter
	}
	return limiter
}
