package mapping_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ferry/jsonpatch"
	"ferry/mapping"
	"ferry/provenance"
)

// scene is one merge, drawn so that the parts often meet.
type scene struct {
	current mapping.Current
	profile mapping.Profile
	mapped  mapping.Identity
	rules   mapping.Rules
	trusted bool
	notes   provenance.Content
}

func draw(t *rapid.T) scene {
	addresses := rapid.SampledFrom([]string{"", "kim@example.org", "Kim@Example.org", "eve@example.org", "\u212aim@example.org", "no address"})
	numbers := rapid.SampledFrom([]string{"", "+4915199990001", "+49 151 99990001", "+4915199990002", "0151"})
	texts := rapid.SampledFrom([]string{"", "a", "kim", "Kim S", strings.Repeat("x", 60)})
	some := rapid.SampledFrom([]any{nil, "", "text", 1.5, json.Number("1.50"), true, []any{}, []any{"a"}, map[string]any{}, map[string]any{"a/b": "~"}})
	traits := func(label string, anything bool) map[string]any {
		out := map[string]any{}
		put := func(name string, value any) {
			if rapid.Bool().Draw(t, label+name) {
				out[name] = value
			}
		}
		put("email", addresses.Filter(func(s string) bool { return anything || strings.Contains(s, "@") }).Draw(t, label+"email"))
		put("phone", numbers.Filter(func(s string) bool { return anything || len(s) > 5 }).Draw(t, label+"phone"))
		put("username", texts.Draw(t, label+"username"))
		put("nickname", texts.Filter(func(s string) bool { return anything || len(s) > 1 }).Draw(t, label+"nickname"))
		put("name", map[string]any{"first": texts.Filter(func(s string) bool { return anything || len(s) < 50 }).Draw(t, label+"first")})
		put("newsletter", rapid.Bool().Draw(t, label+"newsletter"))
		if anything {
			put("locale", some.Draw(t, label+"locale"))
			put("company", some.Draw(t, label+"company"))
		}
		return out
	}
	metadata := func(label string) map[string]any {
		if rapid.Bool().Draw(t, label+" is null") {
			return nil
		}
		return rapid.MapOf(rapid.SampledFrom([]string{"a", "a/b", "~", "crm"}), some).Draw(t, label)
	}
	s := scene{current: mapping.Current{Traits: traits("current ", false), MetadataPublic: metadata("public"), MetadataAdmin: metadata("admin")}}
	if s.current.MetadataAdmin != nil && rapid.Bool().Draw(t, "bound") {
		s.current.MetadataAdmin["auth0"] = map[string]any{"user_id": "auth0|1", "user_ids": []any{"auth0|1", "google|2"}, "app_metadata": some.Draw(t, "app_metadata")}
	}
	for _, via := range []string{"email", "sms", "email"} {
		s.current.Addresses = append(s.current.Addresses, mapping.CurrentAddress{
			Value: rapid.OneOf(addresses, numbers).Draw(t, "address"), Via: via, Verified: rapid.Bool().Draw(t, "verified"),
		})
	}
	s.profile = mapping.Profile{
		UserID: "auth0|9", UserIDs: []string{"auth0|9"}, Provider: "auth0", AppMetadata: metadata("app"), UserMetadata: metadata("user"),
		Claims: map[string]any{
			"email": addresses.Draw(t, "claim"), "email_verified": rapid.SampledFrom([]any{nil, true, false, "true"}).Draw(t, "email_verified"),
			"phone_number": numbers.Draw(t, "number"), "phone_number_verified": rapid.SampledFrom([]any{nil, true, false}).Draw(t, "phone_verified"),
		},
	}
	s.mapped = mapping.Identity{Traits: traits("mapped ", true), MetadataPublic: metadata("mapped public"), MetadataAdmin: metadata("mapped admin")}
	for _, via := range []string{"email", "sms"} {
		s.mapped.VerifiedAddresses = append(s.mapped.VerifiedAddresses, mapping.Address{Value: rapid.OneOf(addresses, numbers).Draw(t, "mapped address"), Via: via})
	}
	s.trusted = rapid.Bool().Draw(t, "trusted")
	policies := rapid.SampledFrom([]mapping.Policy{mapping.Fill, mapping.Overwrite, mapping.Never, ""})
	s.rules = mapping.Rules{
		ByTrait:       rapid.MapOf(rapid.SampledFrom([]string{"email", "phone", "username", "name", "name.first", "nickname", "locale"}), policies).Draw(t, "policies"),
		TrustVerified: func(string, string) bool { return s.trusted },
	}
	s.notes = provenance.Content{Ferry: rapid.SampledFrom([]string{"", "v1"}).Draw(t, "ferry"), MigratedAt: time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "migrated at"), 0)}
	return s
}

