package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/census"
	"ferry/config"
	"ferry/kratos"
	"ferry/transport"
)

// newCensus returns the periodic count of the identities, or nil if FERRY_COUNT_EVERY is 0.
func newCensus(cfg *config.Config, log *zap.Logger, metrics prometheus.Registerer) (*census.Census, error) {
	if cfg.CountEvery == 0 {
		return nil, nil
	}
	identities, err := newKratos(cfg, kratos.Options{
		Timeout: bulkTimeout, RateLimitWait: rateLimitWait, Rest: census.Rest, Transport: transport.New(transport.Options{MaxRequests: 1}),
	})
	if err != nil {
		return nil, err
	}
	return census.New(census.Options{Kratos: identities, Every: cfg.CountEvery, Log: log, Metrics: metrics, Now: time.Now})
}
