package mapping

import (
	"encoding/json"
	"maps"
	"strings"
	"time"
)

// kratosClaims returns the claims as Kratos passes them to its OIDC mappers: those that it
// knows, with their types, if they are neither empty nor false; and all of them in
// raw_claims.
func kratosClaims(p Profile) map[string]any {
	raw := make(map[string]any, len(p.Claims)+3)
	maps.Copy(raw, p.Claims)
	raw[claimSubject] = p.UserID
	if p.AppMetadata != nil {
		raw[keyAppMetadata] = p.AppMetadata
	}
	if p.UserMetadata != nil {
		raw[keyUserMetadata] = p.UserMetadata
	}
	claims := map[string]any{claimSubject: p.UserID, "raw_claims": raw}
	for _, name := range []string{
		claimIssuer, claimName, "given_name", "family_name", "last_name", "middle_name", claimNickname, claimUsername, "profile",
		claimPicture, "website", claimEmail, "gender", "birthdate", "zoneinfo", claimPhone, "hd", "team", "nonce",
	} {
		if text, _ := p.Claims[name].(string); text != "" {
			claims[name] = text
		}
	}
	for _, name := range []string{claimEmailTrue, claimPhoneTrue, "nonce_supported"} {
		if yes, _ := p.Claims[name].(bool); yes {
			claims[name] = true
		}
	}
	if locale := localeOf(p.Claims[claimLocale]); locale != "" {
		claims[claimLocale] = locale
	}
	if updated := unixOf(p.Claims[claimUpdated]); updated != 0 {
		claims[claimUpdated] = updated
	}
	return claims
}

// localeOf reads a text, or LinkedIn's object of language and country.
func localeOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		language, _ := v["language"].(string)
		country, _ := v["country"].(string)
		return strings.Trim(language+"-"+country, "-")
	default:
		return ""
	}
}

// unixOf returns a time in seconds. OpenID Connect has seconds, Auth0 writes a date, and
// the Management API may wrap the date in an object.
func unixOf(v any) int64 {
	switch v := v.(type) {
	case float64:
		return int64(v)
	case json.Number:
		seconds, _ := v.Int64()
		return seconds
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.Unix()
		}
	case map[string]any:
		if date, ok := v["$date"].(string); ok {
			return unixOf(date)
		}
	}
	return 0
}
