package hydratest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/goccy/go-yaml"

	"ferry/test/process"
)

const loopback = "127.0.0.1"

var errPortTaken = errors.New("another process took a chosen port")

// boot is one call of Start.
type boot struct {
	opts    Options
	logs    *process.Log
	binary  string
	dir     string
	tempDir string
}

func (b *boot) cleanUp() error { return os.RemoveAll(b.tempDir) }

func (b *boot) prepare(ctx context.Context) (err error) {
	if b.binary = b.opts.Binary; b.binary == "" {
		if b.binary, err = Binary(ctx, b.opts.Progress); err != nil {
			return err
		}
	}
	if b.dir, b.tempDir, err = makeFolder(b.opts.Dir); err != nil {
		return fmt.Errorf("make hydra's folder: %w", err)
	}
	return nil
}

func (b *boot) dsn() string {
	switch {
	case b.opts.DSN != "":
		return b.opts.DSN
	case b.opts.SQLite:
		return "sqlite://" + filepath.Join(b.dir, "hydra.sqlite") + "?_fk=true&_busy_timeout=10000"
	}
	return inMemory
}

func (b *boot) file() string { return filepath.Join(b.dir, "hydra.yml") }

func (b *boot) start(ctx context.Context) (*Hydra, error) {
	for attempt := 1; ; attempt++ {
		ports, err := process.FreePorts(ctx, 2)
		if err != nil {
			return nil, err
		}
		issuer, err := b.writeConfig(ports[0], ports[1])
		if err != nil {
			return nil, err
		}
		if attempt == 1 && b.dsn() != inMemory {
			if err := b.command("migrate", "sql", "up", "-e", "--yes", "-c", b.file()).Run(ctx); err != nil {
				return nil, fmt.Errorf("migrate the database: %w", err)
			}
		}
		h, err := b.serve(ctx, baseURL(ports[0]), baseURL(ports[1]), issuer)
		if !errors.Is(err, errPortTaken) || attempt == bootAttempts {
			return h, err
		}
	}
}

// command runs Hydra with an environment of its own, because Hydra reads any variable that is
// named like one of its settings.
func (b *boot) command(args ...string) process.Command {
	env := []string{"HOME=" + b.dir, "TMPDIR=" + os.TempDir(), "DSN=" + b.dsn()}
	return process.Command{Path: b.binary, Args: args, Env: append(env, b.opts.Env...), Dir: b.dir, Output: b.logs}
}

func (b *boot) serve(ctx context.Context, public, admin, issuer string) (*Hydra, error) {
	args := []string{"serve", "all", "-c", b.file(), "--sqa-opt-out"}
	if !b.opts.Production {
		args = append(args, "--dev")
	}
	proc, err := b.command(args...).Start(ctx)
	if err != nil {
		return nil, err
	}
	h := newHydra(proc, b.logs, public, admin, issuer)
	if err := h.awaitReady(ctx); err != nil {
		h.http.CloseIdleConnections()
		return nil, errors.Join(err, proc.Stop(stopGrace))
	}
	h.tempDir = b.tempDir
	return h, nil
}

// writeConfig writes hydra.yml and returns the issuer in it.
func (b *boot) writeConfig(public, admin int) (issuer string, err error) {
	config := map[string]any{}
	if err := yaml.Unmarshal(b.opts.Config, &config); err != nil {
		return "", fmt.Errorf("parse the given hydra.yml: %w", err)
	}
	if config == nil {
		config = map[string]any{}
	}
	config["dsn"] = b.dsn()
	for listener, port := range map[string]int{"public": public, "admin": admin} {
		node := object(object(config, "serve"), listener)
		node["host"], node["port"] = loopback, port
		node["tls"] = map[string]any{"enabled": false}
	}
	urls := object(config, "urls")
	self := object(urls, "self")
	setDefault(self, "issuer", baseURL(public)+"/")
	if b.opts.Issuer != "" {
		self["issuer"] = b.opts.Issuer
	}
	// The headless flow never calls these.
	setDefault(urls, "login", "http://127.0.0.1:1/login")
	setDefault(urls, "consent", "http://127.0.0.1:1/consent")
	setDefault(config, "secrets", map[string]any{"system": []any{b.secret()}})
	setDefault(object(config, "log"), "level", "warn")
	if b.opts.Edit != nil {
		b.opts.Edit(config)
	}
	issuer, _ = object(object(config, "urls"), "self")["issuer"].(string)
	text, err := yaml.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write hydra.yml: %w", err)
	}
	if err := os.WriteFile(b.file(), text, 0o600); err != nil {
		return "", fmt.Errorf("write hydra.yml: %w", err)
	}
	return issuer, nil
}

// secret is the same for every Hydra with a database, so that a second one can read it.
func (b *boot) secret() string {
	if b.dsn() != inMemory {
		return "the-system-secret-of-the-tests"
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand
	return hex.EncodeToString(raw[:])
}

// object returns the object at a key. It makes one where there is none.
func object(parent map[string]any, key string) map[string]any {
	child, ok := parent[key].(map[string]any)
	if !ok {
		child = map[string]any{}
		parent[key] = child
	}
	return child
}

func setDefault(node map[string]any, key string, value any) {
	if _, ok := node[key]; !ok {
		node[key] = value
	}
}

func baseURL(port int) string { return "http://" + net.JoinHostPort(loopback, strconv.Itoa(port)) }
