package state

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"ferry/secret"
)

func testKeys(tb testing.TB) *keys {
	tb.Helper()
	k, err := newKeys(secret.New("a key of the settings, long enough for it"))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestSealIsBoundToPlaceAndTime(t *testing.T) {
	t.Parallel()
	k, at := testKeys(t), time.Unix(1_700_000_000, 0)
	gen := newGen()
	value := k.seal("kept", "here", gen, at.Add(time.Minute), []byte("text"))
	g, text, err := k.open("kept", "here", value, at)
	if err != nil || string(text) != "text" || !bytes.Equal(g, gen) {
		t.Errorf("got %q, %v", text, err)
	}
	for name, open := range map[string]func() error{
		"elsewhere":    func() error { _, _, err := k.open("kept", "there", value, at); return err },
		"another kind": func() error { _, _, err := k.open("who", "here", value, at); return err },
	} {
		if err := open(); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := k.open("kept", "here", value, at.Add(time.Minute)); !errors.Is(err, errExpired) {
		t.Errorf("too late: %v", err)
	}
	for i := range value {
		changed := bytes.Clone(value)
		changed[i] ^= 0x10
		if _, _, err := k.open("kept", "here", changed, at); !errors.Is(err, ErrUnreadable) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var b breaker
	at := time.Unix(1_700_000_000, 0)
	for range failuresToPause {
		if !b.allow(at) {
			t.Fatal("paused too early")
		}
		b.report(at, false)
	}
	if b.allow(at) {
		t.Error("not paused")
	}
	at = at.Add(pauseTime)
	if !b.allow(at) || b.allow(at) {
		t.Error("one call a second is to be let through")
	}
	b.report(at, true)
	for range 2 {
		if !b.allow(at) {
			t.Error("still paused")
		}
	}
}

// FuzzOpen: only the output of seal can be opened, and no input causes a panic.
func FuzzOpen(f *testing.F) {
	k, at := testKeys(f), time.Unix(1_700_000_000, 0)
	value := k.seal("kept", "here", newGen(), at.Add(time.Minute), packHandoff(&Handoff{IdentityID: "id"}))
	f.Add(value[:headLen])
	f.Add(value[:len(value)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		if bytes.Equal(stored, value) {
			return
		}
		if _, text, err := k.open("kept", "here", stored, at); err == nil || text != nil {
			t.Errorf("opened: %q, %v", text, err)
		}
	})
}

// FuzzUnpackKept: whatever unpacks, pack writes back byte for byte.
func FuzzUnpackKept(f *testing.F) {
	f.Add(packHandoff(&Handoff{IdentityID: "id", FlowID: "flow", Subject: "auth0|a", Connection: "people", Claims: []byte(`{}`), MatchedAt: time.Unix(1, 2)}))
	f.Add(packHandoff(&Handoff{}))
	f.Add(packHandoff(&Handoff{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}))
	f.Add(append(packHandoff(&Handoff{}), pack(nil)...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add(bytes.Repeat([]byte{0xff}, 8))
	f.Fuzz(func(t *testing.T, text []byte) {
		handoff, err := unpackHandoff(text)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) {
				t.Errorf("got %v", err)
			}
			return
		}
		if !bytes.Equal(packHandoff(&handoff), text) {
			t.Errorf("%x unpacks to %+v", text, handoff)
		}
	})
}

// TestHandoffWithTrace: a profile is read back with and without the span of its login; without
// one it is stored as by a ferry that has no traces.
func TestHandoffWithTrace(t *testing.T) {
	t.Parallel()
	plain := Handoff{IdentityID: "id", FlowID: "flow", Subject: "auth0|1", Connection: "users", Claims: []byte("{}"), MatchedAt: time.Unix(1_700_000_000, 5).UTC()}
	traced := plain
	traced.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, h := range []Handoff{plain, traced} {
		got, err := unpackHandoff(packHandoff(&h))
		if err != nil || !reflect.DeepEqual(got, h) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := unpackHandoff(append(packHandoff(&h), 1)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("surplus: %v", err)
		}
	}
	if _, err := unpackHandoff(append(packHandoff(&plain), pack(nil)...)); !errors.Is(err, ErrUnreadable) {
		t.Errorf("an empty span: %v", err)
	}
	if !bytes.HasPrefix(packHandoff(&traced), packHandoff(&plain)) {
		t.Error("the layout has changed")
	}
}
