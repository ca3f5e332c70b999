// Package auth0sim is a simulator of the part of Auth0 that a password login
// passes through: POST /oauth/token with the two password grants, the JWKS and
// discovery documents, and /userinfo; and of the Management API that reads, finds,
// changes and exports users, with the client_credentials grant for it.
//
// It is strict about what it is asked, keeps state (users, applications,
// connections, failure counters, limits, a clock) and misbehaves on demand: see
// [Faults] and [FaultsOf] for everything it can get wrong and [AnswerRows] and
// [ManagementRows] for everything it can answer. Each answer carries the grade of
// the evidence it rests on; the README lists them, and what is not imitated.
//
// In a test:
//
//	sim := auth0sim.Run(t, auth0sim.Config{Tenant: auth0sim.DemoTenant()})
//	// sim.URL() is where to connect; the issuer stays https://sim.auth0.test/
//
// It only ever listens on loopback and holds no real secret: never point
// anything at it that matters.
package auth0sim
