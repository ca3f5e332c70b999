package front

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"ferry/hydra"
	"ferry/secret"
	"ferry/strictjson"
)

var errNotAForm = errors.New("not a form")

// The parameters by which a client says who it is.
const (
	paramClientID        = "client_id"
	paramClientSecret    = "client_secret"
	paramClientAssertion = "client_assertion"
	headerAuthorization  = "Authorization"
)

// credentialsOf returns how a client authenticates. What names two clients, or has two secrets, is
// refused (RFC 6749, 2.3). Some SDKs send the same secret in both ways: that counts as one.
func credentialsOf(header http.Header, f *form) (hydra.Credentials, *refusal) {
	id, password, basic, ok := basicAuth(header)
	if !ok {
		return hydra.Credentials{}, invalidRequest(http.StatusBadRequest, "The Authorization header is malformed.")
	}
	c := hydra.Credentials{ClientID: f.values.Get(paramClientID), Method: hydra.None}
	inForm := f.values.Get(paramClientSecret)
	if assertion := f.values.Get(paramClientAssertion); assertion != "" {
		c.Method, c.Assertion = hydra.PrivateKeyJWT, secret.New(assertion)
		if subject := subjectOf(assertion); c.ClientID == "" {
			c.ClientID = subject // RFC 7521, 4.2: the parameter is optional
		}
		if basic || inForm != "" {
			return hydra.Credentials{}, invalidRequest(http.StatusBadRequest, "The client authenticates in more than one way.")
		}
		return c, nil
	}
	if inForm != "" {
		c.Method, c.Secret = hydra.SecretPost, secret.New(inForm)
	}
	if !basic {
		return c, nil
	}
	if c.ClientID != "" && c.ClientID != id || inForm != "" && !c.Secret.Equal(secret.New(password)) {
		return hydra.Credentials{}, invalidRequest(http.StatusBadRequest, "The client authenticates in more than one way.")
	}
	c.ClientID = id
	if password != "" {
		c.Method, c.Secret = hydra.SecretBasic, secret.New(password)
	}
	return c, nil
}

// basicAuth returns the user and the password of HTTP Basic, both form-decoded (RFC 6749, 2.3.1).
// Clients that do not encode them are understood where that is not ambiguous, as Hydra does. ok is
// false if there is a header that cannot be read; basic is false if there is none.
func basicAuth(header http.Header) (id, password string, basic, ok bool) {
	values := header.Values(headerAuthorization)
	if len(values) == 0 {
		return "", "", false, true
	}
	r := http.Request{Header: header}
	id, password, basic = r.BasicAuth()
	if len(values) > 1 || !basic {
		return "", "", false, false
	}
	return unescaped(id), unescaped(password), true, true
}

func unescaped(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// subjectOf returns the subject of a JWT without verifying it; empty if it is none.
func subjectOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var said struct {
		Subject string `json:"sub"`
	}
	if err != nil || strictjson.Unmarshal(payload, &said) != nil {
		return ""
	}
	return said.Subject
}

// translate makes a client authenticate in the way that it has at Hydra, which takes no other. A
// public client has no secret there, so one that it sends is dropped: whoever may act as a public
// client needs none.
func translate(c hydra.Credentials, method hydra.Method, header http.Header, f *form) {
	if c.Method != hydra.SecretBasic && c.Method != hydra.SecretPost {
		return
	}
	switch method {
	case hydra.SecretPost:
		header.Del(headerAuthorization)
		f.set(paramClientID, c.ClientID)
		f.set(paramClientSecret, c.Secret.Reveal())
	case hydra.SecretBasic:
		if c.Method == hydra.SecretPost {
			r := http.Request{Header: header}
			r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.Secret.Reveal()))
		}
		f.set(paramClientSecret, "")
	case hydra.None:
		header.Del(headerAuthorization)
		f.set(paramClientSecret, "")
		f.set(paramClientID, c.ClientID)
	case hydra.PrivateKeyJWT:
	}
}
