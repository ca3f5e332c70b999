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
	// schemaLasts is how long an identity schema is used before it is read again.
	schemaLasts = 10 * time.Minute
	// schemaRetry is how long a schema that cannot be read is not asked for again.
	schemaRetry = time.Minute
)

type cachedSchema struct {
	schema  *mapping.Schema // nil: never read
	until   time.Time
	missing bool // it could not be read the last time, and that is logged
}

// schema is the identity schema, fetched now and then. It is nil where Kratos' admin API
// answers and the schema cannot be had: then what needs no schema is written.
func (c *carrier) schema(ctx context.Context, id string) (*mapping.Schema, error) {
	c.mu.Lock()
	cached, ok := c.schemas[id]
	c.mu.Unlock()
	if ok && c.now().Before(cached.until) {
		return cached.schema, nil
	}
	schema, err := c.fetchSchema(ctx, id)
	if err != nil && !isMissing(err) {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.schemas[id] = cachedSchema{schema: schema, until: c.now().Add(schemaLasts)}
		return schema, nil
	}
	cached = c.schemas[id]
	if !cached.missing {
		c.log.Error("identity schema cannot be read: "+leftOut(cached.schema != nil), zap.String("schema_id", id), zap.Error(err))
	}
	c.schemas[id] = cachedSchema{schema: cached.schema, until: c.now().Add(schemaRetry), missing: true}
	return cached.schema, nil
}

// isMissing reports whether a schema cannot be had although Kratos' admin API answers.
// Kratos may be asked again soon where it does not answer.
func isMissing(err error) bool {
	var public *kratos.PublicError
	if errors.As(err, &public) || errors.Is(err, errMapping) {
		return true
	}
	var fault *kratos.Error
	return errors.As(err, &fault) && fault.Status != 0 && fault.Status != http.StatusTooManyRequests && fault.Status < http.StatusInternalServerError
}

// leftOut says what a schema that cannot be read costs.
func leftOut(known bool) string {
	if known {
		return "the one read before is used"
	}
	return "no trait of a profile is written, only metadata and verified addresses; ferry doctor says what to change"
}

// fetchSchema reads a schema in half of the time that there is: the rest is for what
// needs none.
func (c *carrier) fetchSchema(ctx context.Context, id string) (*mapping.Schema, error) {
	within := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	text, err := c.Records.Schema(within, id)
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
