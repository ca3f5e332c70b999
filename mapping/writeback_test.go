package mapping_test

import (
	"testing"

	"ferry/mapping"
)

// TestOwnNoteIsIgnored: what ferry itself wrote back to Auth0 does not count as what Auth0
// knows about the user.
func TestOwnNoteIsIgnored(t *testing.T) {
	claims := map[string]any{"sub": "auth0|1", "app_metadata": map[string]any{"plan": "pro", "ferry": map[string]any{"identity_id": "x"}}}
	fromClaims, err := mapping.FromClaims(claims)
	if err != nil {
		t.Fatal(err)
	}
	fromUser, err := mapping.FromUser([]byte(`{"user_id":"auth0|1","app_metadata":{"plan":"pro","ferry":{"identity_id":"x"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []mapping.Profile{fromClaims, fromUser} {
		if len(p.AppMetadata) != 1 || p.AppMetadata["plan"] != "pro" {
			t.Errorf("app_metadata %v", p.AppMetadata)
		}
	}
	if given, _ := claims["app_metadata"].(map[string]any); len(given) != 2 {
		t.Error("the caller's claims were changed")
	}
}
