package strictjson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ferry/strictjson"
)

type answer struct {
	Token string `json:"token"`
	Inner struct {
		Sub string `json:"sub"`
	} `json:"inner"`
}

func TestUnmarshalAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"plain":                    `{"token":"a","inner":{"sub":"s"}}`,
		"unknown keys":             `{"token":"a","x":[1,{"y":null}],"inner":{"sub":"s","z":true}}`,
		"blanks around":            " \n{\"token\":\"a\",\"inner\":{\"sub\":\"s\"}}\t\r\n",
		"same key, another object": `{"token":"a","inner":{"sub":"s","token":"b"}}`,
		"opaque twins":             `{"token":"a","free":{"Color":1,"color":2,"deep":[{"A":1,"a":2}]},"inner":{"sub":"s"}}`,
		"many keys":                `{` + manyKeys(10_000) + `"token":"a","inner":{"sub":"s"}}`,
		"opaque name as a value":   `{"token":"a","x":"free","inner":{"sub":"s"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var a answer
			if err := strictjson.Unmarshal([]byte(text), &a, "free"); err != nil {
				t.Fatal(err)
			}
			if a.Token != "a" || a.Inner.Sub != "s" {
				t.Fatalf("decoded %+v", a)
			}
		})
	}
}

func isAmbiguous(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "a key occurs twice")
}

func manyKeys(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `"key%d":%d,`, i, i)
	}
	return out.String()
}

func TestUnmarshalRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text      string
		ambiguous bool
	}{
		"twice":                        {`{"token":"a","token":"a"}`, true},
		"twice, escaped":               {`{"token":"a","\u0074oken":"b"}`, true},
		"case only":                    {`{"token":"a","Token":"b"}`, true},
		"case only, kelvin sign":       {`{"token":"a","to\u212aen":"b"}`, true},
		"case only, unknown keys":      {`{"token":"a","x":1,"X":2}`, true},
		"case only, among many":        {`{` + manyKeys(100) + `"token":"a","Key50":1}`, true},
		"twice, among many":            {`{` + manyKeys(100) + `"token":"a","key3":1}`, true},
		"case only, deep":              {`{"token":"a","inner":{"x":[{"sub":"s","SUB":"t"}]}}`, true},
		"case only, opaque key itself": {`{"token":"a","free":{},"Free":{}}`, true},
		"twice to the letter, opaque":  {`{"free":{"a":1,"a":2}}`, true},
		"after an opaque object":       {`{"free":{"A":1,"a":1},"x":{"b":1,"B":2}}`, true},
		"opaque but not an object":     {`{"free":1,"x":{"b":1,"B":2}}`, true},
		"empty":                        {"", false},
		"blank":                        {"  ", false},
		"null byte":                    {"{}\x00", false},
		"two values":                   {`{"token":"a"}{"token":"a"}`, false},
		"trailing word":                {`{"token":"a"} x`, false},
		"truncated":                    {`{"token":"a`, false},
		"wrong type":                   {`{"token":1}`, false},
		"wrong type, inner":            {`{"inner":"s"}`, false},
		"not an object":                {`["token"]`, false},
		"comment":                      {`{"token":"a" /* x */}`, false},
		"bad utf-8":                    {"{\"token\":\"\xff\"}", false},
		"lone surrogate":               {`{"token":"\ud800"}`, false},
		"nested without end":           {strings.Repeat("[", 100_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			var a answer
			err := strictjson.Unmarshal([]byte(c.text), &a, "free")
			if err == nil {
				t.Fatalf("accepted as %+v", a)
			}
			if isAmbiguous(err) != c.ambiguous {
				t.Fatalf("err = %v, ambiguous want %v", err, c.ambiguous)
			}
		})
	}
}

func TestKeysMatchExactly(t *testing.T) {
	var a answer
	if err := strictjson.Unmarshal([]byte(`{"Token":"a"}`), &a); err != nil || a.Token != "" {
		t.Fatalf("a key in another case was taken for the one expected: %+v, %v", a, err)
	}
}

// TestNotNull: a value is noted in every spelling of its name, and null does not hide it.
func TestNotNull(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: false, `{"error":null}`: false, `{"error":null,"er_ror":null}`: false, `{"x":1}`: false,
		`{"error":""}`: true, `{"error":0}`: true, `{"error":{}}`: true, `{"ERROR":false}`: true,
		`{"error":"x","er_ror":null}`: true, `{"er-ror":null,"error":"x"}`: true, `{"error_":"x","error":null}`: true,
	} {
		var said struct {
			Error strictjson.NotNull `json:"error,case:ignore"`
		}
		if err := strictjson.Unmarshal([]byte(text), &said); err != nil || bool(said.Error) != want {
			t.Errorf("%s: %v, %v", text, said.Error, err)
		}
	}
}

func TestErrorsDoNotQuote(t *testing.T) {
	const canary = "canary-5b1d"
	for _, text := range []string{
		`{"token":["` + canary + `"]}`, `{"` + canary + `":1,"` + canary + `":2}`, `{"token":"` + canary, `{"token":"a"} ` + canary,
	} {
		var a answer
		if err := strictjson.Unmarshal([]byte(text), &a); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("err = %v", err)
		}
	}
}

// FuzzUnmarshal: the standard library reads accepted text as the same value.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"token":"a","inner":{"sub":"s"}}`, `{"token":"a","Token":"b"}`, `{"free":{"A":1,"a":2}}`, `[]`, `{}`, `null`, `{"token":"\u0000"}`, `{"Token":1}`, `{"x":1e999}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got answer
		if strictjson.Unmarshal(data, &got) != nil {
			return
		}
		var all any // encoding/json matches the names of fields in any case, those of a map exactly
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&all); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		outer, _ := all.(map[string]any)
		inner, _ := outer["inner"].(map[string]any)
		token, _ := outer["token"].(string)
		sub, _ := inner["sub"].(string)
		if got.Token != token || got.Inner.Sub != sub {
			t.Fatalf("read as %q and %q, and as %q and %q", got.Token, got.Inner.Sub, token, sub)
		}
	})
}