func (s scene) merge(t *rapid.T, schema *mapping.Schema, current mapping.Current) mapping.Result {
	result, err := mapping.Merge(schema, current, s.profile, s.mapped, s.rules, s.notes)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestMergeProperties holds every drawn merge against the trust rules.
func TestMergeProperties(t *testing.T) {
	schema := person(t)
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		before := copyOf(t, s)
		result := s.merge(t, schema, s.current)
		if !reflect.DeepEqual(copyOf(t, s), before) {
			t.Fatal("the merge changed its arguments")
		}
		after := apply(t, s.current, result.Ops)
		if err := schema.Validate(after.Traits); err != nil {
			t.Fatal(err)
		}
		if again := s.merge(t, schema, after); len(again.Ops) > 0 {
			t.Fatalf("a second merge writes %v", again.Ops)
		}
		for _, name := range []string{"user_id", "user_ids"} {
			was, _ := s.current.MetadataAdmin["auth0"].(map[string]any)
			is, _ := after.MetadataAdmin["auth0"].(map[string]any)
			if !reflect.DeepEqual(was[name], is[name]) {
				t.Fatalf("the binding changed: %v", is)
			}
		}
		s.checkTraits(t, after)
		s.checkAddresses(t, after)
		for _, op := range result.Ops {
			root, _, _ := strings.Cut(op.Path[1:], "/")
			if op.Op != "add" && op.Op != "replace" || !slices.Contains([]string{"traits", "metadata_public", "metadata_admin", "verifiable_addresses"}, root) {
				t.Fatalf("writes %+v", op)
			}
		}
	})
}

// checkTraits: nothing that says something is overwritten but where the operator says
// so, and identifiers and addresses are only ever filled, with what was verified.
func (s scene) checkTraits(t *rapid.T, after mapping.Current) {
	for name, is := range after.Traits {
		was := s.current.Traits[name]
		if reflect.DeepEqual(was, is) {
			continue
		}
		isProtected := slices.Contains([]string{"email", "phone", "username"}, name)
		if was != nil && was != "" && (isProtected || name != "name" && s.rules.ByTrait[name] != mapping.Overwrite) {
			t.Fatalf("%s was %v and is %v", name, was, is)
		}
		if !isProtected {
			continue
		}
		claim := map[string]string{"email": "email", "phone": "phone_number"}[name]
		text, _ := s.profile.Claims[claim].(string)
		value, _ := is.(string)
		if claim == "" || !s.trusted || s.profile.Claims[claim+"_verified"] != true || plainAddress(text) != plainAddress(value) || strings.ContainsRune(value, '\u212a') {
			t.Fatalf("%s is filled with %q; the claims are %v", name, value, s.profile.Claims)
		}
	}
	if first(s.current.Traits) != first(after.Traits) && first(s.current.Traits) != "" &&
		s.rules.ByTrait["name"] != mapping.Overwrite && s.rules.ByTrait["name.first"] != mapping.Overwrite {
		t.Fatal("the first name was overwritten")
	}
}

func first(traits map[string]any) string {
	name, _ := traits["name"].(map[string]any)
	text, _ := name["first"].(string)
	return text
}

func plainAddress(text string) string {
	return strings.ToLower(strings.ReplaceAll(text, " ", ""))
}

// checkAddresses: only what Auth0 verified is marked, and nothing is unmarked.
func (s scene) checkAddresses(t *rapid.T, after mapping.Current) {
	for i, is := range after.Addresses {
		was := s.current.Addresses[i]
		if was == is {
			continue
		}
		claim := map[string]string{"email": "email", "sms": "phone_number"}[is.Via]
		text, _ := s.profile.Claims[claim].(string)
		if was.Verified || !s.trusted || s.profile.Claims[claim+"_verified"] != true || plainAddress(text) != plainAddress(is.Value) {
			t.Fatalf("%+v became %+v", was, is)
		}
	}
}

// copyOf is the scene's data as JSON.
func copyOf(t *rapid.T, s scene) any {
	text, err := json.Marshal([]any{s.current, s.profile, s.mapped, s.notes})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// apply is a small JSON Patch: add and replace.
func apply(t *rapid.T, current mapping.Current, ops []jsonpatch.Op) mapping.Current {
	addresses := []any{}
	for _, a := range current.Addresses {
		addresses = append(addresses, map[string]any{"value": a.Value, "via": a.Via, "verified": a.Verified, "status": "pending"})
	}
	text, err := json.Marshal(map[string]any{
		"traits": current.Traits, "metadata_public": current.MetadataPublic, "metadata_admin": current.MetadataAdmin, "verifiable_addresses": addresses,
	})
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		set(t, doc, op)
	}
	out := mapping.Current{}
	out.Traits, _ = doc["traits"].(map[string]any)
	out.MetadataPublic, _ = doc["metadata_public"].(map[string]any)
	out.MetadataAdmin, _ = doc["metadata_admin"].(map[string]any)
	list, _ := doc["verifiable_addresses"].([]any)
	for i := range list {
		a, _ := list[i].(map[string]any)
		verified, _ := a["verified"].(bool)
		out.Addresses = append(out.Addresses, mapping.CurrentAddress{Value: current.Addresses[i].Value, Via: current.Addresses[i].Via, Verified: verified})
	}
	return out
}

func set(t *rapid.T, doc map[string]any, op jsonpatch.Op) {
	names := strings.Split(op.Path[1:], "/")
	var at any = doc
	for i, name := range names {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch into := at.(type) {
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil {
				t.Fatal(err)
			}
			at = into[n]
		case map[string]any:
			was, exists := into[name]
			if i < len(names)-1 {
				at = was
				continue
			}
			if op.Op == "replace" && !exists {
				t.Fatalf("%s replaces nothing", op.Path)
			}
			var value any // as it comes back from Kratos
			text, err := json.Marshal(op.Value)
			if err == nil {
				err = json.Unmarshal(text, &value)
			}
			if err != nil {
				t.Fatal(err)
			}
			into[name] = value
		default:
			t.Fatalf("%s leads nowhere", op.Path)
		}
	}
}
