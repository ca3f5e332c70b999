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

// schemas is an admin API that gives a schema, or does not.
type schemas struct {
	oneRecord
	text  string
	err   error
	hangs bool // until the caller gives up
	asked int
}

func (s *schemas) Schema(ctx context.Context, _ string) ([]byte, error) {
	s.asked++
	if s.hangs {
		<-ctx.Done()
	}
	return []byte(s.text), s.err
}

// TestSchemaThatCannotBeHad: a schema that cannot be read is done without, and logged
// once. Where Kratos does not answer at all, it is asked again.
func TestSchemaThatCannotBeHad(t *testing.T) {
	down := &kratos.Error{Outcome: outcome.Unavailable, Reason: "unreachable"}
	for name, c := range map[string]struct {
		api     *schemas
		patient time.Duration // 0: no deadline
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

// testMissingSchema asks for the schema twice, again when the api has it, and once more
// when it is gone. without: it is done without, and not asked for again at once.
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
		t.Errorf("told %d times, asked %d times", logs.Len(), api.asked)
	}
	now = now.Add(schemaRetry)
	*api = schemas{text: `{}`}
	expectSchema(t, c, patient, true, true)
	now = now.Add(schemaLasts)
	*api = missing
	expectSchema(t, c, patient, without, without)
}

// expectSchema reads it, and leaves time for what needs none.
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
