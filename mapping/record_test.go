package mapping_test

import (
	"encoding/json"
	"testing"

	"ferry/mapping"
)

// TestOverMetadata: what leaves do not tell stays, and what they tell as the same text.
func TestOverMetadata(t *testing.T) {
	admin := map[string]any{"auth0": map[string]any{
		"app_metadata":  map[string]any{"n": json.Number("3"), "on": true, "list": []any{"a"}, "deep": map[string]any{"a": 1.0, "b": nil}, "flat": "x"},
		"user_metadata": "none",
	}}
	before, err := json.Marshal(admin)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]any{"n": "3", "on": "false", "list": `["a"]`, "deep": map[string]any{"a": "1", "c": "2"}, "flat": map[string]any{"y": "z"}}
	p := mapping.Profile{AppMetadata: told, UserMetadata: map[string]any{"x": "y"}}.OverMetadata(admin)
	got, err := json.Marshal(p.AppMetadata)
	want := `{"deep":{"a":1,"b":null,"c":"2"},"flat":{"y":"z"},"list":["a"],"n":3,"on":"false"}`
	if err != nil || string(got) != want || p.UserMetadata["x"] != "y" {
		t.Errorf("got  %s, %v\nwant %s", got, p.UserMetadata, want)
	}
	if after, err := json.Marshal(admin); err != nil || string(after) != string(before) {
		t.Errorf("the identity's became %s", after)
	}
	if untold := (mapping.Profile{}).OverMetadata(admin); untold.AppMetadata != nil || untold.UserMetadata != nil {
		t.Errorf("made up %+v", untold)
	}
}
