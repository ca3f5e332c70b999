package state

import "time"

// expiring keeps texts under keys, each until it expires. It holds few pointers, so that the
// garbage collector has little to do with many of them, and it drops them without a look at
// those that stay: texts are appended to chunks, and a chunk goes when the last of its texts
// has expired.
//
// Times are durations since the store began, of the monotonic clock.
type expiring struct {
	places map[[32]byte]place
	chunks map[uint32]*chunk
	next   uint32 // number of the chunk that is filled
}

// place is where a text is.
type place struct {
	ends    time.Duration
	chunk   uint32
	at, len int
}

// chunk has texts, and the keys that were added with them.
type chunk struct {
	text []byte
	keys [][32]byte
	ends time.Duration // of the last that expires
}

// The sizes of a chunk: of its texts in bytes, unless one text is longer, and of its keys.
const (
	chunkText = 32 << 10
	chunkKeys = 128
)

func newExpiring() *expiring {
	return &expiring{places: map[[32]byte]place{}, chunks: map[uint32]*chunk{}}
}

// set copies the text and keeps it until ends, instead of an earlier one.
func (e *expiring) set(key [32]byte, text []byte, ends time.Duration) {
	c := e.chunks[e.next]
	if c == nil || len(c.text)+len(text) > chunkText || len(c.keys) == chunkKeys {
		e.next++
		c = &chunk{keys: make([][32]byte, 0, chunkKeys)}
		if len(text) > 0 {
			c.text = make([]byte, 0, max(chunkText, len(text)))
		}
		e.chunks[e.next] = c
	}
	at := len(c.text)
	c.text, c.keys, c.ends = append(c.text, text...), append(c.keys, key), max(c.ends, ends)
	e.places[key] = place{ends: ends, chunk: e.next, at: at, len: len(text)}
}

// get returns the text, which must not be changed.
func (e *expiring) get(key [32]byte, now time.Duration) (text []byte, ok bool) {
	p, ok := e.places[key]
	if !ok || now >= p.ends {
		return nil, false
	}
	return e.chunks[p.chunk].text[p.at : p.at+p.len], true
}

func (e *expiring) remove(key [32]byte) { delete(e.places, key) }

// drop drops the chunks in which everything has expired.
func (e *expiring) drop(now time.Duration) {
	for number, c := range e.chunks {
		if now < c.ends {
			continue
		}
		for _, key := range c.keys {
			if e.places[key].chunk == number {
				delete(e.places, key)
			}
		}
		delete(e.chunks, number)
	}
}
