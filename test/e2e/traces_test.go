package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ferry/audit"
	"ferry/test/auth0sim"
	"ferry/test/bulktest"
	"ferry/test/kratostest"
	"ferry/test/otlptest"
	"ferry/test/redistest"
)

// tracedKratos lets Kratos send its traces to the collector.
func tracedKratos(collector *otlptest.Collector) func(*kratostest.Options) {
	return func(k *kratostest.Options) {
		k.Env = append(k.Env, "OTEL_BSP_SCHEDULE_DELAY=100")
		k.Edit = func(config map[string]any) {
			config["tracing"] = map[string]any{"provider": "otel", "service_name": "kratos", "providers": map[string]any{
				"otlp": map[string]any{"server_url": strings.TrimPrefix(collector.URL(), "http://"), "insecure": true, "sampling": map[string]any{"sampling_ratio": 1}},
			}}
		}
	}
}

// TestTraces: a login is one trace, from Kratos to ferry's steps and back to Kratos' admin API.
// Auth0 does not get its id. No span of ferry's has user data. The audit log has the decisions,
// by its schema, with the ids of their traces.
func TestTraces(t *testing.T) {
	t.Parallel()
	collector, redis := otlptest.Run(t), redistest.Run(t, redistest.Options{})
	trail := filepath.Join(t.TempDir(), "audit.log")
	s := startOn(t, tracedKratos(collector), "FERRY_AUDIT_LOG="+trail,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL(), "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_SERVICE_NAME=ferry-blue",
		"FERRY_STATE_URL="+redis.URL(), "FERRY_STATE_KEY="+stateKey, "FERRY_TRUSTED_PROXIES=1")
	p := s.profiled(t, nil)
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	p.arrived(t, marked)
	wrong := s.person(t, nil)
	wrong.check(t, s.kratos.LoginBrowser, wrong.email, "canary-wrong", expect{kratostest.SeesInvalidCredentials, 1, 1, false})
	s.fault(t, auth0sim.Fault{Name: auth0sim.FaultErrorWith200})
	if status := s.callHook(t, wrong.email, wrong.password, "X-Forwarded-For", "203.0.113.77", "Tracestate", "canary=state"); status != http.StatusFailedDependency {
		t.Fatal(status)
	}
	s.call(t, "/hooks/after-login", `{"canary":1}`)

	var patch otlptest.Span
	s.await(t, "the spans", func() bool {
		spans := collector.Spans()
		i := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Name == "write profile" })
		if i < 0 || len(named(spans, "POST /hooks/password-migration")) < 3 {
			return false
		}
		patch = spans[i]
		return len(named(spans, "GET kratos")) > 0 && len(of(spans, "kratos")) > 0 && len(named(spans, "POST /hooks/after-login")) > 1
	})
	s.rotate(t, trail)
	if err := s.ferry.Stop(); err != nil { // it sends the rest
		t.Fatal(err)
	}
	spans := collector.Spans()
	checkOneTrace(t, spans, patch)
	checkSpansAreSilent(t, collector)
	checkAudit(t, trail, p, patch.Trace)
	for _, request := range s.sim.Requests() {
		if request.Header.Get("Traceparent") != "" {
			t.Error("Auth0 got a traceparent")
		}
	}
	for line := range strings.Lines(s.ferry.Logs()) {
		if strings.Contains(line, `"outcome":"match"`) && !strings.Contains(line, `"trace_id":"`+patch.Trace+`"`) {
			t.Errorf("the log line has another trace than %s: %s", patch.Trace, line)
		}
	}
}

