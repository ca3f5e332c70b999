package submit_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/gateway/submit"
	"ferry/identifier"
	model "ferry/test/submit"
)

// paths are the traits that the model reads as identifiers.
func paths() []string { return []string{"email", "name.nick", "emails"} }

func routes() map[string]submit.Route {
	return map[string]submit.Route{
		"login": submit.Login, "recovery": submit.Recovery, "registration": submit.Registration, "verification": submit.Verification,
	}
}

func read(g model.Generated) (submit.Submit, bool) {
	return submit.Read(submit.Request{Route: routes()[g.Route], Query: g.Query, ContentType: g.ContentType, Body: g.Body, Traits: paths()})
}

// checkSeen fails if ferry sees anything that Kratos does not: for both releases, each with
// a random one of the orders in which Kratos may insert the fields.
func checkSeen(t *testing.T, g model.Generated, s submit.Submit, random *rand.Rand) {
	t.Helper()
	for _, release := range []model.Release{model.V131, model.V262} {
		m := model.Model{Release: release, Shuffle: func(names []string) {
			random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		}}
		reading, ok := m.Read(g.Route, s.Method, g.Query, g.ContentType, g.Body)
		if !ok {
			t.Errorf("Kratos refuses what ferry reads as %.200s\n%.1500s", fmt.Sprint(s), shown(g))
			return
		}
		var known []string
		for _, typed := range reading.Identifiers(g.Route) {
			known = append(known, identifier.Normalize(typed))
		}
		for _, seen := range s.Identifiers {
			if !slices.Contains(known, seen) {
				t.Errorf("Kratos reads %.200q and ferry %.200s\n%.1500s", known, fmt.Sprint(s), shown(g))
				return
			}
		}
		if g.Route == "login" && s.Method == "password" && reading.Password != s.Password.Reveal() {
			t.Errorf("Kratos reads another password\n%.1500s", shown(g))
			return
		}
	}
}

func shown(g model.Generated) string {
	return fmt.Sprintf("%s %s %s %q", g.Route, g.Query, g.ContentType, g.Body)
}

// missed reports whether Kratos reads an identifier that a person can have.
func missed(g model.Generated) bool {
	m := model.Model{Release: model.V262, Shuffle: func([]string) {}}
	for _, method := range []string{"password", "code", "identifier_first", "link", "profile"} {
		reading, ok := m.Read(g.Route, method, g.Query, g.ContentType, g.Body)
		if !ok || reading.Method != method || method == "password" && reading.Password == "" {
			continue
		}
		for _, typed := range reading.Identifiers(g.Route) {
			if normal := identifier.Normalize(typed); normal == model.Email || normal == model.Other || normal == model.Number {
				return true
			}
		}
	}
	return false
}

// sample: one in so many of the requests that ferry does not see is read by the model.
const sample = 16

// generated is the number of requests in TestGeneratedRequests without REQUESTS.
const generated = 20_000

// logEvery: the log says after so many requests how far the test is.
const logEvery = 500_000

// TestGeneratedRequests: ferry sees no identifier and no password that Kratos does not, and
// most of what Kratos sees. `make requests` makes more, or REQUESTS of them.
func TestGeneratedRequests(t *testing.T) {
	t.Parallel()
	total := generated
	if text := os.Getenv("REQUESTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d requests, seed %d", total, seed)
	var next, seen, unseen atomic.Int64
	var all sync.WaitGroup
	for worker := range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			g := model.Generator{Rand: random}
			for n := next.Add(1); n <= int64(total) && !t.Failed(); n = next.Add(1) {
				if n%logEvery == 0 {
					t.Logf("%d of %d", n, total)
				}
				request := g.Next()
				if s, ok := read(request); ok {
					seen.Add(1)
					checkSeen(t, request, s, random)
				} else if random.IntN(sample) == 0 && missed(request) {
					unseen.Add(sample)
				}
			}
		})
	}
	all.Wait()
	t.Logf("ferry saw %d; Kratos might see about %d more", seen.Load(), unseen.Load())
	if seen.Load() < int64(total)/5 || unseen.Load() > seen.Load() {
		t.Error("the requests are too wild, or ferry misses too many")
	}
}

// FuzzRead: whatever the request, Read returns, and sees nothing that Kratos does not.
func FuzzRead(f *testing.F) {
	g := model.Generator{Rand: rand.New(rand.NewPCG(1, 2))}
	for range 200 {
		request := g.Next()
		f.Add(request.Route, request.Query, request.ContentType, request.Body)
	}
	const limit = 64 << 10 // the caller's
	for _, row := range recordedBodies() {
		if len(row.body) > limit {
			continue
		}
		f.Add("login", "flow="+model.FlowID, row.contentType, []byte(row.body))
	}
	f.Fuzz(func(t *testing.T, route, query, contentType string, body []byte) {
		if len(body) > limit || strings.ContainsAny(contentType, "\r\n") { // too long, or not a header
			return
		}
		request := model.Generated{Route: route, Query: query, ContentType: contentType, Body: body}
		if s, ok := read(request); ok {
			checkSeen(t, request, s, rand.New(rand.NewPCG(3, 4)))
		}
	})
}
