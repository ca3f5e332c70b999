package clients

import (
	"slices"
	"strings"

	hydra "github.com/ory/hydra-client-go/v2"
)

// The client authentication methods of Hydra.
const (
	MethodNone          = "none"
	MethodSecretPost    = "client_secret_post"
	MethodSecretBasic   = "client_secret_basic"
	MethodPrivateKeyJWT = "private_key_jwt"
)

// minSecretBytes is the shortest secret that Hydra takes.
const minSecretBytes = 6

func (b *builder) id() {
	if strings.Contains(b.app.ID, "/") && !b.opts.Features.SlashInID {
		b.refuse("client_id", b.app.ID, ReasonSlash, "")
	}
	b.plan.Client.ClientId = &b.app.ID
}

func (b *builder) name() { b.plan.Client.ClientName = &b.app.Name }

// keys handles applications that authenticate with a key.
func (b *builder) keys() {
	methods := b.app.AuthMethods
	if methods.TLS != nil || methods.SelfSigned != nil {
		b.refuse("client_authentication_methods", "", ReasonAuthMethod, "")
		return
	}
	if methods.PrivateKeyJWT == nil {
		return
	}
	b.method = MethodPrivateKeyJWT
	client := &b.plan.Client
	algs := b.algorithms()
	if len(algs) > 1 {
		b.refuse("client_authentication_methods.private_key_jwt", strings.Join(algs, " "), ReasonMixedAlgorithms, "")
		return
	}
	client.TokenEndpointAuthSigningAlg = hydra.PtrString(algs[0])
	b.lose("client_authentication_methods.private_key_jwt", "", ReasonAssertion, "")
	if b.app.JWKSURI != "" {
		client.JwksUri = &b.app.JWKSURI
		return
	}
	keys := b.opts.Keys[b.app.ID]
	if len(keys) == 0 {
		b.refuse("client_authentication_methods.private_key_jwt", "", ReasonNoKeys, "")
		return
	}
	set, err := b.keySet(keys)
	if err != nil {
		b.refuse("client_authentication_methods.private_key_jwt", "", ReasonNoKeys, err.Error())
		return
	}
	client.Jwks = set
}

// algorithms are those of the application's keys; RS256 if Auth0 does not say.
func (b *builder) algorithms() []string {
	var algs []string
	for _, c := range b.credentials() {
		if c.Alg != "" && !slices.Contains(algs, c.Alg) {
			algs = append(algs, c.Alg)
		}
	}
	if len(algs) == 0 {
		return []string{"RS256"}
	}
	return algs
}

// credentials are those that the application uses.
func (b *builder) credentials() []credential {
	var used []credential
	for _, c := range b.tenant.credentials[b.app.ID] {
		for _, named := range b.app.AuthMethods.PrivateKeyJWT.Credentials {
			if named.ID == c.ID {
				used = append(used, c)
			}
		}
	}
	return used
}

// authMethod decides how the client authenticates, unless it does so with a key.
func (b *builder) authMethod() {
	if b.method == "" {
		b.method = b.app.AuthMethod
	}
	switch b.method {
	case "":
		b.method = MethodNone
		if HasSecret("", b.app.Type) {
			b.method = MethodSecretPost
		}
	case MethodNone, MethodSecretPost, MethodSecretBasic, MethodPrivateKeyJWT:
	default:
		b.refuse("token_endpoint_auth_method", b.method, ReasonAuthMethod, "")
	}
	b.public = b.method == MethodNone
	b.plan.Client.TokenEndpointAuthMethod = hydra.PtrString(b.method)
}

// HasSecret reports whether an application authenticates with a secret: by its method, or if it
// has none by its type.
func HasSecret(method, appType string) bool {
	switch method {
	case MethodSecretPost, MethodSecretBasic:
		return true
	case "":
		return appType != "spa" && appType != "native"
	}
	return false
}

func (b *builder) secret() {
	if b.method != MethodSecretPost && b.method != MethodSecretBasic {
		return
	}
	b.plan.Secret = b.app.Secret
	switch n := b.app.Secret.Len(); {
	case n == 0:
		b.plan.NoSecret = true
	case n < minSecretBytes:
		b.refuse("client_secret", "", ReasonShortSecret, "")
	}
}
