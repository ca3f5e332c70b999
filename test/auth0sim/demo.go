package auth0sim

// The demo tenant's only application and database.
const (
	DemoClientID     = "ferry-demo-client"
	DemoClientSecret = "ferry-demo-client-secret-that-opens-nothing"
	DemoConnection   = "Username-Password-Authentication"
)

// The users of the demo tenant: see [DemoTenant].
const (
	DemoAdaID     = "auth0|5f7c8ec7c33c6c004bbafe81"
	DemoGraceID   = "auth0|5f7c8ec7c33c6c004bbafe82"
	DemoAlanID    = "auth0|5f7c8ec7c33c6c004bbafe83"
	DemoBarbaraID = "auth0|5f7c8ec7c33c6c004bbafe84"
	DemoEdsgerID  = "auth0|5f7c8ec7c33c6c004bbafe85"
)

// DemoTenant is a small tenant to try things on: one database, which is the
// default directory, one application that may use it, and five users.
//
//	ada@example.test      correct horse battery staple    an ordinary user
//	grace@example.test    nanoseconds-are-this-long       has a username too: grace
//	alan@example.test     enigma-was-not-enough           blocked
//	barbara@example.test  substitution-principle          has a second factor
//	edsger@example.test   goto-considered-harmful         refused by an Action
func DemoTenant() *Tenant {
	return &Tenant{
		DefaultDirectory: DemoConnection,
		Connections:      []Connection{{Name: DemoConnection, Strategy: StrategyDatabase}},
		Apps: []App{{
			ClientID: DemoClientID, ClientSecret: DemoClientSecret,
			AuthMethods: []string{AuthPost, AuthBasic}, TrustForwardedFor: true,
		}},
		Users: []User{
			{
				ID: DemoAdaID, Connection: DemoConnection, Email: "ada@example.test", EmailVerified: true,
				Password: "correct horse battery staple", Name: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace",
			},
			{
				ID: DemoGraceID, Connection: DemoConnection, Email: "grace@example.test", EmailVerified: true,
				Username: "grace", Password: "nanoseconds-are-this-long", Name: "Grace Hopper",
			},
			{
				ID: DemoAlanID, Connection: DemoConnection, Email: "alan@example.test", EmailVerified: true,
				Password: "enigma-was-not-enough", Blocked: true,
			},
			{
				ID: DemoBarbaraID, Connection: DemoConnection, Email: "barbara@example.test", EmailVerified: true,
				Password: "substitution-principle", MFA: true,
			},
			{
				ID: DemoEdsgerID, Connection: DemoConnection, Email: "edsger@example.test",
				Password: "goto-considered-harmful", Deny: &Denial{Reason: "Please verify your email before logging in."},
			},
		},
	}
}
