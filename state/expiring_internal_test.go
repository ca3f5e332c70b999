package state

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

// TestExpiring: what is kept is what a simple map keeps, through changes, removals, expiry and
// texts of every length; nothing stays of what has expired.
func TestExpiring(t *testing.T) {
	type entry struct {
		text string
		ends time.Duration
	}
	random := rand.New(rand.NewPCG(1, 2))
	e, want := newExpiring(), map[[32]byte]entry{}
	var now time.Duration
	for range 50_000 {
		var key [32]byte
		binary.BigEndian.PutUint16(key[:], uint16(random.IntN(2000)))
		switch random.IntN(10) {
		case 0:
			e.remove(key)
			delete(want, key)
		case 1:
			now += time.Duration(random.IntN(1000))
		case 2:
			e.drop(now)
		default:
			length := random.IntN(2000)
			if random.IntN(200) == 0 {
				length = chunkText + random.IntN(chunkText)
			}
			text := make([]byte, length)
			for i := range text {
				text[i] = byte(random.Uint32())
			}
			ends := now + time.Duration(random.IntN(200_000))
			e.set(key, text, ends)
			want[key] = entry{string(text), ends}
		}
		binary.BigEndian.PutUint16(key[:], uint16(random.IntN(2000)))
		got, ok := e.get(key, now)
		if is := want[key]; ok != (now < is.ends) || ok && string(got) != is.text {
			t.Fatalf("%x: %d bytes, %t; want %d bytes until %d, now %d", key[:2], len(got), ok, len(is.text), is.ends, now)
		}
	}
	e.drop(now + 200_000)
	if len(e.places)+len(e.chunks) != 0 {
		t.Errorf("%d places and %d chunks are left", len(e.places), len(e.chunks))
	}
}
