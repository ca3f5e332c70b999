package gateway

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

// limits bound the requests about users whom Kratos does not have. It is safe for concurrent
// use.
type limits struct {
	perMinute int
	now       func() time.Time

	mu       sync.Mutex
	networks map[string]*rate.Limiter
	swept    time.Time
}

func newLimits(perMinute int, now func() time.Time) *limits {
	return &limits{perMinute: perMinute, now: now, networks: map[string]*rate.Limiter{}}
}

// allow reports whether the network of the address may make another request.
func (l *limits) allow(ip netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
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
	return limiter.AllowN(now, 1)
}
