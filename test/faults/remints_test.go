package faults

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/hydratest"
	"ferry/test/kratostest"
	"ferry/test/postgrestest"
	"ferry/test/process"
)

const (
	remintApps    = 20 // by default
	remintsAtOnce = 6
	remintSecret  = "remints-client-secret-77aa31"
	remintTries   = 2000
	// onSQLite is how many identities Kratos finds quickly with SQLite.
	onSQLite = 100
	// answerWait is how long an application waits for an answer.
	answerWait = 15 * time.Second
)

// app is an application on a device of a user, with a refresh token of Auth0.
type app struct {
	client, method string
	token          string // Auth0's
	identity       string
	chain          string // Hydra's last refresh token
}

// remints is everything between applications and Auth0, with a hop between each two parts.
type remints struct {
	t      *testing.T
	tenant *tenant
	kratos *kratostest.Kratos
	hydra  *hydratest.Hydra
	data   string
	apps   []*app
	http   *http.Client

	mu    sync.Mutex
	ferry *ferrytest.Ferry

	toFront, toAuth0, toKratos, toPublic, toAdmin *hop

	kills, cuts, auth0Cuts, outages, answers atomic.Int64
}

// TestRemints lets applications, of which FERRY_REMINTS (20) hold a refresh token of Auth0 each,
// refresh twice, six at a time, while the connections between all parts break, and then while
// ferry is killed too. Each ends with tokens of Hydra that work, for the right user, and none is
// told to log in anew. Where ferry lives and Auth0's answers arrive, Auth0 sees each token once.
func TestRemints(t *testing.T) {
	n := remintApps
	if text := os.Getenv("FERRY_REMINTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := startRemints(t, n)
	half := n / 2
	r.phase(r.apps[:half], random, []*hop{r.toFront, r.toKratos, r.toPublic, r.toAdmin}, false)
	if again := r.tenant.again(); again > 0 {
		t.Errorf("Auth0 saw %d tokens again, and ferry lived", again)
	}
	r.phase(r.apps[half:], random, []*hop{r.toFront, r.toKratos, r.toPublic, r.toAdmin, r.toAuth0}, true)
	if again := r.tenant.needless; len(again) > 0 {
		t.Errorf("Auth0 saw %q again, and ferry lived and had the answers", again)
	}
	if r.tenant.refused > 0 || r.kills.Load() == 0 || r.cuts.Load() == 0 {
		t.Errorf("Auth0 refused %d tokens; %d kills, %d cuts", r.tenant.refused, r.kills.Load(), r.cuts.Load())
	}
	t.Logf("%d applications, %d kills, %d cuts of which %d between ferry and Auth0, %d outages seen by applications, %d tokens seen again by Auth0",
		n, r.kills.Load(), r.cuts.Load(), r.auth0Cuts.Load(), r.outages.Load(), r.tenant.again())
}

func startRemints(t *testing.T, n int) *remints {
	t.Helper()
	r := &remints{t: t, tenant: newTenant(t), data: t.TempDir(), http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: answerWait}}
	r.startOry(n)
	r.toAuth0, r.toKratos = newHop(t, "ferry to Auth0", "127.0.0.1:9"), newHop(t, "ferry to Kratos", host(t, r.kratos.AdminURL()))
	r.toPublic, r.toAdmin = newHop(t, "ferry to Hydra", host(t, r.hydra.PublicURL())), newHop(t, "ferry to Hydra's admin API", host(t, r.hydra.AdminURL()))
	r.toFront = newHop(t, "application to ferry", "127.0.0.1:9") // start leads it to ferry, and ferry to Auth0
	clients := map[string]string{"spa": "none", "native": "none", "web": "client_secret_basic", "post": "client_secret_post"}
	for id, method := range clients {
		if err := r.hydra.CreateClient(t.Context(), map[string]any{
			"client_id": id, "client_secret": remintSecret, "token_endpoint_auth_method": method, "redirect_uris": []string{"https://app.example.com/cb"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "scope": "openid offline_access email",
		}); err != nil {
			t.Fatal(err)
		}
	}
	r.tenant.rotates["spa"], r.tenant.rotates["web"] = true, true
	names := []string{"spa", "native", "web", "post"}
	for i := range n {
		user := fmt.Sprint("u", i)
		id, err := r.kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
			Traits: map[string]any{"email": user + "@example.org"}, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|" + user}}, Pending: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		client := names[i%len(names)]
		r.apps = append(r.apps, &app{client: client, method: clients[client], token: client + "-" + user, identity: id})
	}
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.ferry.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// startOry starts Kratos for n identities and Hydra, at the same time: each takes seconds to make
// its tables.
func (r *remints) startOry(n int) {
	r.t.Helper()
	var toKratos string // SQLite
	if n > onSQLite {
		toKratos = postgrestest.Run(r.t, postgrestest.Options{}).DSN()
	}
	toHydra := postgrestest.Run(r.t, postgrestest.Options{}).DSN()
	var kratosLog, hydraLog process.Log
	var parts errgroup.Group
	parts.Go(func() (err error) {
		r.kratos, err = kratostest.Start(r.t.Context(), kratostest.Options{DSN: toKratos, Output: &kratosLog, Progress: r.t.Output()})
		return err
	})
	parts.Go(func() (err error) {
		r.hydra, err = hydratest.Start(r.t.Context(), hydratest.Options{DSN: toHydra, Output: &hydraLog, Progress: r.t.Output()})
		return err
	})
	err := parts.Wait()
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("end of kratos' output:\n%s\nend of hydra's output:\n%s", kratosLog.Tail(20), hydraLog.Tail(20))
		}
		if r.kratos != nil {
			if err := r.kratos.Stop(); err != nil {
				r.t.Error(err)
			}
		}
		if r.hydra != nil {
			if err := r.hydra.Stop(); err != nil {
				r.t.Error(err)
			}
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// start starts ferry, and leads the applications to it and it to Auth0.
func (r *remints) start(ctx context.Context) error {
	if err := r.repair(r.toAuth0); err != nil {
		return err
	}
	ferry, err := ferrytest.Start(ctx, ferrytest.Options{Binary: built.Ferry(r.t), Env: []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_TOKEN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + tenantDomain, "FERRY_AUTH0_BASE_URL=http://" + r.toAuth0.address, "FERRY_AUTH0_TIMEOUT=2s",
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret,
		"FERRY_KRATOS_ADMIN_URL=http://" + r.toKratos.address, "FERRY_HYDRA_PUBLIC_URL=http://" + r.toPublic.address, "FERRY_HYDRA_ADMIN_URL=http://" + r.toAdmin.address,
		"FERRY_REMINT_CLIENTS=spa,native,web,post", "FERRY_TOKEN_PER_MINUTE=100000", "FERRY_DATA_DIR=" + r.data, "FERRY_STATE_KEY=" + stateKey,
	}})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.ferry = ferry
	r.mu.Unlock()
	return r.toFront.leadsTo(host(r.t, ferry.TokenFrontURL()))
}

// phase lets applications refresh twice while hops break, and ferry is killed. Then everything
// works again, and every application uses its tokens at Hydra alone.
func (r *remints) phase(apps []*app, random *rand.Rand, hops []*hop, kills bool) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Minute)
	defer cancel()
	work := make(chan *app)
	var workers, unrest sync.WaitGroup
	for range remintsAtOnce {
		workers.Go(func() {
			for a := range work {
				for range 2 {
					if err := r.remint(ctx, a); err != nil {
						r.t.Errorf("%s: %v", a.token, err)
					}
				}
			}
		})
	}
	over := make(chan struct{})
	unrest.Go(func() { r.unrest(ctx, random, hops, kills, over) })
	for _, a := range apps {
		work <- a
	}
	close(work)
	workers.Wait()
	close(over)
	unrest.Wait()
	var alone errgroup.Group
	alone.SetLimit(remintsAtOnce)
	for _, a := range apps {
		alone.Go(func() error {
			if err := r.useAlone(ctx, a); err != nil {
				r.t.Errorf("%s: %v", a.token, err)
			}
			return nil
		})
	}
	_ = alone.Wait()
}

