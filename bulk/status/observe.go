package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Observed says what the running ferries tell in their metrics: the logins that they decided
// in mode observe since they started, and what is left of Auth0's rate limit.
type Observed struct {
	// Modes counts the ferries by mode.
	Modes map[string]int `json:"modes"`
	// Logins is the number of logins in mode observe, and Outcomes counts them by outcome.
	Logins   int            `json:"logins"`
	Outcomes map[string]int `json:"outcomes"`
	// MatchRate is the share of them that would have matched; nil without logins.
	MatchRate *float64 `json:"match_rate,omitempty"`
	// SecondFactors, TooLong and Unbound count logins that need a second factor, have a
	// password longer than FERRY_MAX_PASSWORD_BYTES, or are of an identity without a binding.
	SecondFactors int `json:"second_factors"`
	TooLong       int `json:"too_long_passwords"`
	Unbound       int `json:"unbound"`
	// LongPasswords is the number of logins, in any mode since the ferries started, with a
	// password longer than FERRY_MAX_PASSWORD_BYTES.
	LongPasswords int `json:"long_password_logins"`
	// P50 and P99 are about how many seconds the logins took; nil: not known, because there
	// are none or they took longer than the metrics can tell.
	P50 *float64 `json:"p50_seconds,omitempty"`
	P99 *float64 `json:"p99_seconds,omitempty"`
	// RateLimits are what Auth0 told last, by header; empty: it told nothing.
	RateLimits []RateLimit `json:"rate_limits,omitempty"`
	// Remints are the applications that still use refresh tokens of Auth0, the latest first.
	Remints []Remint `json:"remints,omitempty"`
}

// Remint says of an application how often the token front replaced a refresh token of Auth0 for it,
// and when it last did.
type Remint struct {
	ClientID string    `json:"client_id"`
	Count    int       `json:"count"`
	Last     time.Time `json:"last"`
}

// RateLimit is what Auth0 told in a header.
type RateLimit struct {
	Header    string `json:"header"`
	Remaining int    `json:"remaining"`
	// Limit is 0 if it is not known.
	Limit int `json:"limit,omitempty"`
}

// The metrics that are read. Packages mode, hook, upstream and remint have them.
const (
	metricMode      = "ferry_mode"
	metricLogins    = "ferry_observe_logins_total"
	metricReasons   = "ferry_hook_reasons_total"
	metricSeconds   = "ferry_observe_seconds"
	metricLimit     = "ferry_auth0_rate_limit"
	metricRemaining = "ferry_auth0_rate_limit_remaining"
	metricRemints   = "ferry_remint_uses"
	metricRemintAt  = "ferry_remint_last_use_timestamp_seconds"

	// The labels of a login whose password is too long.
	outcomeOversize    = "oversize"
	reasonLongPassword = "password_length"

	metricsPath     = "/metrics/prometheus"
	maxMetricsBytes = 16 << 20
)

// MetricsURL returns the address of the metrics of an admin listener, of which base is the
// address.
func MetricsURL(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("must be the URL of an admin listener, such as http://127.0.0.1:4481")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = metricsPath
	}
	return u.String(), nil
}

// observe reads the metrics at the URLs, one for each ferry.
func observe(ctx context.Context, client *http.Client, urls []string) (*Observed, error) {
	o := &Observed{Modes: map[string]int{}, Outcomes: map[string]int{}}
	took := buckets{}
	for _, at := range urls {
		families, err := readMetrics(ctx, client, at)
		if err != nil {
			return nil, fmt.Errorf("read the metrics of %s: %w", at, err)
		}
		o.add(families)
		for _, m := range families[metricSeconds].GetMetric() {
			took.add(m.GetHistogram())
		}
	}
	if o.Logins > 0 {
		rate := float64(o.Outcomes["observed"]) / float64(o.Logins)
		o.MatchRate = &rate
	}
	o.P50, o.P99 = took.quantile(0.5), took.quantile(0.99)
	return o, nil
}

// readMetrics reads the metrics of one ferry.
func readMetrics(ctx context.Context, client *http.Client, at string) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := client.Do(req)
	if err != nil {
		var fault *url.Error
		if errors.As(err, &fault) {
			err = fault.Err
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	body := &io.LimitedReader{R: resp.Body, N: maxMetricsBytes + 1}
	families, err := parser.TextToMetricFamilies(body)
	switch {
	case err != nil:
		return nil, err
	case body.N <= 0: // the rest would be missing without a word
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxMetricsBytes)
	}
	if families[metricMode] == nil {
		return nil, fmt.Errorf("%s is missing: this is not the admin listener of ferry serve", metricMode)
	}
	return families, nil
}

// add adds the metrics of one ferry.
func (o *Observed) add(families map[string]*dto.MetricFamily) {
	for _, m := range families[metricMode].GetMetric() {
		if m.GetGauge().GetValue() == 1 {
			o.Modes[label(m, "mode")]++
		}
	}
	for _, m := range families[metricLogins].GetMetric() {
		n, outcome := int(m.GetCounter().GetValue()), label(m, "outcome")
		o.Logins += n
		o.Outcomes[outcome] += n
		switch {
		case outcome == "mfa_required":
			o.SecondFactors += n
		case outcome == "unbound":
			o.Unbound += n
		case outcome == outcomeOversize && label(m, "reason") == reasonLongPassword:
			o.TooLong += n
		}
	}
	for _, m := range families[metricReasons].GetMetric() {
		if label(m, "outcome") == outcomeOversize && label(m, "reason") == reasonLongPassword {
			o.LongPasswords += int(m.GetCounter().GetValue())
		}
	}
	o.Remints = withRemints(o.Remints, families)
	limits := map[string]int{}
	for _, m := range families[metricLimit].GetMetric() {
		limits[label(m, "header")] = int(m.GetGauge().GetValue())
	}
	for _, m := range families[metricRemaining].GetMetric() {
		o.told(RateLimit{label(m, "header"), int(m.GetGauge().GetValue()), limits[label(m, "header")]})
	}
}

