package state

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"ferry/secret"
)

// minKey is the length of the shortest valid key, in bytes.
const minKey = 32

// A stored value is a header and what XChaCha20-Poly1305 makes of the text:
//
//	version (1) | gen (16) | expires (8, Unix ms) | nonce (24) | sealed text and tag
//
// The additional data are version, gen, expires and the name of the place where the
// value is stored, which is a keyed hash of the identity id or delivery: elsewhere,
// or with another expiry, it does not open. gen is random; it tells one value from
// the next in the same place, to Redis too, which cannot open either.
const (
	version  = 1
	genSize  = 16
	boundLen = 1 + genSize + 8
	headLen  = boundLen + chacha20poly1305.NonceSizeX
)

// errExpired is a stored value past its expiry.
var errExpired = errors.New("stored value has expired")

// keys are made of the one key of the settings (HKDF, RFC 5869), one for each use.
type keys struct {
	aead cipher.AEAD
	name []byte
	hash [32]byte
}

func newKeys(key secret.String) (*keys, error) {
	if key.Len() < minKey {
		return nil, fmt.Errorf("state: the key has fewer than %d bytes", minKey)
	}
	var err error
	derive := func(use string) []byte {
		k, e := hkdf.Key(sha256.New, []byte(key.Reveal()), nil, "ferry state v1 "+use, 32)
		err = errors.Join(err, e)
		return k
	}
	seal, name, hash := derive("seal"), derive("name"), derive("hash")
	if err != nil {
		return nil, fmt.Errorf("state: derive keys: %w", err)
	}
	aead, err := chacha20poly1305.NewX(seal)
	if err != nil {
		return nil, fmt.Errorf("state: seal: %w", err)
	}
	return &keys{aead: aead, name: name, hash: [32]byte(hash)}, nil
}

// place is the name under which a value is stored: a keyed hash, so that it reveals
// neither an identity id nor a hash of credentials, even by guessing.
func (k *keys) place(kind string, what []byte) string {
	mac := hmac.New(sha256.New, k.name)
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write(what)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func newGen() []byte {
	gen := make([]byte, genSize)
	_, _ = rand.Read(gen) // it never fails: crypto/rand ends the process first
	return gen
}

// seal encrypts a value. It can be decrypted only in its place.
func (k *keys) seal(kind, place string, gen []byte, expires time.Time, text []byte) []byte {
	value := make([]byte, 0, headLen+len(text)+chacha20poly1305.Overhead)
	value = append(append(value, version), gen...)
	value = binary.BigEndian.AppendUint64(value, uint64(expires.UnixMilli()))
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(nonce)
	bound := additional(value, kind, place)
	return k.aead.Seal(append(value, nonce...), nonce, text, bound)
}

// open decrypts a stored value and returns its gen and text. The error is ErrUnreadable or
// errExpired; with errExpired gen and text are valid.
func (k *keys) open(kind, place string, value []byte, now time.Time) (gen, text []byte, err error) {
	if len(value) < headLen || value[0] != version {
		return nil, nil, ErrUnreadable
	}
	text, err = k.aead.Open(nil, value[boundLen:headLen], value[headLen:], additional(value[:boundLen], kind, place))
	if err != nil {
		return nil, nil, ErrUnreadable
	}
	gen = value[1 : 1+genSize]
	if now.UnixMilli() >= int64(binary.BigEndian.Uint64(value[1+genSize:boundLen])) { //nolint:gosec // authentic, and written by seal
		return gen, text, errExpired
	}
	return gen, text, nil
}

func additional(header []byte, kind, place string) []byte {
	return slices.Concat(header, []byte(kind), []byte{0}, []byte(place))
}

// pack writes parts one after the other, each with its length before it. There is
// one way to write the same parts.
func pack(parts ...[]byte) []byte {
	var text []byte
	for _, part := range parts {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	return text
}

// unpack reads as many parts as pack wrote.
func unpack(text []byte, parts ...*[]byte) error {
	for _, part := range parts {
		if len(text) < 8 {
			return ErrUnreadable
		}
		size := binary.BigEndian.Uint64(text)
		text = text[8:]
		if size > uint64(len(text)) {
			return ErrUnreadable
		}
		*part, text = text[:size:size], text[size:]
	}
	if len(text) != 0 {
		return ErrUnreadable
	}
	return nil
}

func packHandoff(h *Handoff) []byte {
	at := binary.BigEndian.AppendUint64(nil, uint64(h.MatchedAt.Unix()))     //nolint:gosec // read back the same way
	at = binary.BigEndian.AppendUint32(at, uint32(h.MatchedAt.Nanosecond())) //nolint:gosec // below 1e9
	text := pack([]byte(h.IdentityID), []byte(h.FlowID), []byte(h.Subject), []byte(h.Connection), h.Claims, at)
	if h.Traceparent != "" { // a ferry before tracing reads no such part
		text = append(text, pack([]byte(h.Traceparent))...)
	}
	return text
}

func unpackHandoff(text []byte) (Handoff, error) {
	var id, flow, subject, connection, claims, at, parent []byte
	if unpack(text, &id, &flow, &subject, &connection, &claims, &at) != nil {
		err := unpack(text, &id, &flow, &subject, &connection, &claims, &at, &parent)
		if err != nil || len(parent) == 0 { // without a span, packHandoff leaves the part out
			return Handoff{}, ErrUnreadable
		}
	}
	if len(at) != 12 {
		return Handoff{}, ErrUnreadable
	}
	sec, nsec := binary.BigEndian.Uint64(at), binary.BigEndian.Uint32(at[8:])
	if nsec >= 1e9 {
		return Handoff{}, ErrUnreadable
	}
	return Handoff{
		IdentityID: string(id), FlowID: string(flow), Subject: string(subject), Connection: string(connection),
		Claims: claims, MatchedAt: time.Unix(int64(sec), int64(nsec)).UTC(), //nolint:gosec // as it was written
		Traceparent: string(parent),
	}, nil
}
