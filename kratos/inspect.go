package kratos

import (
	"context"
	"net/http"
	"strings"

	"ferry/strictjson"
)

// Abilities are the features of a Kratos, found by calling it.
type Abilities struct {
	// ExternalIDs reports whether identities can have an external id. Such a Kratos, 25.4
	// or later, also accepts a template for the body of the password migration hook.
	ExternalIDs bool
}

// unusedID is an external id that no identity has.
const unusedID = "ferry-doctor-nobody"

// Abilities returns the features of this Kratos. It fails if ferry may not read identities.
func (c *Client) Abilities(ctx context.Context) (Abilities, error) {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	if _, err := listIDs(c.one.ListIdentities(ctx).PageSize(1)); err != nil {
		return Abilities{}, err
	}
	got, err := c.one.send(ctx, http.MethodGet, c.admin.JoinPath("admin", "identities", "by", "external", unusedID), nil)
	if err != nil && got.status != http.StatusNotFound {
		return Abilities{}, err
	}
	return Abilities{ExternalIDs: isMissingIdentity(got.body)}, nil
}

// isMissingIdentity reports whether a 404 means that Kratos looked for the identity, and
// not that it does not have the path.
func isMissingIdentity(body []byte) bool {
	var answer struct {
		Error errorJSON `json:"error"`
	}
	return strictjson.Unmarshal(body, &answer) == nil && answer.Error.Code == http.StatusNotFound &&
		!strings.Contains(strings.ToLower(answer.Error.Message+answer.Error.Reason), "page not found")
}
