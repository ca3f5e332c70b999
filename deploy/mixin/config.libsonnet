{
  _config+:: {
    // ferrySelector selects the metrics of all ferries.
    ferrySelector: 'job="ferry"',

    // runbookURL is where your team reads docs/operations.md; %s is the section. Set it: the
    // default does not exist. The Helm chart replaces it by prometheusRule.runbookURL.
    runbookURL: 'https://set-runbook-url.example/operations.md#%s',

    // An outage: this share of the logins of pending users failed, and at least so many in
    // five minutes.
    outageShare: 0.2,
    outageLogins: 3,

    // Failed logins of ferry's own address, as a share of what Auth0 allows in a day.
    ownAddressShare: 0.8,
    // Logins per second that a limit of wrong passwords refuses.
    lockedPerSecond: 0.1,
    // Calls of the hooks without the right key, in 15 minutes.
    callerFaults: 10,
    // Matches in an hour, without one migration.
    matchesWithoutMigrations: 20,
    // Profiles, or notes for Auth0, that wait in one ferry; it keeps 1000 of each.
    queuedProfiles: 500,
    // Seconds since the last count of the identities, while counts fail.
    countAge: 2 * 24 * 3600,

    // Of the dashboard.
    dashboardTitle: 'ferry',
    dashboardUID: 'ferry-migration',
    dashboardTags: ['ferry', 'kratos', 'auth0'],
    dashboardRefresh: '1m',
    dashboardFrom: 'now-24h',
  },
}
