package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/config"
	"ferry/recording"
	"ferry/secret"
)

func runRecord(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out, words bytes.Buffer
	cmd := recordCommand(&out, &words)
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestKeygen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "private.key")
	printed, err := runRecord(t, "keygen", path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	private, err := recording.ParseKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	public, err := recording.PublicKey(private)
	if err != nil || printed != recording.FormatKey(public)+"\n" {
		t.Errorf("printed %q, which is not the public key; %v", printed, err)
	}
	if strings.Contains(printed, recording.FormatKey(private)) {
		t.Error("the private key is printed")
	}
	t.Run("never over another", func(t *testing.T) {
		printed, err := runRecord(t, "keygen", path)
		var failed failedError
		if err == nil || !strings.Contains(err.Error(), "already exists") || errors.As(err, &failed) || printed != "" {
			t.Errorf("printed %q, err = %v", printed, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
			t.Errorf("the file changed: %v", err)
		}
	})
}

func TestKeygenCannotWrite(t *testing.T) {
	t.Parallel()
	printed, err := runRecord(t, "keygen", filepath.Join(t.TempDir(), "nowhere", "private.key"))
	var failed failedError
	if !errors.As(err, &failed) || printed != "" {
		t.Errorf("printed %q, err = %v", printed, err)
	}
}

func TestRecordUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"keygen"}, {"keygen", "a", "b"}, {"keyben"}} {
		if _, err := runRecord(t, args...); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestNewRecorder(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	hashKey := secret.New(strings.Repeat("h", 32))
	for name, c := range map[string]struct {
		dir     string
		hashKey secret.String
		want    string // in the error
		on      bool
		logged  int
	}{
		"off":              {"", secret.String{}, "", false, 0},
		"on":               {t.TempDir(), hashKey, "", true, 1},
		"hashes of a run":  {t.TempDir(), secret.String{}, "", true, 2},
		"open to everyone": {open, hashKey, "can be written by others", false, 0},
	} {
		core, log := observer.New(zapcore.InfoLevel)
		r, err := newRecorder(&config.Config{RecordDir: c.dir, LogHashKey: c.hashKey, RecordMaxBytes: 1 << 20, RecordKeep: 1 << 40}, hashKey, zap.New(core), prometheus.NewRegistry())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: err = %v", name, err)
		}
		if (r != nil) != c.on || log.Len() != c.logged {
			t.Errorf("%s: %v; the log: %v", name, r, log.All())
		}
	}
}
