package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of values, which begin their names.
const (
	outcomesOf  = "outcomes"
	countOfHour = "hour"
	countOfDay  = "day"
)

// values are a history, by the number of the hour, or of the day, since 1970 (UTC).
type values struct {
	outcomes map[int64]map[string]int
	hours    map[int64]Count
	days     map[int64]Count
}

func newValues() values {
	return values{map[int64]map[string]int{}, map[int64]Count{}, map[int64]Count{}}
}

// add adds numbers to those of an hour.
func (v values) add(key int64, numbers map[string]int) {
	if v.outcomes[key] == nil {
		v.outcomes[key] = map[string]int{}
	}
	for what, n := range numbers {
		v.outcomes[key][what] += n
	}
}

// trim removes what is older than the history keeps.
func (v values) trim(now time.Time) {
	maps.DeleteFunc(v.outcomes, func(key int64, _ map[string]int) bool { return key < first(outcomesOf, now) })
	maps.DeleteFunc(v.hours, func(key int64, _ Count) bool { return key < first(countOfHour, now) })
	maps.DeleteFunc(v.days, func(key int64, _ Count) bool { return key < first(countOfDay, now) })
}

// first is the number of the first hour, or day, that is kept.
func first(kind string, now time.Time) int64 {
	if kind == countOfDay {
		return now.Add(-KeepDaily).Unix()/int64(day/time.Second) + 1
	}
	return now.Add(-KeepHourly).Unix()/int64(hour/time.Second) + 1
}

// expired reports whether the value with this name is too old.
func expired(named string, now time.Time) bool {
	kind, number, _ := strings.Cut(named, ":")
	key, err := strconv.ParseInt(number, 10, 64)
	return err == nil && key < first(kind, now)
}

// data returns the values in the order of time. Days that have hours are left out.
func (v values) data(kept, fault string) Data {
	d := Data{Kept: kept, Fault: fault}
	for _, key := range slices.Sorted(maps.Keys(v.outcomes)) {
		d.Hours = append(d.Hours, Hour{time.Unix(key*int64(hour/time.Second), 0).UTC(), maps.Clone(v.outcomes[key])})
	}
	hours := slices.Sorted(maps.Keys(v.hours))
	for _, key := range slices.Sorted(maps.Keys(v.days)) {
		if len(hours) > 0 && !v.days[key].At.Before(v.hours[hours[0]].At) {
			break
		}
		d.Counts = append(d.Counts, v.days[key])
	}
	for _, key := range hours {
		d.Counts = append(d.Counts, v.hours[key])
	}
	return d
}

// name is the name of a value in the file and in Redis.
func name(kind string, key int64) string { return kind + ":" + strconv.FormatInt(key, 10) }

// set sets the value with this name.
func (v values) set(named string, text []byte) error {
	kind, number, _ := strings.Cut(named, ":")
	key, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("history: %q is not the name of a value", named)
	}
	var count Count
	switch kind {
	case outcomesOf:
		numbers := map[string]int{}
		err = json.Unmarshal(text, &numbers)
		v.outcomes[key] = numbers
	case countOfHour:
		err = json.Unmarshal(text, &count)
		v.hours[key] = count
	case countOfDay:
		err = json.Unmarshal(text, &count)
		v.days[key] = count
	default:
		err = errors.New("unknown kind of value")
	}
	if err != nil {
		return fmt.Errorf("history: %s: %w", named, err)
	}
	return nil
}

func encode(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return text, nil
}

// readShared reads everything that the replicas have in common.
func readShared(ctx context.Context, shared Shared, now time.Time) (values, error) {
	var names []string
	lastHour, lastDay := now.Unix()/int64(hour/time.Second), now.Unix()/int64(day/time.Second)
	for key := first(countOfHour, now); key <= lastHour; key++ {
		names = append(names, name(outcomesOf, key), name(countOfHour, key))
	}
	for key := first(countOfDay, now); key <= lastDay; key++ {
		names = append(names, name(countOfDay, key))
	}
	texts, err := shared.Read(ctx, names)
	if err != nil {
		return values{}, err
	}
	all := newValues()
	for i, text := range texts {
		if text == nil {
			continue
		}
		if err := all.set(names[i], text); err != nil {
			return values{}, err
		}
	}
	return all, nil
}
