package state

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// historyAtOnce is how many values one call reads.
const historyAtOnce = 500

// History keeps values of package history in a Redis, for all replicas with the same URL and
// key. They are numbers and names of connections, and are not sealed: Redis adds to them.
// Every value expires.
type History struct{ redis *Redis }

// History returns the history in this Redis.
func (r *Redis) History() *History { return &History{r} }

// Add adds numbers to those of a value. After an error it is not known whether they were added.
func (h *History) Add(ctx context.Context, name string, numbers map[string]int, keep time.Duration) error {
	args := []any{milliseconds(keep)}
	for what, n := range numbers {
		args = append(args, what, n)
	}
	return h.redis.do(ctx, "add to the history", func(ctx context.Context) error {
		return h.redis.scripts.add.Run(ctx, h.redis.client, []string{h.name(name)}, args...).Err()
	})
}

// Put replaces a value.
func (h *History) Put(ctx context.Context, name string, value []byte, keep time.Duration) error {
	return h.redis.do(ctx, "put into the history", func(ctx context.Context) error {
		return h.redis.client.Set(ctx, h.name(name), value, keep).Err()
	})
}

// Read returns the values, in the order of their names; nil for one that is missing.
func (h *History) Read(ctx context.Context, names []string) ([][]byte, error) {
	values := make([][]byte, 0, len(names))
	for some := range slices.Chunk(names, historyAtOnce) {
		keys := make([]string, len(some))
		for i, name := range some {
			keys[i] = h.name(name)
		}
		var texts []any
		err := h.redis.do(ctx, "read the history", func(ctx context.Context) (err error) {
			texts, err = h.redis.scripts.read.Run(ctx, h.redis.client, keys).Slice()
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(texts) != len(keys) {
			return nil, fmt.Errorf("state: read the history: %d values for %d names", len(texts), len(keys))
		}
		for _, text := range texts {
			if found, ok := text.(string); ok {
				values = append(values, []byte(found))
			} else {
				values = append(values, nil)
			}
		}
	}
	return values, nil
}

func (h *History) name(what string) string { return h.redis.prefix + "history:" + what }

const (
	// KEYS the value; ARGV its time, then names and numbers. A value that is not JSON is replaced.
	addScript = `
local ok, all = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '{}')
if not ok or type(all) ~= 'table' then all = {} end
for i = 2, #ARGV, 2 do
  all[ARGV[i]] = (tonumber(all[ARGV[i]]) or 0) + tonumber(ARGV[i + 1])
end
return redis.call('SET', KEYS[1], cjson.encode(all), 'PX', ARGV[1])
`
	// KEYS the values.
	readScript = `
local values = {}
for i, name in ipairs(KEYS) do values[i] = redis.call('GET', name) end
return values
`
)