// unrest breaks one hop after the other, and kills ferry from time to time, until over is closed.
// At its end everything works.
func (r *remints) unrest(ctx context.Context, random *rand.Rand, hops []*hop, kills bool, over <-chan struct{}) {
	faults := hopFaults(150 * time.Millisecond)
	wait := func(d time.Duration) bool {
		select {
		case <-over:
			return false
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	killedAt := int64(-1) // so many answers; each ferry gives one at least, however slow the machine is
	for {
		at, f := hops[random.IntN(len(hops))], faults[random.IntN(len(faults))]
		var err error
		if r.cuts.Add(1); at == r.toAuth0 {
			r.auth0Cuts.Add(1)
			err = at.leadsTo(r.tenant.connection(r.t, true))
		}
		err = errors.Join(err, at.breaks(f))
		goes := wait(time.Duration(50+random.IntN(150)) * time.Millisecond)
		if answers := r.answers.Load(); kills && answers > killedAt {
			killedAt = answers
			r.kills.Add(1)
			err = errors.Join(err, r.ferry.Kill(), at.heals(), r.start(ctx))
		}
		if err = errors.Join(err, r.repair(at)); err != nil {
			r.t.Error(err)
			return
		}
		if !goes || !wait(time.Duration(100+random.IntN(400))*time.Millisecond) {
			return
		}
	}
}

// repair ends the faults of a hop.
func (r *remints) repair(at *hop) error {
	if at == r.toAuth0 {
		return at.leadsTo(r.tenant.connection(r.t, false))
	}
	return at.heals()
}

// remint refreshes with the token of Auth0 until there are tokens.
func (r *remints) remint(ctx context.Context, a *app) error {
	for range remintTries {
		status, said, err := r.token(ctx, "http://"+r.toFront.address+"/oauth/token", a, a.token)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || status == http.StatusServiceUnavailable || status == http.StatusBadGateway:
			r.outages.Add(1)
		case status != http.StatusOK:
			return fmt.Errorf("it is told to log in anew: %d %v", status, said)
		default:
			r.answers.Add(1)
			return a.keep(said)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("no tokens")
}

// useAlone refreshes at Hydra, without ferry.
func (r *remints) useAlone(ctx context.Context, a *app) error {
	for range 2 {
		status, said, err := r.token(ctx, r.hydra.PublicURL()+"/oauth2/token", a, a.chain)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("the chain does not work: %d %v %w", status, said, err)
		}
		if err := a.keep(said); err != nil {
			return err
		}
	}
	return nil
}

// token makes a token request.
func (r *remints) token(ctx context.Context, to string, a *app, token string) (status int, said map[string]any, err error) {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {a.client}, "refresh_token": {token}}
	if a.method == "client_secret_post" {
		form.Set("client_secret", remintSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.method == "client_secret_basic" {
		req.SetBasicAuth(a.client, remintSecret)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	_ = json.Unmarshal(text, &said)
	return resp.StatusCode, said, nil
}

// keep keeps the new refresh token, if the tokens are for the right user.
func (a *app) keep(said map[string]any) error {
	id, _ := said["id_token"].(string)
	parts := strings.Split(id, ".")
	var claims struct {
		Subject string `json:"sub"`
	}
	if len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(text, &claims)
	}
	next, _ := said["refresh_token"].(string)
	if claims.Subject != a.identity || !strings.HasPrefix(next, "ory_rt_") {
		return fmt.Errorf("tokens for %q instead of %q", claims.Subject, a.identity)
	}
	a.chain = next
	return nil
}
