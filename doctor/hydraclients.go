package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

// checkHydraClients checks that tokens can be re-minted for each client of FERRY_REMINT_CLIENTS.
// all are the clients that Hydra lists.
func (e *doctor) checkHydraClients(ctx context.Context, set HydraSettings, all []hydraClient) Check {
	if len(set.Remint) == 0 {
		return ok("FERRY_REMINT_CLIENTS is not set: no refresh token of Auth0 is re-minted")
	}
	ids := set.Remint
	if slices.Contains(ids, AllClients) {
		ids = nil
		for _, client := range all {
			if slices.Contains(client.GrantTypes, "authorization_code") {
				ids = append(ids, client.ID)
			}
		}
	}
	var faults, fixes []string
	for _, id := range ids {
		client, found, err := e.hydraClient(ctx, set, id)
		switch {
		case err != nil:
			return e.noHydra("FERRY_HYDRA_ADMIN_URL", set.AdminURL, err)
		case !found:
			faults = append(faults, plain(id)+" is not a client of Hydra")
			fixes = appendNew(fixes, "import the applications with `ferry clients import`")
			continue
		}
		if lacking := client.lacks(); len(lacking) > 0 {
			faults = append(faults, plain(id)+" lacks "+strings.Join(lacking, ", "))
			fixes = appendNew(fixes, "add what the clients lack")
		}
	}
	if len(faults) > 0 {
		return fail(strings.Join(fixes, "; ")+"; or remove them from FERRY_REMINT_CLIENTS", "%s: their refresh tokens cannot be re-minted", strings.Join(faults, "; "))
	}
	return ok("Hydra has what a re-mint needs for %s of FERRY_REMINT_CLIENTS", count(len(ids), "client"))
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
	if !slices.ContainsFunc(c.RedirectURIs, usableRedirect) {
		lacking = append(lacking, "a redirect URI without a wildcard")
	}
	return lacking
}

// usableRedirect reports whether Hydra can send a code to a redirect URI. It compares literally,
// so a wildcard never matches what a browser asks for.
func usableRedirect(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme != "" && !strings.Contains(address, "*")
}

// appendNew appends a text that is not in the list.
func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}
