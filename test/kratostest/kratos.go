package kratostest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	client "github.com/ory/kratos-client-go"

	"ferry/test/process"
	"ferry/test/program"
)

const (
	loopback = "127.0.0.1"

	bootLimit    = 60 * time.Second      // migrations and start, all attempts together
	bootAttempts = 5                     // another process may take a chosen port
	readyTick    = 25 * time.Millisecond // between two readiness checks
	stopGrace    = 10 * time.Second      // from SIGTERM to SIGKILL
	callLimit    = 2 * time.Minute       // one HTTP call; Kratos gives up on a hook after 93 s
	migrateBody  = "SELFSERVICE_METHODS_PASSWORD_CONFIG_MIGRATE_HOOK_CONFIG_BODY"
)

// Options configure a Kratos. The zero value starts the shipped example.
type Options struct {
	// Binary is the path of Kratos; empty means the result of Binary.
	Binary string
	// Dir holds the configuration and the database, and is kept, so that a later start
	// finds the same identities. Empty means a temporary folder, removed by Stop.
	Dir string
	// DSN is the database. Empty means a SQLite database in Dir.
	DSN string
	// Schema is the identity schema; empty means identity.schema.json.example.
	Schema []byte
	// HookURL is the URL of the migration hook, and HookKey the key sent as
	// "Authorization: Bearer KEY". Empty means the example's.
	HookURL, HookKey string
	// AfterLoginURL is the URL of the after-login hook, called with the same key. Empty
	// means no such hook.
	AfterLoginURL string
	// MigrateJsonnet is the template of the migration hook's body. Kratos 25.4
	// and later use it; 1.3.1 ignores it and sends identifier and password.
	MigrateJsonnet string
	// PublicBaseURL is serve.public.base_url, with a trailing slash. Empty means the URL
	// that it listens on.
	PublicBaseURL string
	// UsersURL is where users reach Kratos, if that is a proxy in front of it, without a
	// slash at the end. It is also serve.public.base_url, unless PublicBaseURL is set.
	UsersURL string
	// Mailbox receives the mail that Kratos sends. If nil, mail stays in the database.
	Mailbox *Mailbox
	// Edit changes the configuration last. Lists are []any, objects map[string]any.
	Edit func(config map[string]any)
	// Env is added to Kratos' environment ("NAME=value"), which does not inherit the
	// caller's variables.
	Env []string
	// Output receives Kratos' output as it is printed, in addition to Logs.
	Output io.Writer
	// Progress receives messages about a build of Kratos (see Binary).
	Progress io.Writer
}

// Kratos is a running Ory Kratos. Its methods may be called concurrently.
type Kratos struct {
	proc      *process.Process
	logs      *process.Log
	publicURL string
	baseURL   string // serve.public.base_url; empty if it is publicURL
	usersURL  string // where users reach it
	adminURL  string
	tempDir   string // removed by Stop; may be empty
	http      *http.Client
	admin     *client.APIClient

	stopOnce sync.Once
	stopErr  error
}

// Binary returns the path of a Kratos to run: KRATOS_BIN, or the one that it builds.
func Binary(ctx context.Context, progress io.Writer) (string, error) {
	return program.Kratos().Binary(ctx, progress)
}

// Start starts Kratos and returns when it answers on both its ports. ctx bounds the start
// only: afterwards Kratos runs until Stop. The error of a failed start ends with Kratos'
// last output.
func Start(ctx context.Context, opts Options) (*Kratos, error) {
	if opts.PublicBaseURL == "" && opts.UsersURL != "" {
		opts.PublicBaseURL = opts.UsersURL + "/"
	}
	b := boot{opts: opts, logs: &process.Log{Tee: opts.Output}}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, b.cleanUp())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bootLimit, fmt.Errorf("kratos is not ready after %s", bootLimit))
	defer cancel()
	k, err := b.start(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start kratos: %w\n%s", err, b.logs.Tail(12)), b.cleanUp())
	}
	return k, nil
}

