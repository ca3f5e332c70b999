package upstream

import (
	"hash/maphash"
	"net/netip"
	"time"

	"ferry/clientip"
)

// maxWitnesses bounds the memory. Those beyond it count as seen before.
const maxWitnesses = 1024

// origin is where a login comes from: the user, and the network. Both are hashes.
type origin struct{ user, network uint64 }

// originOf returns the origin of a login from an address. Without an address, each user counts
// as a network.
func originOf(seed maphash.Seed, c Credentials, ip netip.Addr) origin {
	o := origin{user: maphash.Comparable(seed, [2]string{c.Realm, c.Username})}
	o.network = o.user
	if ip.IsValid() {
		o.network = maphash.String(seed, clientip.Key(ip))
	}
	return o
}

// witnesses are the users to whom the same thing happened, each for a while. What happens to
// one user, or to the users of one network, may be their own doing and says nothing about
// others. It is not safe for concurrent use.
type witnesses map[uint64]witness

type witness struct {
	network uint64
	until   time.Time
}

// add adds a user, and reports whether neither the user nor the network was there.
func (w witnesses) add(from origin, until, now time.Time) (fresh bool) {
	fresh = true
	for user, seen := range w {
		switch {
		case !now.Before(seen.until):
			delete(w, user)
		case user == from.user || seen.network == from.network:
			fresh = false
		}
	}
	seen, known := w[from.user]
	if !known && len(w) >= maxWitnesses {
		return false
	}
	if until.Before(seen.until) {
		until = seen.until
	}
	w[from.user] = witness{from.network, until}
	return fresh
}

// enough reports whether there are so many users, in so many networks. Call it after add.
func (w witnesses) enough(users, networks int) bool {
	distinct := map[uint64]bool{}
	for _, seen := range w {
		distinct[seen.network] = true
	}
	return len(w) >= users && len(distinct) >= networks
}
