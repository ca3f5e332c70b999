package clients

// Reason is one word that says why a field cannot be moved, or why there is no client.
type Reason string

// The reasons of findings: the client is made without the field or the value.
const (
	ReasonNoCounterpart   Reason = "no_counterpart"
	ReasonUnknownField    Reason = "unknown_field"
	ReasonWildcard        Reason = "wildcard"
	ReasonPlaceholder     Reason = "placeholder"
	ReasonPlainHTTP       Reason = "plain_http"
	ReasonFragment        Reason = "fragment"
	ReasonInvalidURL      Reason = "invalid_url"
	ReasonOtherOrigin     Reason = "other_origin"
	ReasonOrigin          Reason = "origin"
	ReasonGrant           Reason = "grant"
	ReasonUnusedGrant     Reason = "unused_grant"
	ReasonMachineScopes   Reason = "machine_scopes"
	ReasonScopesJoined    Reason = "scopes_joined"
	ReasonScopesRequested Reason = "scopes_requested"
	ReasonWildcardScope   Reason = "wildcard_scope"
	ReasonAudience        Reason = "audience"
	ReasonLooseAudience   Reason = "loose_audience"
	ReasonAlwaysRotates   Reason = "always_rotates"
	ReasonLeeway          Reason = "leeway"
	ReasonAbsolute        Reason = "absolute_lifetime"
	ReasonAssertion       Reason = "assertion_audience"
)

// The reasons why there is no client.
const (
	ReasonGlobal            Reason = "global"
	ReasonUnreadable        Reason = "unreadable"
	ReasonDuplicate         Reason = "duplicate"
	ReasonSlash             Reason = "slash_in_id"
	ReasonNoSecret          Reason = "no_secret"
	ReasonShortSecret       Reason = "short_secret"
	ReasonNoKeys            Reason = "no_keys"
	ReasonMixedAlgorithms   Reason = "mixed_algorithms"
	ReasonAuthMethod        Reason = "auth_method"
	ReasonIDTokenAlg        Reason = "id_token_alg" //nolint:gosec // G101: it is no credential
	ReasonNoCallback        Reason = "no_callback"
	ReasonNoGrant           Reason = "no_grant"
	ReasonPushedRequests    Reason = "pushed_requests"
	ReasonProofOfPossession Reason = "proof_of_possession"
)

// Explained is a reason with what it means, for the documentation.
type Explained struct {
	Reason Reason
	// Meaning says what happens at Hydra, and what to do.
	Meaning string
}

// FindingReasons are the reasons of findings.
func FindingReasons() []Explained {
	return []Explained{
		{ReasonNoCounterpart, "Hydra has no such setting."},
		{ReasonUnknownField, "ferry does not know this field of Auth0 and leaves it out."},
		{ReasonWildcard, "Hydra registers a URL with `*` and never matches it. `--expand-callback` names the URLs that it stands for."},
		{ReasonPlaceholder, "Hydra does not fill in `{organization_name}`. `--expand-callback` names the URLs that it stands for."},
		{ReasonPlainHTTP, "Hydra registers the callback, but ends the login with an error: it takes plain HTTP for localhost and loopback addresses only. Use HTTPS."},
		{ReasonFragment, "Hydra refuses a redirect URI with a fragment."},
		{ReasonInvalidURL, "It is not an absolute URL."},
		{ReasonOtherOrigin, "Hydra takes a logout URL only if a redirect URI of the client has the same scheme, host and port."},
		{ReasonOrigin, "Hydra takes CORS origins with http or https, a host and nothing else."},
		{ReasonGrant, "Hydra does not have this grant."},
		{ReasonUnusedGrant, "The application cannot use this grant at Auth0: it has no callback, no client grant for an API, or no secret. The client does not get the grant."},
		{ReasonMachineScopes, "The application also uses client_credentials. A client of Hydra has one list of scopes for all grants, so it gets the scopes of its client grants only; otherwise it could request the scopes of users without a user."},
		{ReasonScopesJoined, "The client grants have different scopes for different APIs. At Hydra, the client may request any of its scopes for any of its audiences."},
		{ReasonScopesRequested, "Auth0 grants all scopes of the client grant if the application requests none. Hydra does so only with `oauth2.client_credentials.default_grant_allowed_scope: true`."},
		{ReasonWildcardScope, "Hydra reads `*` in a scope as a wildcard, so the client would be granted more than this scope."},
		{ReasonAudience, "Hydra cannot use the identifier of this API as an audience: it contains a blank, or cannot be parsed as a URL. With such an audience, Hydra would refuse all audiences of the client."},
		{ReasonLooseAudience, "Hydra compares scheme, host and path: with an identifier such as `urn:example:orders`, the client may request every audience that begins with `urn:`."},
		{ReasonAlwaysRotates, "Hydra replaces a refresh token each time it is used. The application must store the new one."},
		{ReasonLeeway, "Hydra has one grace period for all clients, `oauth2.grant.refresh_token.rotation_grace_period`."},
		{ReasonAbsolute, "Hydra has no absolute lifetime of refresh tokens: each use starts the lifetime again."},
		{ReasonAssertion, "Hydra accepts a client assertion whose `aud` is its token URL. Auth0's SDKs send the issuer. Set the `aud` in the application."},
	}
}

// RefusalReasons are the reasons why an application gets no client from the mapping.
func RefusalReasons() []Explained {
	return []Explained{
		{ReasonUnreadable, "The application, or a field of it, does not have the form that Auth0 documents."},
		{ReasonDuplicate, "The file has another application with this client id."},
		{ReasonSlash, "The client id has a slash, and the admin API of this Hydra cannot address such a client. Hydra 26.2 can."},
		{ReasonNoSecret, "The application authenticates with a secret that the file does not have. Export with the scope `read:client_keys`."},
		{ReasonShortSecret, "The secret has less than 6 bytes, and Hydra refuses it. Rotate it at Auth0."},
		{ReasonNoKeys, "The application authenticates with private_key_jwt, and Auth0 does not hand out its public keys. Name them with `--keys`."},
		{ReasonMixedAlgorithms, "The keys of the application sign with several algorithms. A client of Hydra has one."},
		{ReasonAuthMethod, "The application authenticates in a way that Hydra does not have, such as a TLS certificate. Hydra registers the method and does not accept it."},
		{ReasonIDTokenAlg, "The application verifies ID tokens with HS256 or PS256. Hydra signs with RS256 for all clients. Change the application to RS256 at Auth0, and export again."},
		{ReasonNoCallback, "Hydra matches no callback of the application, so no one could log in. `fields` says why."},
		{ReasonNoGrant, "Hydra does not have the grants that the application can use."},
		{ReasonPushedRequests, "The application must push its authorization requests (PAR), and Hydra does not take them."},
		{ReasonProofOfPossession, "The application must prove possession of a key for its tokens (DPoP or mTLS), and Hydra does not do that."},
	}
}
