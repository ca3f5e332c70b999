{
  grafanaDashboards+:: {
    'ferry.json': {
      local c = $._config,
      local width = 24,  // of Grafana's grid
      local datasource = { type: 'prometheus', uid: '$datasource' },
      local s = 'job=~"$job"',

      local target(expr, legend='') = { datasource: datasource, expr: expr, legendFormat: legend },
      local panel(title, description, type, targets, w, h, unit='short', defaults={}, options={}) = {
        title: title,
        description: description,
        type: type,
        datasource: datasource,
        targets: [targets[i] { refId: std.char(65 + i) } for i in std.range(0, std.length(targets) - 1)],
        gridPos: { w: w, h: h },
        fieldConfig: { defaults: { unit: unit, min: 0 } + defaults, overrides: [] },
        options: options,
      },
      local graph(title, description, targets, unit='short', w=8, stack=false) = panel(
        title,
        description,
        'timeseries',
        targets,
        w,
        8,
        unit,
        { custom: { fillOpacity: if stack then 40 else 0, stacking: { mode: if stack then 'normal' else 'none' }, showPoints: 'never' } },
        { legend: { showLegend: true, displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] }, tooltip: { mode: 'multi', sort: 'desc' } },
      ),
      local stat(title, description, expr, unit='short', w=4, steps=[{ color: 'text', value: null }], mappings=[], legend='') = panel(
        title,
        description,
        'stat',
        [target(expr, legend)],
        w,
        4,
        unit,
        { mappings: mappings, thresholds: { mode: 'absolute', steps: steps } },
        {
          reduceOptions: { calcs: ['lastNotNull'], values: false },
          colorMode: 'value',
          graphMode: 'none',
          justifyMode: 'auto',
          orientation: 'auto',
          percentChangeColorMode: 'standard',
          showPercentChange: false,
          textMode: 'auto',
          wideLayout: true,
        },
      ),
      local row(title, panels) = { title: title, panels: panels },

      // The panels of a row from left to right, in lines as high as their highest panel.
      local place(panels, top) = std.foldl(
        function(at, p)
          local wraps = at.x + p.gridPos.w > width;
          local x = if wraps then 0 else at.x;
          local y = if wraps then at.y + at.h else at.y;
          {
            x: x + p.gridPos.w,
            y: y,
            h: std.max(if wraps then 0 else at.h, p.gridPos.h),
            panels: at.panels + [p { gridPos+: { x: x, y: y } }],
          },
        panels,
        { x: 0, y: top, h: 0, panels: [] },
      ),
      local arranged = std.foldl(
        function(at, r)
          local placed = place(r.panels, at.y + 1);
          {
            y: placed.y + placed.h,
            panels: at.panels + [{ type: 'row', title: r.title, collapsed: false, panels: [], gridPos: { x: 0, y: at.y, w: width, h: 1 } }] + placed.panels,
          },
        rows,
        { y: 0, panels: [] },
      ).panels,

      local good(value, text) = { type: 'value', options: { [value]: { text: text, color: 'green', index: 0 } } },
      local bad(value, text) = { type: 'value', options: { [value]: { text: text, color: 'red', index: 1 } } },
      local redFrom(value) = [{ color: 'green', value: null }, { color: 'red', value: value }],
      local rate(metric, by, more='') = 'sum by (%s) (rate(%s{%s%s}[$__rate_interval]))' % [by, metric, s, more],
      local latest(metric, more='') = '%s{%s%s}' % [metric, s, more],
      local identities(kinds) = 'sum(max by (connection, kind) (ferry_identities{%s, kind=~"%s"}))' % [s, kinds],

      local rows = [
        row('Now', [
          stat('Ferries', 'How many ferries Prometheus reaches.', 'sum(up{%s})' % s, steps=[{ color: 'red', value: null }, { color: 'green', value: 1 }]),
          stat('Mode on', 'Whether every ferry decides logins. No: at least one is off, or only observes.', 'min(%s)' % latest('ferry_mode', ', mode="on"'), mappings=[good('1', 'yes'), bad('0', 'no')]),
          stat('Failing because of Auth0', 'The share of logins that fail because Auth0 does not answer.', 'max(%s)' % latest('job_cause:ferry_hook_failures:ratio_rate5m', ', cause="auth0"'), 'percentunit', steps=redFrom(c.outageShare)),
          stat('Failing because of Kratos', 'The share of logins that fail because the admin API does not answer.', 'max(%s)' % latest('job_cause:ferry_hook_failures:ratio_rate5m', ', cause="kratos"'), 'percentunit', steps=redFrom(c.outageShare)),
          stat('Redis', 'Whether every ferry reaches Redis. No value: state is kept in memory.', 'min(%s)' % latest('ferry_state_up'), mappings=[good('1', 'answers'), bad('0', 'down')]),
          stat('Pending', 'Users who still need Auth0 to log in, at the last count (FERRY_COUNT_EVERY).', identities('pending')),
        ]),
        row('Migration', [
          graph('Pending users by connection', 'Identities that still need Auth0, at the last count (FERRY_COUNT_EVERY).', [target('max by (connection) (%s)' % latest('ferry_identities', ', kind="pending"'), '{{connection}}')], stack=true),
          graph('Identities by kind', 'How the users of all identities log in, at the last count.', [target('sum by (kind) (max by (connection, kind) (%s))' % latest('ferry_identities'), '{{kind}}')], stack=true),
          graph('Migrations per hour', 'Identities that Kratos shows as migrated after a match.', [target('sum(increase(ferry_migrated_total{%s}[1h]))' % s, 'migrated')]),
        ]),
        row('Logins of pending users', [
          graph('Logins by outcome', 'Calls of the migration hook.', [target('sum by (outcome) (%s) > 0' % latest('job_outcome:ferry_hook_outcomes:rate5m'), '{{outcome}}')], 'reqps', stack=true),
          graph('Failures by reason', 'The reason is the one in the log.', [target(rate('ferry_hook_reasons_total', 'reason') + ' > 0', '{{reason}}')], 'reqps'),
          graph('In flight', 'Logins that are being decided, that wait for their turn, and that were refused because too many were waiting.', [
            target('sum(%s)' % latest('ferry_logins_in_flight'), 'in flight'),
            target('sum(%s)' % latest('ferry_logins_queued'), 'waiting'),
            target('sum(increase(ferry_logins_refused_total{%s}[$__rate_interval]))' % s, 'refused'),
          ]),
          graph('Duration of hook calls', 'Median and 99th percentile, by route.', [
            target('max by (route) (%s)' % latest('job_route:ferry_hook_seconds:p50_rate5m'), '{{route}} p50'),
            target('max by (route) (%s)' % latest('job_route:ferry_hook_seconds:p99_rate5m'), '{{route}} p99'),
          ], 's'),
          graph('Duration by step', '99th percentile of what a login waits for, and of what follows it.', [
            target('max(%s)' % latest('job:ferry_auth0_seconds:p99_rate5m'), 'Auth0'),
            target('max(%s)' % latest('job:ferry_kratos_lookup_seconds:p99_rate5m'), 'Kratos, find the identity'),
            target('max(%s)' % latest('job:ferry_profile_write_seconds:p99_rate5m'), 'Kratos, write the profile'),
            target('max(%s)' % latest('job:ferry_login_queue_seconds:p99_rate5m'), 'wait for a turn'),
            target('max(%s)' % latest('job:ferry_state_seconds:p99_rate5m'), 'Redis'),
          ], 's'),
          graph('Callers refused', 'Calls of the hooks without the right key, or that are not valid requests.', [target(rate('ferry_hook_caller_faults_total', 'route, status'), '{{route}} {{status}}')], 'reqps'),
        ]),
        row('Auth0', [
          graph('Circuit breakers', '0 closed, 1 half-open, 2 open, by connection.', [target('max by (connection) (%s)' % latest('ferry_auth0_breaker_state'), '{{connection}}')]),
          graph('Not asked', 'Logins about which ferry did not ask Auth0, by reason.', [
            target(rate('ferry_auth0_refusals_total', 'reason'), '{{reason}}'),
            target(rate('ferry_limit_refusals_total', 'reason'), '{{reason}}'),
            target('sum(rate(ferry_throttled_together_total{%s}[$__rate_interval]))' % s, 'throttled together'),
          ], 'reqps'),
          graph("Auth0's rate limit", 'What remained at the last answer, and how long ferry waits.', [
            target('min by (header) (%s)' % latest('ferry_auth0_rate_limit_remaining'), '{{header}} remaining'),
            target('max by (header) (%s)' % latest('ferry_auth0_rate_limit'), '{{header}} limit'),
            target('max(%s)' % latest('ferry_auth0_rate_limit_wait_seconds'), 'seconds to wait'),
          ]),
          graph("Failed logins of ferry's address", 'In the last day, where Auth0 is not told the addresses of users.', [
            target('max(%s)' % latest('ferry_own_address_failed_logins'), 'failed'),
            target('max(%s)' % latest('ferry_own_address_failed_logins_max'), 'Auth0 blocks at'),
          ], w=12),
          graph('Notes at Auth0', 'Migrations that are being noted at Auth0, and that could not be (FERRY_WRITE_BACK).', [
            target('sum(%s)' % latest('ferry_write_backs_in_flight'), 'in flight'),
            target('sum(increase(ferry_write_back_failures_total{%s}[$__rate_interval]))' % s, 'failed'),
          ], w=12),
        ]),
        row('Profiles and state', [
          graph('Profiles', 'Profiles that the migration hook kept for the after-login hook, and that it never took.', [
            target('sum(rate(ferry_profiles_kept_total{%s}[$__rate_interval]))' % s, 'kept'),
            target('sum(rate(ferry_profiles_expired_total{%s}[$__rate_interval]))' % s, 'expired'),
          ], 'reqps'),
          graph('After the login', 'Calls of the after-login hook that took a profile, and later tries, by result.', [target(rate('ferry_after_login_total', 'result', ', result!="nothing_kept"'), '{{result}}')], 'reqps'),
          graph('Profile queue', 'Profiles that wait for another try.', [target('max by (instance) (%s)' % latest('ferry_profiles_queued'), '{{instance}}')]),
          graph('Redis faults', 'Failed operations on the state, and on the counts of failed logins.', [
            target(rate('ferry_state_faults_total', 'operation'), '{{operation}}'),
            target(rate('ferry_limit_faults_total', 'operation'), 'limits: {{operation}}'),
          ], 'reqps'),
          graph('Passwords changed meanwhile', 'Passwords that changed while a profile was written.', [target('sum(increase(ferry_password_changed_meanwhile_total{%s}[$__rate_interval]))' % s, 'changed')]),
          graph('Recordings', 'Hook calls that were recorded, and that were not.', [
            target('sum(rate(ferry_recording_lines_total{%s}[$__rate_interval]))' % s, 'recorded'),
            target(rate('ferry_recording_dropped_total', 'reason'), 'dropped: {{reason}}'),
          ], 'reqps'),
        ]),
        row('Gateway, sign-ups and observe', [
          graph('Forms through the gateway', 'By result; known users are those whom Kratos has.', [target(rate('ferry_gateway_submits_total', 'result'), '{{result}}')], 'reqps'),
          graph('Requests without an answer from Kratos', 'By reason.', [target(rate('ferry_gateway_faults_total', 'reason'), '{{reason}}')], 'reqps'),
          graph('Sign-ups and created identities', 'What the after-registration hook and /hooks/ensure answered.', [
            target(rate('ferry_sign_ups_total', 'result'), 'sign-up: {{result}}'),
            target(rate('ferry_ensure_total', 'result'), 'ensure: {{result}}'),
          ], 'reqps'),
          graph('Duration of forms', '99th percentile of what the gateway adds before the request is passed on.', [target('max by (route) (%s)' % latest('job_route:ferry_gateway_seconds:p99_rate5m'), '{{route}}')], 's', w=12),
          graph('Logins in mode observe', 'By outcome; observed is a match that was not given.', [target(rate('ferry_observe_logins_total', 'outcome'), '{{outcome}}')], 'reqps', w=12),
        ]),
        row('Process', [
          graph('Memory', 'Resident memory of each ferry.', [target(latest('process_resident_memory_bytes'), '{{instance}}')], 'bytes'),
          graph('CPU', 'Cores that each ferry uses.', [target('rate(process_cpu_seconds_total{%s}[$__rate_interval])' % s, '{{instance}}')]),
          graph('Goroutines', 'If the number only grows, something is wrong.', [target(latest('go_goroutines'), '{{instance}}')]),
        ]),
      ],

      uid: c.dashboardUID,
      title: c.dashboardTitle,
      description: 'The migration from Auth0 to Kratos. Made from deploy/mixin.',
      tags: c.dashboardTags,
      schemaVersion: 39,
      editable: true,
      graphTooltip: 1,
      refresh: c.dashboardRefresh,
      time: { from: c.dashboardFrom, to: 'now' },
      timezone: 'browser',
      annotations: { list: [] },
      links: [{
        title: 'Runbook',
        type: 'link',
        url: c.runbookURL % 'alerts',
        icon: 'doc',
        tooltip: 'What to do at each alert',
        tags: [],
        asDropdown: false,
        includeVars: false,
        keepTime: false,
        targetBlank: true,
      }],
      templating: {
        list: [
          { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', hide: 0 },
          {
            name: 'job',
            label: 'Job',
            type: 'query',
            datasource: datasource,
            query: 'label_values(ferry_mode{%s}, job)' % c.ferrySelector,
            refresh: 2,
            multi: true,
            includeAll: true,
            hide: 0,
          },
        ],
      },
      panels: [arranged[i] { id: i + 1 } for i in std.range(0, std.length(arranged) - 1)],
    },
  },
}
