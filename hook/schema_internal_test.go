package hook

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/kratos"
	"ferry/outcome"
)

// schemas is an admin API that returns a schema, or fails.
type schemas struct {
	oneRecord
	text  string
	err   error
	hangs bool // blocks until the caller gives up
	asked int
}

func (s *schemas) Schema(ctx context.Context, _ string) ([]byte, error) {
	s.asked++
	if s.hangs {
		<-ctx.Done()
	}
	return []byte(s.text), s.err
}

// TestMissingSchema: if a schema cannot be read, ferry goes on without it and logs
// that once. If Kratos does not answer at all, ferry asks again.
func TestMissingSchema(t *testing.T) {
	down := &kratos.Error{Outcome: outcome.Unavailable, Reason: "unreachable"}
	for name, c := range map[string]struct {
		api     *schemas
		patient time.Duration // 0 for no deadline
		without bool
	}{
		"the public API":         {api: &schemas{err: &kratos.PublicError{}}, without: true},
		"the public API, silent": {api: &schemas{err: &kratos.PublicError{}, hangs: true}, patient: 200 * time.Millisecond, without: true},
		"no such path":           {api: &schemas{err: &kratos.Error{Status: 404}}, without: true},
		"not a schema":           {api: &schemas{text: `{"$ref":"https://elsewhere.example/person.json"}`}, without: true},
		"Kratos":                 {api: &schemas{err: down}},
		"Kratos, with a fault":   {api: &schemas{err: &kratos.Error{Status: 503}}},
	} {
		t.Run(name, func(t *testing.T) { testMissingSchema(t, c.api, c.patient, c.without) })
	}
}

// testMissingSchema requests the schema twice, again after the API has it, and once
// more after it is gone. If without is set, the syncer goes on without a schema and
// does not ask again at once.
func testMissingSchema(t *testing.T, api *schemas, patient time.Duration, without bool) {
	t.Helper()
	core, logs := observer.New(zapcore.WarnLevel)
	now := time.Now()
	c := newProfileSyncer(SyncOptions{Records: api}, zap.New(core), strings.ToUpper, nil, func() time.Time { return now })
	missing, gone := *api, 2
	if without {
		gone = 1
	}
	for range 2 {
		expectSchema(t, c, patient, false, without)
	}
	if logs.Len() != 2-gone || api.asked != gone {
		t.Errorf("logged %d times, asked %d times", logs.Len(), api.asked)
	}
	now = now.Add(schemaRetry)
	*api = schemas{text: `{}`}
	expectSchema(t, c, patient, true, true)
	now = now.Add(schemaLasts)
	*api = missing
	expectSchema(t, c, patient, without, without)
}

// expectSchema requests the schema; the request must not use up its deadline.
func expectSchema(t *testing.T, c *profileSyncer, patient time.Duration, there, fine bool) {
	t.Helper()
	ctx := t.Context()
	if patient > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patient)
		defer cancel()
	}
	schema, err := c.schema(ctx, "person")
	if (schema != nil) != there || (err == nil) != fine || ctx.Err() != nil {
		t.Errorf("schema %v, %v, time over: %v", schema != nil, err, ctx.Err())
	}
}
