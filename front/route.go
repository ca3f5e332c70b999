package front

import (
	"net/http"

	"ferry/wire"
)

// route is what a path of the front is for.
type route int

const (
	// routeOther passes on unchanged.
	routeOther route = iota
	routeToken
	routeAuthorize
	routeRevoke
	routeLogout
	routeUserinfo
	routeLogoutDone
	routeKeys
)

// routeOf returns the route of a path: Auth0's, or Hydra's.
func routeOf(path string) route {
	switch path {
	case "/oauth/token", "/oauth2/token":
		return routeToken
	case "/authorize", "/oauth2/auth":
		return routeAuthorize
	case "/oauth/revoke", "/oauth2/revoke":
		return routeRevoke
	case "/v2/logout", "/oidc/logout":
		return routeLogout
	case wire.LogoutDonePath:
		return routeLogoutDone
	case "/userinfo":
		return routeUserinfo
	case keysPath:
		return routeKeys
	}
	return routeOther
}

// hydraPath is the path of the route at Hydra; empty: that of the request.
func (r route) hydraPath() string {
	switch r {
	case routeToken:
		return "/oauth2/token"
	case routeAuthorize:
		return "/oauth2/auth"
	case routeRevoke:
		return "/oauth2/revoke"
	case routeLogout:
		return "/oauth2/sessions/logout"
	case routeLogoutDone, routeUserinfo, routeKeys, routeOther:
	}
	return ""
}

// String returns the route as one word for logs and metrics.
func (r route) String() string {
	switch r {
	case routeToken:
		return "token"
	case routeAuthorize:
		return "authorize"
	case routeRevoke:
		return "revoke"
	case routeLogout, routeLogoutDone:
		return "logout"
	case routeUserinfo:
		return "userinfo"
	case routeKeys:
		return "keys"
	case routeOther:
	}
	return "other"
}

func routes() []route {
	return []route{routeToken, routeAuthorize, routeRevoke, routeLogout, routeUserinfo, routeKeys, routeOther}
}

// RouteOf returns the path at Hydra of a request that the front acts upon, for traces; empty: it
// only passes the request on.
func RouteOf(r *http.Request) string {
	switch at := routeOf(r.URL.Path); at {
	case routeToken, routeRevoke, routeUserinfo, routeLogout, routeLogoutDone:
		return r.URL.Path // one of a few
	case routeAuthorize, routeKeys, routeOther:
	}
	return ""
}