// PublicURL is the base URL of the public API, without a trailing slash.
func (k *Kratos) PublicURL() string { return k.publicURL }

// UsersURL is where users reach Kratos.
func (k *Kratos) UsersURL() string { return k.usersURL }

// AdminURL is the base URL of the admin API, without a trailing slash.
func (k *Kratos) AdminURL() string { return k.adminURL }

// Logs is Kratos' output so far, including its migrations.
func (k *Kratos) Logs() string { return k.logs.String() }

// Pid is Kratos' process id.
func (k *Kratos) Pid() int { return k.proc.Pid() }

// Done is closed when Kratos has ended.
func (k *Kratos) Done() <-chan struct{} { return k.proc.Done() }

// Version is Kratos' own version; a plain source build says "master".
func (k *Kratos) Version(ctx context.Context) (string, error) {
	_, body, err := k.get(ctx, k.http, k.adminURL+"/admin/version", nil)
	if err != nil {
		return "", fmt.Errorf("kratos version: %w", err)
	}
	var answer struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("kratos version: %w", err)
	}
	return answer.Version, nil
}

// Stop ends Kratos within some seconds and removes its temporary folder. It is idempotent.
// It is an error if Kratos had ended by itself before.
func (k *Kratos) Stop() error {
	k.stopOnce.Do(func() {
		k.http.CloseIdleConnections()
		var crashed error
		if k.proc.Exited() {
			crashed = fmt.Errorf("kratos ended by itself: %w\n%s", k.proc.Ending(), k.logs.Tail(12))
		}
		k.stopErr = errors.Join(crashed, k.proc.Stop(stopGrace), removeFolder(k.tempDir))
	})
	return k.stopErr
}

func removeFolder(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove kratos' folder: %w", err)
	}
	return nil
}

// boot is one call of Start.
type boot struct {
	opts    Options
	logs    *process.Log
	binary  string
	example []byte
	dir     string
	tempDir string
	secret  string
}

func (b *boot) cleanUp() error { return removeFolder(b.tempDir) }

// prepare finds the program and the shipped files, and makes the folder.
func (b *boot) prepare(ctx context.Context) error {
	root, err := program.Root()
	if err != nil {
		return err
	}
	if b.binary = b.opts.Binary; b.binary == "" {
		if b.binary, err = Binary(ctx, b.opts.Progress); err != nil {
			return err
		}
	}
	if b.example, err = os.ReadFile(filepath.Join(root, "kratos.yml.example")); err != nil {
		return fmt.Errorf("the shipped configuration: %w", err)
	}
	schema := b.opts.Schema
	if len(schema) == 0 {
		if schema, err = os.ReadFile(filepath.Join(root, "identity.schema.json.example")); err != nil {
			return fmt.Errorf("the shipped schema: %w", err)
		}
	}
	if err := b.makeFolder(); err != nil {
		return err
	}
	b.secret = randomHex()
	if err := os.WriteFile(b.file("identity.schema.json"), schema, 0o600); err != nil {
		return fmt.Errorf("write the schema: %w", err)
	}
	return nil
}

func (b *boot) makeFolder() error {
	if b.opts.Dir == "" {
		dir, err := os.MkdirTemp("", "kratostest-")
		if err != nil {
			return fmt.Errorf("make kratos' folder: %w", err)
		}
		b.dir, b.tempDir = dir, dir
		return nil
	}
	dir, err := filepath.Abs(b.opts.Dir)
	if err != nil {
		return fmt.Errorf("kratos' folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make kratos' folder: %w", err)
	}
	b.dir = dir
	return nil
}

func (b *boot) file(name string) string { return filepath.Join(b.dir, name) }

// dsn is Options.DSN, or a SQLite database for concurrent logins. Kratos' database layer,
// ory/pop, by default creates rows under a mutex of its own. A transaction that holds
// SQLite's write lock and waits for that mutex, and a goroutine that holds the mutex and
// waits for the write lock, block each other until the busy timeout: "database is locked"
// after 10 s. lock=false turns the mutex off; immediate transactions take the write lock
// at once.
func (b *boot) dsn() string {
	if b.opts.DSN != "" {
		return b.opts.DSN
	}
	return "sqlite://" + b.file("kratos.sqlite") + "?_fk=true&mode=rwc&_busy_timeout=10000&_journal_mode=WAL&_txlock=immediate&lock=false"
}

