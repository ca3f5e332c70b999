// The monitoring mixin of ferry: alerts, recording rules and a Grafana dashboard. See
// docs/monitoring.md. `make mixin` renders it into deploy/prometheus and deploy/grafana.
(import 'config.libsonnet') +
(import 'alerts.libsonnet') +
(import 'rules.libsonnet') +
(import 'dashboards.libsonnet')
