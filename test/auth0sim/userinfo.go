package auth0sim

import (
	"net/http"
	"strings"
)

// userinfoEndpoint is GET and POST /userinfo.
func (s *Server) userinfoEndpoint() endpoint {
	var grant accessGrant
	var known bool
	return endpoint{
		identify: func(x *exchange) {
			grant, known = s.tokens.lookup(bearer(x.req), s.Now())
			if known {
				x.identifiers = []string{grant.userID}
			}
		},
		answer: func(x *exchange) response { return s.userinfo(x, grant, known) },
	}
}

func (s *Server) userinfo(x *exchange, grant accessGrant, known bool) response {
	if x.req.Method != http.MethodGet && x.req.Method != http.MethodPost {
		return s.refuse(AnswerMethodNotAllowed)
	}
	user, exists := s.User(grant.userID)
	if !known || !grant.userinfo || !exists {
		return unauthorized()
	}
	return s.limited("userinfo "+user.ID, s.Settings().Userinfo, AnswerTooManyRequests, func() response {
		return userinfoResponse(user, grant)
	})
}

// userinfoResponse contains the claims that the token's scopes allow, with current values.
func userinfoResponse(user User, grant accessGrant) response {
	resp := jsonResponse(http.StatusOK, userClaims(user, grant.scopes))
	resp.header.Set("Content-Type", typeJSONUTF8)
	return resp
}

func unauthorized() response {
	resp := plainResponse(http.StatusUnauthorized, "text/plain; charset=utf-8", "Unauthorized")
	resp.header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	resp.outcome = "unauthorized"
	return resp
}

// bearer is the token of the Authorization header, or empty.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
