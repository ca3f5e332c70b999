// Package auth0sim simulates the part of Auth0 that ferry uses: the password, refresh token
// and client_credentials grants, the login in a browser, the JWKS and discovery documents,
// /userinfo, and the Management API for reading, marking and exporting users. It validates requests
// strictly, keeps state, and shows faults on demand ([Faults], [FaultsOf]); its README
// lists every answer with its evidence, and what is not simulated. It listens on loopback
// only and holds no real secret. In a test:
//
//	sim := auth0sim.Run(t, auth0sim.Config{Tenant: auth0sim.DemoTenant()})
package auth0sim