// checkOneTrace checks the trace of the login that matched.
func checkOneTrace(t *testing.T, spans []otlptest.Span, patch otlptest.Span) {
	t.Helper()
	trace := slices.DeleteFunc(slices.Clone(spans), func(s otlptest.Span) bool { return s.Trace != patch.Trace })
	for _, name := range []string{
		"POST /hooks/password-migration", "read request", "wait for turn", "look up identity", "attempt", "redis recall", "redis claim", "check limits", "redis take",
		"auth0 grant", "POST auth0", "check token", "settle limits", "redis remember", "decide", "redis keep", "send answer",
		"POST /hooks/after-login", "take profile", "write profile", "GET kratos", "PATCH kratos", "redis done",
	} {
		if len(named(of(trace, "ferry-blue"), name)) == 0 {
			t.Errorf("the trace has no span %q", name)
		}
	}
	hook := named(trace, "POST /hooks/password-migration")[0]
	if hook.Attributes["ferry.outcome"] != "match" || len(hook.Attributes["user.hash"]) != 16 || hook.Kind != "SPAN_KIND_SERVER" {
		t.Errorf("%+v", hook)
	}
	if !slices.Contains(patch.Links, named(trace, "decide")[0].ID) {
		t.Errorf("the patch is not linked to the login: %v", patch.Links)
	}
	byID := map[string]otlptest.Span{}
	for _, s := range trace {
		byID[s.ID] = s
	}
	if caller := byID[hook.Parent]; caller.Service != "kratos" {
		t.Errorf("the parent of the hook's span is %+v", caller)
	}
	served := slices.ContainsFunc(of(trace, "kratos"), func(s otlptest.Span) bool { return byID[s.Parent].Name == "GET kratos" })
	if !served {
		t.Error("Kratos' admin API is not part of the trace")
	}
}

// checkSpansAreSilent searches what ferry exported for user data and secrets.
func checkSpansAreSilent(t *testing.T, collector *otlptest.Collector) {
	t.Helper()
	raw := collector.Raw("ferry-blue")
	for _, word := range []string{"canary", "eyJ", "203.0.113.77", "auth0|", "/admin/identities/", hookKey, clientSecret} {
		if at := strings.Index(raw, word); at >= 0 {
			t.Errorf("%q in a span: %q", word, raw[max(0, at-80):min(len(raw), at+40)])
		}
	}
	for _, s := range of(collector.Spans(), "ferry-blue") {
		if s.Events > 0 || s.Kind == "SPAN_KIND_SERVER" && s.Attributes["server.address"] != "" {
			t.Errorf("%+v", s)
		}
	}
}

// rotate renames the audit log and has ferry open a new one.
func (s *stack) rotate(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.ferry.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the new audit log", func() bool { return strings.Contains(s.ferry.Logs(), `"msg":"audit log reopened"`) })
}

// checkAudit checks the audit log of the logins above.
func checkAudit(t *testing.T, path string, p *person, trace string) {
	t.Helper()
	rotated, err := os.ReadFile(path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"action":"stop"`) {
		t.Fatalf("%v: %s", err, text)
	}
	text = append(rotated, text...)
	seen := map[string]audit.Record{}
	var numbers []uint64
	for line := range strings.Lines(string(text)) {
		bulktest.Documented(t, "../../docs/audit.schema.json", line)
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		numbers = append(numbers, r.Seq)
		seen[strings.TrimSpace(string(r.Action)+" "+r.Outcome)] = r
		for _, word := range []string{"canary", "eyJ", "203.0.113.77", "auth0|", hookKey, clientSecret} {
			if strings.Contains(line, word) {
				t.Errorf("%q in the audit log: %s", word, line)
			}
		}
	}
	slices.Sort(numbers)
	if numbers[len(numbers)-1] != uint64(len(numbers)) {
		t.Errorf("records are missing: %v", numbers)
	}
	for _, what := range []string{"start done", "login match", "login mismatch", "login garbled", "migrated migrated", "profile_write written", "profile_write bad_request", "stop done"} {
		if seen[what].Action == "" {
			t.Errorf("no record %q:\n%s", what, text)
		}
	}
	match, written := seen["login match"], seen["profile_write written"]
	if match.IdentityID != p.identity || match.Realm != users || match.SubjectHash == "" || match.SubjectHash != written.SubjectHash || match.TraceID != trace ||
		written.IdentityID != p.identity || written.TraceID != trace || match.Actor.KeyID != seen["start done"].Keys[0] {
		t.Errorf("match %+v\nwritten %+v", match, written)
	}
}

func named(spans []otlptest.Span, name string) (found []otlptest.Span) {
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func of(spans []otlptest.Span, service string) (found []otlptest.Span) {
	for _, s := range spans {
		if s.Service == service {
			found = append(found, s)
		}
	}
	return found
}
