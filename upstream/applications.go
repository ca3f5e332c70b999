package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

const (
	// listPerPage keeps an answer below maxAnswerBytes: an application can have a login page of
	// its own in it.
	listPerPage = 20
	// maxListPages bounds a list.
	maxListPages = 1000
)

// listPage is a page of one of the lists, with totals.
type listPage struct {
	Total        *int       `json:"total"`
	Applications *[]rawJSON `json:"clients"`
	APIs         *[]rawJSON `json:"resource_servers"`
	Grants       *[]rawJSON `json:"client_grants"`
}

// Applications returns all applications of the tenant, each as Auth0 has it. It needs
// read:clients; only with read:client_keys are the client secrets there. Every error is a
// *ManagementError.
func (m *Management) Applications(ctx context.Context) ([][]byte, error) {
	return m.list(ctx, "/api/v2/clients", func(p listPage) *[]rawJSON { return p.Applications })
}

// APIs returns all APIs of the tenant, each as Auth0 has it. It needs read:resource_servers.
// Every error is a *ManagementError.
func (m *Management) APIs(ctx context.Context) ([][]byte, error) {
	return m.list(ctx, "/api/v2/resource-servers", func(p listPage) *[]rawJSON { return p.APIs })
}

// ClientGrants returns all client grants of the tenant, each as Auth0 has it. It needs
// read:client_grants. Every error is a *ManagementError.
func (m *Management) ClientGrants(ctx context.Context) ([][]byte, error) {
	return m.list(ctx, "/api/v2/client-grants", func(p listPage) *[]rawJSON { return p.Grants })
}

// list reads all pages of a list.
func (m *Management) list(ctx context.Context, path string, of func(listPage) *[]rawJSON) ([][]byte, error) {
	all := [][]byte{}
	for page := range maxListPages {
		var said listPage
		query := url.Values{"include_totals": {"true"}, "page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(listPerPage)}}
		if err := m.look(ctx, path, query, &said); err != nil {
			return nil, err
		}
		found := of(said)
		if said.Total == nil || found == nil {
			return nil, &ManagementError{Status: http.StatusOK, Reason: "malformed"}
		}
		for _, one := range *found {
			if len(one) == 0 || one[0] != '{' {
				return nil, &ManagementError{Status: http.StatusOK, Reason: "malformed"}
			}
			all = append(all, one)
		}
		switch {
		case len(all) >= *said.Total:
			return all, nil
		case len(*found) == 0: // one was removed between two pages
			return nil, &ManagementError{Status: http.StatusOK, Reason: "changed_meanwhile", Temporary: true}
		}
	}
	return nil, &ManagementError{Status: http.StatusOK, Reason: "too_many_pages"}
}

// ApplicationCredentials returns the descriptions of an application's keys, each as Auth0 has
// it. Auth0 does not hand out the keys themselves. It needs read:client_credentials. Every error
// is a *ManagementError.
func (m *Management) ApplicationCredentials(ctx context.Context, clientID string) ([][]byte, error) {
	if clientID == "" {
		return nil, &ManagementError{Reason: "bad_id"}
	}
	var said *[]rawJSON
	if err := m.look(ctx, "/api/v2/clients/"+url.PathEscape(clientID)+"/credentials", nil, &said); err != nil {
		return nil, err
	}
	if said == nil {
		return nil, &ManagementError{Status: http.StatusOK, Reason: "malformed"}
	}
	all := make([][]byte, len(*said))
	for i, one := range *said {
		all[i] = one
	}
	return all, nil
}