// Remints returns the applications in the metrics of a ferry, the latest first.
func Remints(families []*dto.MetricFamily) []Remint {
	byName := map[string]*dto.MetricFamily{}
	for _, one := range families {
		byName[one.GetName()] = one
	}
	return withRemints([]Remint{}, byName)
}

// withRemints adds the applications of one ferry. Ferries that share a Redis tell the same, so the
// larger count is kept.
func withRemints(all []Remint, families map[string]*dto.MetricFamily) []Remint {
	last := map[string]time.Time{}
	for _, m := range families[metricRemintAt].GetMetric() {
		last[label(m, "client_id")] = time.Unix(int64(m.GetGauge().GetValue()), 0).UTC()
	}
	for _, m := range families[metricRemints].GetMetric() {
		one := Remint{label(m, "client_id"), int(m.GetGauge().GetValue()), last[label(m, "client_id")]}
		if at := slices.IndexFunc(all, func(r Remint) bool { return r.ClientID == one.ClientID }); at >= 0 {
			other := all[at]
			one.Count = max(one.Count, other.Count)
			if other.Last.After(one.Last) {
				one.Last = other.Last
			}
			all = slices.Delete(all, at, at+1)
		}
		all = append(all, one)
	}
	SortRemints(all)
	return all
}

// SortRemints sorts applications, the latest first.
func SortRemints(all []Remint) {
	slices.SortFunc(all, func(a, b Remint) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.ClientID, b.ClientID)) })
}

// Text is the human-readable form.
func (r Remint) Text() string {
	return fmt.Sprintf("%s got tokens of Hydra for a refresh token of Auth0 %d times, last on %s", r.ClientID, r.Count, r.Last.Format(time.RFC3339))
}

// told keeps the smallest remainder by header: all ferries use the same limit.
func (o *Observed) told(limit RateLimit) {
	at, found := slices.BinarySearchFunc(o.RateLimits, limit, func(a, b RateLimit) int { return cmp.Compare(a.Header, b.Header) })
	switch {
	case !found:
		o.RateLimits = slices.Insert(o.RateLimits, at, limit)
	case limit.Remaining < o.RateLimits[at].Remaining:
		o.RateLimits[at] = limit
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// buckets are the cumulative counts of a histogram, by the upper bound.
type buckets map[float64]uint64

func (b buckets) add(h *dto.Histogram) {
	for _, one := range h.GetBucket() {
		b[one.GetUpperBound()] += one.GetCumulativeCount()
	}
}

// quantile returns the quantile, as histogram_quantile of Prometheus does: between the bounds
// of its bucket, the values are taken as evenly spread. It is nil if there are no values, or
// if it lies beyond the last bound.
func (b buckets) quantile(q float64) *float64 {
	rank := q * float64(b[math.Inf(1)])
	if rank == 0 {
		return nil
	}
	bounds := make([]float64, 0, len(b))
	for bound := range b {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	low, below := 0.0, 0.0
	for _, bound := range bounds {
		if count := float64(b[bound]); count >= rank && !math.IsInf(bound, 1) {
			value := low + (bound-low)*(rank-below)/(count-below)
			return &value
		} else if count >= rank {
			return nil
		}
		low, below = bound, float64(b[bound])
	}
	return nil
}

// text is the human-readable form.
func (o *Observed) text() string {
	var modes []string
	for _, mode := range []string{"on", "observe", "off"} {
		if n := o.Modes[mode]; n > 0 {
			modes = append(modes, fmt.Sprintf("%d in mode %s", n, mode))
		}
	}
	text := "ferry: " + strings.Join(modes, ", ") + "\n"
	if o.Logins == 0 {
		text += "no login was decided in mode observe since ferry started\n"
	} else {
		text += fmt.Sprintf("%9d logins were decided in mode observe since ferry started: %.1f%% would have matched\n", o.Logins, 100**o.MatchRate)
		outcomes := make([]string, 0, len(o.Outcomes))
		for outcome := range o.Outcomes {
			outcomes = append(outcomes, outcome)
		}
		slices.SortFunc(outcomes, func(a, b string) int {
			return cmp.Or(cmp.Compare(o.Outcomes[b], o.Outcomes[a]), strings.Compare(a, b))
		})
		for _, outcome := range outcomes {
			text += fmt.Sprintf("%9d %s\n", o.Outcomes[outcome], outcome)
		}
		text += fmt.Sprintf("of these, %d need a second factor, %d have a password that is too long, %d are of unbound identities\n", o.SecondFactors, o.TooLong, o.Unbound)
		text += fmt.Sprintf("they took about %s (p50) and %s (p99)\n", seconds(o.P50), seconds(o.P99))
	}
	for _, limit := range o.RateLimits {
		of := ""
		if limit.Limit > 0 {
			of = fmt.Sprintf(" of %d", limit.Limit)
		}
		text += fmt.Sprintf("Auth0's rate limit: %d%s requests remained at its last answer (%s)\n", limit.Remaining, of, limit.Header)
	}
	for _, one := range o.Remints {
		text += "application " + one.Text() + "\n"
	}
	return text
}

func seconds(value *float64) string {
	if value == nil {
		return "more than the metrics can show"
	}
	return fmt.Sprintf("%.2g s", *value)
}
