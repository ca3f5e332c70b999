package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/secret"
)

const canary = "canary-7c1f"

type holder struct {
	Public secret.String
	hidden secret.String
	list   []secret.String
	ptr    *secret.String
}

func TestEveryFormatterRedacts(t *testing.T) {
	s := secret.New(canary)
	h := holder{Public: s, hidden: s, list: []secret.String{s}, ptr: &s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%08b"} {
		for _, v := range []any{s, &s, h, &h, []any{s, h}, map[string]any{"k": h}} {
			if out := fmt.Sprintf(verb, v); leaks(out) {
				t.Errorf("%s of %T shows the secret", verb, v)
			}
		}
	}
	if got := fmt.Sprint(s); got != secret.Redacted {
		t.Errorf("printed as %q, want %q", got, secret.Redacted)
	}
}

func TestEveryEncoderRedacts(t *testing.T) {
	s := secret.New(canary)
	if out, err := json.Marshal(holder{Public: s, hidden: s}); err != nil || leaks(string(out)) {
		t.Errorf("json: %s, %v", out, err)
	}
	if out, err := json.Marshal(map[string]secret.String{"a": s}); err != nil || string(out) != `{"a":"[redacted]"}` {
		t.Errorf("json: %s, %v", out, err)
	}
}

func TestZapRedacts(t *testing.T) {
	s := secret.New(canary)
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	out, err := enc.EncodeEntry(zapcore.Entry{}, []zapcore.Field{
		zap.Any("any", s), zap.Stringer("stringer", s), zap.Reflect("reflect", holder{Public: s, hidden: s}), zap.Any("ptr", &s),
	})
	if err != nil || leaks(out.String()) {
		t.Fatalf("zap: %s, %v", out.String(), err)
	}
}

func TestRevealReturnsTheExactBytes(t *testing.T) {
	for _, text := range []string{"", " a ", "e\u0301", "\x00\xff", "🔑"} {
		if got := secret.New(text).Reveal(); got != text {
			t.Errorf("Reveal() = %q, want %q", got, text)
		}
	}
	var zero secret.String
	if zero.Reveal() != "" || !zero.Empty() || zero.Len() != 0 {
		t.Error("the zero value is not the empty secret")
	}
}

func TestEqual(t *testing.T) {
	if !secret.New("a").Equal(secret.New("a")) || secret.New("a").Equal(secret.New("b")) || secret.New("a").Equal(secret.String{}) {
		t.Error("Equal is wrong")
	}
}

func TestUnmarshal(t *testing.T) {
	var s secret.String
	if err := json.Unmarshal([]byte(`"p\u00e4ss"`), &s); err != nil || s.Reveal() != "päss" {
		t.Errorf("json: %v", err)
	}
}

func leaks(out string) bool {
	return strings.Contains(strings.ToLower(out), canary) ||
		strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", canary))
}
