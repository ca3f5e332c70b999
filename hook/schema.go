package hook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"ferry/kratos"
	"ferry/mapping"
)

const (
	// schemaLasts is how long an identity schema is cached.
	schemaLasts = 10 * time.Minute
	// schemaRetry is how long ferry waits before it reads a missing schema again.
	schemaRetry = time.Minute
)

type cachedSchema struct {
	schema  *mapping.Schema // nil: never read
	until   time.Time
	missing bool // the last read failed, and that is logged
}

// schema returns the identity schema from a cache. It is nil if Kratos' admin API answers
// but the schema cannot be read: then ferry writes what needs no schema.
func (s *profileSyncer) schema(ctx context.Context, id string) (*mapping.Schema, error) {
	s.mu.Lock()
	cached, ok := s.schemas[id]
	s.mu.Unlock()
	if ok && s.now().Before(cached.until) {
		return cached.schema, nil
	}
	schema, err := s.fetchSchema(ctx, id)
	if err != nil && !isMissing(err) {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.schemas[id] = cachedSchema{schema: schema, until: s.now().Add(schemaLasts)}
		return schema, nil
	}
	cached = s.schemas[id]
	if !cached.missing {
		s.log.Error("identity schema cannot be read: "+leftOut(cached.schema != nil), zap.String("schema_id", id), zap.Error(err))
	}
	s.schemas[id] = cachedSchema{schema: cached.schema, until: s.now().Add(schemaRetry), missing: true}
	return cached.schema, nil
}

// isMissing reports whether a schema cannot be read although Kratos' admin API answers.
// If the admin API does not answer, Kratos may be asked again soon.
func isMissing(err error) bool {
	var public *kratos.PublicError
	if errors.As(err, &public) || errors.Is(err, errMapping) {
		return true
	}
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status != 0 && fault.Status != http.StatusTooManyRequests && fault.Status < http.StatusInternalServerError
}

// leftOut describes the consequence of a schema that cannot be read.
func leftOut(known bool) string {
	if known {
		return "the one read before is used"
	}
	return "no trait of a profile is written, only metadata and verified addresses; ferry doctor says what to change"
}

// fetchSchema reads a schema in half of the remaining time. The other half is for the
// fields that need no schema.
func (s *profileSyncer) fetchSchema(ctx context.Context, id string) (*mapping.Schema, error) {
	within := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	text, err := s.Records.Schema(within, id)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	schema, err := mapping.ParseSchema(text)
	if err != nil {
		return nil, unmappable(err)
	}
	return schema, nil
}
