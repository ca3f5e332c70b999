{
  prometheusRules+:: {
    // Reasons of failed logins that are neither Auth0's nor Kratos' doing.
    local own = 'queue_.*|caller_gone|panic|identity_differs|identifier_differs|activated_meanwhile',
    local s = $._config.ferrySelector,
    local failures = 'sum by (job) (rate(ferry_hook_reasons_total{%s, outcome=~"unavailable|garbled", %s}[5m]))',
    local quantile = 'histogram_quantile(%g, sum by (%s, le) (rate(%s_bucket{%s}[5m])))',

    groups: [{
      name: 'ferry.rules',
      rules: [
        {
          record: 'job_outcome:ferry_hook_outcomes:rate5m',
          expr: 'sum by (job, outcome) (rate(ferry_hook_outcomes_total{%s, route="password-migration"}[5m]))' % s,
        },
        {
          record: 'job_cause:ferry_hook_failures:rate5m',
          expr: failures % [s, 'reason!~"kratos_.*|%s"' % own],
          labels: { cause: 'auth0' },
        },
        {
          record: 'job_cause:ferry_hook_failures:rate5m',
          expr: failures % [s, 'reason=~"kratos_.*"'],
          labels: { cause: 'kratos' },
        },
        {
          record: 'job_cause:ferry_hook_failures:ratio_rate5m',
          expr: 'job_cause:ferry_hook_failures:rate5m / on (job) group_left () sum by (job) (job_outcome:ferry_hook_outcomes:rate5m)',
        },
      ] + [
        {
          record: '%s:%s:p%d_rate5m' % [std.strReplace(m.by, ', ', '_'), m.metric, q * 100],
          expr: quantile % [q, m.by, m.metric, s],
        }
        for m in [
          { metric: 'ferry_hook_seconds', by: 'job, route' },
          { metric: 'ferry_kratos_lookup_seconds', by: 'job' },
          { metric: 'ferry_auth0_seconds', by: 'job' },
          { metric: 'ferry_login_queue_seconds', by: 'job' },
          { metric: 'ferry_state_seconds', by: 'job' },
          { metric: 'ferry_profile_write_seconds', by: 'job' },
          { metric: 'ferry_gateway_seconds', by: 'job, route' },
        ]
        for q in [0.5, 0.99]
      ],
    }],
  },
}
