package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ferry/hydra/redirect"
)

// hydraClient is the part of a client that doctor reads.
type hydraClient struct {
	ID            string   `json:"client_id"`
	RedirectURIs  []string `json:"redirect_uris"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	Scope         string   `json:"scope"`
	Origins       []string `json:"allowed_cors_origins"`
}

const (
	// hydraPage is how many clients are read at once, the most that Hydra's documentation allows,
	// and maxHydraPages bounds the pages.
	hydraPage     = 250
	maxHydraPages = 100
	// maxHydraFaults bounds the clients that are named in the report.
	maxHydraFaults = 10
)

// listHydraClients reads the clients, page by page. all is false if there are more than doctor
// reads. Without an error and with status 200, nil clients mean that the answer is not a list.
func (e *doctor) listHydraClients(ctx context.Context, set HydraSettings) (clients []hydraClient, all bool, status int, err error) {
	clients = []hydraClient{}
	query := url.Values{"page_size": {strconv.Itoa(hydraPage)}}
	for range maxHydraPages {
		answer, err := e.askHydra(ctx, http.MethodGet, under(set.AdminURL, "/admin/clients?"+query.Encode()), set.authorization())
		var page []hydraClient
		if err != nil || answer.status != http.StatusOK || json.Unmarshal(answer.body, &page) != nil {
			return nil, false, answer.status, err
		}
		clients = append(clients, page...)
		next := nextPage(answer.header)
		if next == "" || next == query.Get("page_token") || len(page) == 0 {
			return clients, true, answer.status, nil
		}
		query.Set("page_token", next)
	}
	return clients, false, http.StatusOK, nil
}

// nextPage returns the token of the next page (RFC 8288); empty: this is the last one. The address
// may be that of a proxy, so only its parameter is used.
func nextPage(header http.Header) string {
	for link := range strings.SplitSeq(strings.Join(header.Values("Link"), ","), ",") {
		address, isNext := strings.CutSuffix(strings.TrimSpace(link), `>; rel="next"`)
		if !isNext {
			continue
		}
		if next, err := url.Parse(strings.TrimPrefix(address, "<")); err == nil {
			return next.Query().Get("page_token")
		}
	}
	return ""
}

// checkHydraClients checks that tokens can be re-minted for each client of FERRY_REMINT_CLIENTS.
// all are the clients that Hydra lists.
func (e *doctor) checkHydraClients(ctx context.Context, set HydraSettings, all []hydraClient) Check {
	if len(set.Remint) == 0 {
		return ok("FERRY_REMINT_CLIENTS is not set: no refresh token of Auth0 is re-minted")
	}
	var faults, fixes []string
	var clients []hydraClient
	if slices.Contains(set.Remint, AllClients) {
		clients = slices.DeleteFunc(slices.Clone(all), func(c hydraClient) bool { return !slices.Contains(c.GrantTypes, "authorization_code") })
	} else {
		for _, id := range set.Remint {
			client, found, err := e.hydraClient(ctx, set, id)
			switch {
			case err != nil:
				return e.noHydra("FERRY_HYDRA_ADMIN_URL", set.AdminURL, err)
			case !found:
				faults = append(faults, plain(id)+" is not a client of Hydra")
				fixes = appendNew(fixes, "import the applications with `ferry clients import`")
			default:
				clients = append(clients, client)
			}
		}
	}
	for _, client := range clients {
		if lacking := client.lacks(); len(lacking) > 0 {
			faults = append(faults, plain(client.ID)+" lacks "+strings.Join(lacking, ", "))
			fixes = appendNew(fixes, "add what the clients lack")
		}
	}
	if n := len(faults) - maxHydraFaults; n > 0 {
		faults = append(faults[:maxHydraFaults], fmt.Sprintf("and %d more clients", n))
	}
	if len(faults) > 0 {
		return fail(strings.Join(fixes, "; ")+"; or remove them from FERRY_REMINT_CLIENTS", "%s: their refresh tokens cannot be re-minted", strings.Join(faults, "; "))
	}
	return ok("Hydra has what a re-mint needs for %s of FERRY_REMINT_CLIENTS", count(len(clients), "client"))
}

// hydraClient reads a client.
func (e *doctor) hydraClient(ctx context.Context, set HydraSettings, id string) (client hydraClient, found bool, err error) {
	answer, err := e.askHydra(ctx, http.MethodGet, under(set.AdminURL, "/admin/clients/"+url.PathEscape(id)), set.authorization())
	if err != nil || answer.status != http.StatusOK || json.Unmarshal(answer.body, &client) != nil {
		return hydraClient{}, false, err
	}
	return client, client.ID == id, nil
}

// lacks returns what the client lacks for an authorization code flow that ends with a refresh
// token.
func (c hydraClient) lacks() []string {
	var lacking []string
	for _, grant := range []string{"authorization_code", "refresh_token"} {
		if !slices.Contains(c.GrantTypes, grant) {
			lacking = append(lacking, "the grant type "+grant)
		}
	}
	if !slices.Contains(c.ResponseTypes, "code") {
		lacking = append(lacking, "the response type code")
	}
	scopes := strings.Fields(c.Scope)
	if !slices.Contains(scopes, "offline_access") {
		lacking = append(lacking, "the scope offline_access")
	}
	if !slices.ContainsFunc(c.RedirectURIs, redirect.Usable) {
		lacking = append(lacking, "a redirect URI that Hydra accepts: without a wildcard, and with plain HTTP only for loopback")
	}
	return lacking
}

// appendNew appends a text that is not in the list.
func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}
