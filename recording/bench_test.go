package recording_test

import (
	"fmt"
	"testing"

	"ferry/recording"
)

const uuid1 = "e187bf45-fb83-4a45-8227-79025897309f"

// BenchmarkRecord measures recording one call: redaction, which happens before the
// answer, and the rest, which happens after it.
func BenchmarkRecord(b *testing.B) {
	public, _, err := recording.GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]*[32]byte{"hashes": nil, "sealed": public} {
		b.Run(name, func(b *testing.B) {
			w := begin(b, options(b, b.TempDir(), func(o *recording.Options) { o.Key = key }))
			call := failed()
			b.ReportAllocs()
			for b.Loop() {
				w.Record(call)
			}
		})
	}
	b.Run("redact", func(b *testing.B) {
		w := begin(b, options(b, b.TempDir()))
		body := fmt.Appendf(nil, `{"identifier":"alice@example.org","password":"secret","identity":{"id":%q,"external_id":null,"state":"active"},"flow":{"id":%q},"client":{"ip":"192.0.2.1","user_agent":"Mozilla/5.0"}}`, uuid1, uuid1)
		b.ReportAllocs()
		for b.Loop() {
			w.Redact(body)
		}
	})
}
