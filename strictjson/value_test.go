package strictjson_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"ferry/strictjson"
)

// compare checks that Value accepts and refuses the same text as Unmarshal, and reads
// the same value as the standard library.
func compare(t rapid.TB, data []byte, opaque ...string) {
	t.Helper()
	before := string(data)
	var raw jsontext.Value
	wantErr := strictjson.Unmarshal(data, &raw, opaque...)
	got, err := strictjson.Value(data, opaque...)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%q: Value says %v, Unmarshal %v", data, err, wantErr)
	}
	if err == nil {
		var want any
		dec := json.NewDecoder(strings.NewReader(before))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %#v, by encoding/json %#v, %v", data, got, want, err)
		}
	}
	if err != nil && got != nil {
		t.Fatalf("%q is refused, and yet %#v", data, got)
	}
	if string(data) != before {
		t.Fatalf("the text was changed: %q", data)
	}
}

func seeds() []string {
	return []string{
		`{"token":"a","inner":{"sub":"s"}}`, `{"a":1,"A":2}`, `{"a":1,"\u0061":2}`, `{"K":1,"` + "\u212a" + `":2}`, `{"i":1,"` + "\u0130" + `":2}`, `{"s":1,"` + "\u017f" + `":2}`,
		`{"free":{"A":1,"a":2}}`, `{"free":{"a":1,"a":2}}`, `{"free":[{"A":1,"a":[{"x":1,"X":2}]}]}`, `{"free":[{"A":1,"a":2}],"x":{"b":1,"B":2}}`, `{"a":1,"\u0041":2}`, `{"Free":{"A":1,"a":2}}`, `{"\u0066ree":{"A":1,"a":2}}`,
		`{"x":"free","y":{"A":1,"a":2}}`, `{"x":{"free":1},"y":{"A":1,"a":2}}`, `[1,-0,1.50,1e3,1E+3,90071992547409931,0.1e-7]`, `[true,false,null,"",[],{},[[]],{"":{}}]`,
		`"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, `"\\"`, `["\\\\","\\\""]`, `{"a\"b":1,"a\\":2}`, `"ü\u0000"`, " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n", `1`, `-`, `01`, `1.`, `.5`, `+1`, `1e`, `tru`, `nul`,
		`"\ud800"`, `"\x"`, "\"\xff\"", "\"\x01\"", "{\"\xff\":1}", ``, ` `, `{}{}`, `{} x`, `[1,]`, `{"a":1,}`, `{"a"}`, `{"a" 1}`, `{,}`, `[`, `{"a":`, `{1:2}`, `]`, `[1 2]`, `:`, `,`, "\ufeff{}", "{}\x00",
		`{` + manyKeys(40) + `"Key3":1}`, `{` + manyKeys(40) + `"KEY":1}`, `{"a":{` + manyKeys(20) + `"b":{` + manyKeys(20) + `"c":[` + strings.Repeat(`{"d":1},`, 20) + `1]}}}`,
		strings.Repeat("[", 20_000), strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999), strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
		`{"` + strings.Repeat("k", 33) + `":1,"` + strings.Repeat("K", 33) + `":2}`,
	}
}

func TestValue(t *testing.T) {
	for _, text := range seeds() {
		compare(t, []byte(text), "free")
		compare(t, []byte(text))
	}
	got, err := strictjson.Value([]byte(`{"n":90071992547409931,"l":[],"o":{},"s":"\u00e9","b":true,"z":null}`))
	want := map[string]any{"n": json.Number("90071992547409931"), "l": []any{}, "o": map[string]any{}, "s": "é", "b": true, "z": nil}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %#v, %v", got, err)
	}
}

// TestValueDoesNotAlias: later reads and changes of the input do not change a value.
func TestValueDoesNotAlias(t *testing.T) {
	text := []byte(`{"name":"first","list":["first",1],"fr\u00e9e":{"first":"first"}}`)
	first, err := strictjson.Value(text)
	if err != nil {
		t.Fatal(err)
	}
	copy(text, strings.Repeat("x", len(text)))
	for _, broken := range seeds() {
		_, _ = strictjson.Value([]byte(broken)) // other tests check the error
	}
	want := map[string]any{"name": "first", "list": []any{"first", json.Number("1")}, "frée": map[string]any{"first": "first"}}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("it became %#v", first)
	}
}

func TestValueConcurrently(t *testing.T) {
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 200 {
				text := fmt.Sprintf(`{"key%d":{"a%d":[%d,"%d"]}}`, i, n, n, i)
				want := map[string]any{fmt.Sprint("key", i): map[string]any{fmt.Sprint("a", n): []any{json.Number(fmt.Sprint(n)), fmt.Sprint(i)}}}
				if got, err := strictjson.Value([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s read as %#v, %v", text, got, err)
				}
			}
		})
	}
	all.Wait()
}

// TestValueProperties compares generated text, both valid and invalid.
func TestValueProperties(t *testing.T) {
	keys := rapid.SampledFrom([]string{`"a"`, `"A"`, `"b"`, `"\u0061"`, `"\u0041"`, `"k"`, `"` + "\u212a" + `"`, `"free"`, `"x"`, `"i"`, `"` + "\u0130" + `"`, `"é"`, `"É"`})
	scalars := rapid.SampledFrom([]string{`1`, `-2.50e+3`, `"t"`, `"\"\\"`, `"é\ud83d\ude00"`, `true`, `false`, `null`, `""`})
	faults := rapid.SampledFrom([]string{`"\ud800"`, `01`, "\"\xc3\"", `"\x"`})
	blanks := rapid.SampledFrom([]string{"", "", "", " ", "\n\t"})
	var value func(t *rapid.T, depth int) string
	value = func(t *rapid.T, depth int) string {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		if depth == 0 || kind == 0 {
			if rapid.IntRange(0, 40).Draw(t, "faulty") == 40 {
				return faults.Draw(t, "fault")
			}
			return scalars.Draw(t, "scalar")
		}
		var parts []string
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			part := value(t, depth-1)
			if kind > 1 {
				part = keys.Draw(t, "key") + blanks.Draw(t, "blank") + ":" + part
			}
			parts = append(parts, blanks.Draw(t, "blank")+part)
		}
		all := strings.Join(parts, ",") + blanks.Draw(t, "blank")
		if kind > 1 {
			return "{" + all + "}"
		}
		return "[" + all + "]"
	}
	accepted, ambiguous := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(value(t, 4))
		if len(text) > 0 && rapid.IntRange(0, 9).Draw(t, "damaged") == 0 {
			at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
			text[at] = rapid.SampledFrom([]byte(`"\{}[],:0x `)).Draw(t, "byte")
		}
		compare(t, text, "free")
		switch _, err := strictjson.Value(text, "free"); {
		case err == nil:
			accepted++
		case isAmbiguous(err):
			ambiguous++
		}
	})
	if accepted == 0 || ambiguous == 0 {
		t.Errorf("%d accepted, %d ambiguous: nothing is shown", accepted, ambiguous)
	}
}

// FuzzValue: Value accepts what Unmarshal accepts, and reads what encoding/json reads.
func FuzzValue(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data, "free") })
}

func BenchmarkValue(b *testing.B) {
	text := []byte(`{"user_id":"auth0|64f0c2a19b7e5d0012ab34cd","email":"kim@example.org","email_verified":true,"name":"Kim","logins_count":17,` +
		`"identities":[{"connection":"db","provider":"auth0","user_id":"64f0c2a19b7e5d0012ab34cd","isSocial":false}],"free":{"plan":"pro","roles":["a","b"]}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := strictjson.Value(text, "free"); err != nil {
			b.Fatal(err)
		}
	}
}