func (b *boot) start(ctx context.Context) (*Kratos, error) {
	for attempt := 1; ; attempt++ {
		ports, err := freePorts(ctx)
		if err != nil {
			return nil, err
		}
		if err := b.writeConfig(ports); err != nil {
			return nil, err
		}
		if attempt == 1 {
			if err := b.command("migrate", "sql", "-e", "--yes", "-c", b.file("kratos.yml")).Run(ctx); err != nil {
				return nil, fmt.Errorf("migrate the database: %w", err)
			}
		}
		k, err := b.serve(ctx, ports)
		if !errors.Is(err, errPortTaken) || attempt == bootAttempts {
			return k, err
		}
	}
}

func (b *boot) writeConfig(p ports) error {
	text, err := derive(b.example, places{
		dsn:           b.dsn(),
		publicPort:    p.public,
		adminPort:     p.admin,
		schemaURL:     "file://" + b.file("identity.schema.json"),
		publicBaseURL: b.opts.PublicBaseURL,
		hookURL:       b.opts.HookURL,
		afterLoginURL: b.opts.AfterLoginURL,
		hookKey:       b.opts.HookKey,
		cookieSecret:  b.secret,
		cipherSecret:  b.secret,
	}, b.edit)
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.file("kratos.yml"), text, 0o600); err != nil {
		return fmt.Errorf("write kratos.yml: %w", err)
	}
	return nil
}

func (b *boot) edit(config map[string]any) {
	if b.opts.Mailbox != nil {
		b.opts.Mailbox.deliver(config)
	}
	if b.opts.Edit != nil {
		b.opts.Edit(config)
	}
}

// command runs Kratos with an environment of its own, because Kratos reads any variable
// that is named like one of its settings.
func (b *boot) command(args ...string) process.Command {
	env := []string{"HOME=" + b.dir, "TMPDIR=" + os.TempDir(), "DSN=" + b.dsn()}
	if b.opts.MigrateJsonnet != "" {
		env = append(env, migrateBody+"=base64://"+base64.StdEncoding.EncodeToString([]byte(b.opts.MigrateJsonnet)))
	}
	return process.Command{Path: b.binary, Args: args, Env: append(env, b.opts.Env...), Dir: b.dir, Output: b.logs}
}

func (b *boot) serve(ctx context.Context, p ports) (*Kratos, error) {
	args := []string{"serve", "-c", b.file("kratos.yml"), "--dev", "--sqa-opt-out"}
	if b.opts.Mailbox != nil {
		args = append(args, "--watch-courier")
	}
	proc, err := b.command(args...).Start(ctx)
	if err != nil {
		return nil, err
	}
	k := newKratos(proc, b.logs, p)
	k.baseURL, k.usersURL = b.opts.PublicBaseURL, cmp.Or(b.opts.UsersURL, k.publicURL)
	if err := k.awaitReady(ctx); err != nil {
		k.http.CloseIdleConnections()
		return nil, errors.Join(err, proc.Stop(stopGrace))
	}
	k.tempDir = b.tempDir
	return k, nil
}

func newKratos(proc *process.Process, logs *process.Log, p ports) *Kratos {
	k := &Kratos{
		proc:      proc,
		logs:      logs,
		publicURL: baseURL(p.public),
		usersURL:  baseURL(p.public),
		adminURL:  baseURL(p.admin),
		http: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       callLimit,
		},
	}
	config := client.NewConfiguration()
	config.Servers = client.ServerConfigurations{{URL: k.adminURL}}
	config.HTTPClient = k.http
	k.admin = client.NewAPIClient(config)
	return k
}

// randomHex returns 32 characters, the length of Kratos' cipher secret.
func randomHex() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand
	return hex.EncodeToString(raw[:])
}
