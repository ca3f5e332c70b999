package kratos

import (
	"context"
	"net/http"
	"strings"

	"ferry/strictjson"
)

// Abilities are what tells one Kratos from another, found by asking it.
type Abilities struct {
	// ExternalIDs: identities can have one. Such a Kratos, 25.4 or later, also takes a
	// template for the body of the password migration hook.
	ExternalIDs bool
}

// nobodysID is an external id that nobody has.
const nobodysID = "ferry-doctor-nobody"

// Abilities asks what this Kratos can do, and whether ferry may read identities.
func (c *Client) Abilities(ctx context.Context) (Abilities, error) {
	ctx, cancel := c.one.bound(ctx)
	defer cancel()
	if _, err := listIDs(c.one.ListIdentities(ctx).PageSize(1)); err != nil {
		return Abilities{}, err
	}
	got, err := c.one.send(ctx, http.MethodGet, c.admin.JoinPath("admin", "identities", "by", "external", nobodysID), nil)
	if err == nil && got.status != http.StatusNotFound {
		err = got.ok()
	}
	if err != nil {
		return Abilities{}, err
	}
	return Abilities{ExternalIDs: isMissingIdentity(got.body)}, nil
}

// isMissingIdentity tells a Kratos that looked for the identity from one that does not
// know the path.
func isMissingIdentity(body []byte) bool {
	var answer struct {
		Error errorJSON `json:"error"`
	}
	return strictjson.Unmarshal(body, &answer) == nil && answer.Error.Code == http.StatusNotFound &&
		!strings.Contains(strings.ToLower(answer.Error.Message+answer.Error.Reason), "page not found")
}
