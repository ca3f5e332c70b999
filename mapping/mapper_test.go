package mapping_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/mapping"
)

func TestDefault(t *testing.T) {
	identity, err := mapping.Default(person(t)).Map(kim(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "default.golden.json", identity)
	if err := person(t).Validate(identity.Traits); err != nil {
		t.Error(err)
	}
	plain, err := mapping.Default(nil).Map(kim(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plain.golden.json", plain)
}

// TestDefaultFacts: what Auth0 makes up is left out, what looks like it is not.
func TestDefaultFacts(t *testing.T) {
	for name, c := range map[string]struct{ claims, want string }{
		"a name that is the address":       {`{"email":"kim@x.org","name":"kim@x.org"}`, `{"email":"kim@x.org"}`},
		"a name that is its lower case":    {`{"email":"Kim@x.org","name":"kim@x.org"}`, `{"email":"Kim@x.org"}`},
		"a name that is the local part":    {`{"email":"kim@x.org","name":"kim"}`, `{"email":"kim@x.org"}`},
		"a name like the local part":       {`{"email":"kim@x.org","name":"Kim"}`, `{"email":"kim@x.org","name":"Kim"}`},
		"a name that is the nickname":      {`{"name":"Kim","nickname":"Kim"}`, `{"nickname":"Kim"}`},
		"a name that is the number":        {`{"phone_number":"+49 151 99990001","name":"+4915199990001"}`, `{"phone":"+4915199990001"}`},
		"a name that is the username":      {`{"username":"kim1","name":"kim1"}`, `{"username":"kim1"}`},
		"a name":                           {`{"email":"kim@x.org","name":"Kim S"}`, `{"email":"kim@x.org","name":"Kim S"}`},
		"a nickname that is made up":       {`{"email":"kim@x.org","nickname":"kim"}`, `{"email":"kim@x.org"}`},
		"a nickname":                       {`{"email":"kim@x.org","nickname":"kimmy"}`, `{"email":"kim@x.org","nickname":"kimmy"}`},
		"gravatar":                         {`{"picture":"https://www.gravatar.com/avatar/1"}`, `{}`},
		"gravatar by itself":               {`{"picture":"http://GRAVATAR.com/avatar/1"}`, `{}`},
		"two letters":                      {`{"picture":"https://cdn.auth0.com/avatars/ki.png"}`, `{}`},
		"two letters behind a cache":       {`{"picture":"https://i1.wp.com/cdn.auth0.com/avatars/ki.png?ssl=1"}`, `{}`},
		"a picture behind a cache":         {`{"picture":"https://i1.wp.com/x.org/kim.png"}`, `{"picture":"https://i1.wp.com/x.org/kim.png"}`},
		"not gravatar":                     {`{"picture":"https://notgravatar.com/1"}`, `{"picture":"https://notgravatar.com/1"}`},
		"a picture that is no web address": {`{"picture":"javascript:alert(1)"}`, `{}`},
		"wrong types":                      {`{"email":1,"name":["a"],"nickname":null,"picture":{}}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile(t, c.claims)
			identity, err := mapping.Default(nil).Map(p)
			if err != nil {
				t.Fatal(err)
			}
			if got := toJSON(t, identity.Traits); got != c.want {
				t.Errorf("traits %s, not %s", got, c.want)
			}
		})
	}
}

// profile is one from claims; sub is added.
func profile(tb testing.TB, claims string) mapping.Profile {
	tb.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(claims), &all); err != nil {
		tb.Fatal(err)
	}
	all["sub"] = "auth0|1"
	p, err := mapping.FromClaims(all)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func toJSON(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// TestDefaultNames: traits are known by their names, in objects about the person.
func TestDefaultNames(t *testing.T) {
	const claims = `{"email":"kim@x.org","given_name":"Kim","family_name":"S","phone_number":"+4915199990001","zoneinfo":"Europe/Berlin","name":"Kim S"}`
	for name, c := range map[string]struct{ traits, want string }{
		"name.first":      {`{"name":{"properties":{"first":{"type":"string"},"last":{"type":"string"}}}}`, `{"name":{"first":"Kim","last":"S"}}`},
		"camel case":      {`{"givenName":{"type":"string"},"familyName":{"type":["string","null"]}}`, `{"familyName":"S","givenName":"Kim"}`},
		"nested":          {`{"profile":{"properties":{"contact":{"properties":{"e-mail":{"type":"string"}}}}}}`, `{"profile":{"contact":{"e-mail":"kim@x.org"}}}`},
		"no type":         {`{"timezone":{}}`, `{"timezone":"Europe/Berlin"}`},
		"another type":    {`{"email":{"type":"array"},"phone":{"type":"integer"},"name":{"type":"boolean"}}`, `{}`},
		"somebody else's": {`{"company":{"properties":{"name":{"type":"string"},"phone":{"type":"string"}}}}`, `{}`},
		"by reference":    {`{"email":{"$ref":"#/definitions/text"}}`, `{"email":"kim@x.org"}`},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := mapping.ParseSchema([]byte(`{"definitions":{"text":{"type":"string"}},"properties":{"traits":{"properties":` + c.traits + `}}}`))
			if err != nil {
				t.Fatal(err)
			}
			identity, err := mapping.Default(schema).Map(profile(t, claims))
			if err != nil {
				t.Fatal(err)
			}
			if got := toJSON(t, identity.Traits); got != c.want {
				t.Errorf("traits %s, not %s", got, c.want)
			}
		})
	}
}

func jsonnetMapper(tb testing.TB, source string) mapping.Mapper {
	tb.Helper()
	m, err := mapping.Jsonnet("mapper.jsonnet", source)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestJsonnet(t *testing.T) {
	identity, err := jsonnetMapper(t, string(testdata(t, "mapper.jsonnet"))).Map(kim(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "jsonnet.golden.json", identity)
}

// TestJsonnetClaims: what Kratos gives its mappers, and in raw_claims everything.
func TestJsonnetClaims(t *testing.T) {
	identity, err := jsonnetMapper(t, `{identity: {traits: std.extVar('claims')}}`).Map(kim(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "claims.golden.json", identity.Traits)
}

func TestJsonnetFails(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"its own error":        {"local c = std.extVar('claims');\n{identity: {traits: {e:\n error c.email}}}", "mapper.jsonnet:3: failed"},
		"no such claim":        {"local c = std.extVar('claims');\n{identity: {traits: {e: c[c.email]}}}", "mapper.jsonnet:2: failed"},
		"in a function":        {"local f(x) =\n  error x.email;\n{identity: {traits: {e: f(std.extVar('claims'))}}}", "mapper.jsonnet:2: failed"},
		"without end":          {"local f(x) = f(x) + 1; {identity: {traits: {e: f(1)}}}", "mapper.jsonnet:1: failed"},
		"an endless answer":    {"local a = {x: a}; {identity: {traits: a}}", "mapper.jsonnet"},
		"an endless list":      {"local f(x) = [f(x)]; {identity: {traits: {y: f(1)}}}", "mapper.jsonnet:1: failed"},
		"a huge answer":        {"local double(s, n) = if n == 0 then s else double(s + s, n - 1); {identity: {traits: {x: double('kim', 19)}}}", "more than 1048576 bytes"},
		"an import":            {"import 'kim.libsonnet'", "mapper.jsonnet:1: failed"},
		"an import of a file":  {"{identity: {traits: {x: importstr '/etc/hostname'}}}", "mapper.jsonnet:1: failed"},
		"another variable":     {"{identity: {traits: {x: std.extVar('kim')}}}", "mapper.jsonnet:1: failed"},
		"no object":            {"'kim'", "it answered no object"},
		"no identity":          {"{}", "nothing beside identity"},
		"more than identity":   {"{identity: {traits: {}}, kim: 1}", "nothing beside identity"},
		"identity is a list":   {"{identity: []}", "nothing beside identity"},
		"an unknown key":       {"{identity: {traits: {}, kim: 1}}", "none of traits, metadata_public, metadata_admin, verified_addresses"},
		"no traits":            {"{identity: {}}", "identity.traits is missing"},
		"traits are a list":    {"{identity: {traits: ['kim']}}", "identity.traits is no object"},
		"metadata is a text":   {"{identity: {traits: {}, metadata_public: 'kim'}}", "identity.metadata_public is no object"},
		"ferry's own metadata": {"{identity: {traits: {}, metadata_admin: {auth0: {user_id: 'kim'}}}}", "metadata_admin.auth0 is ferry's own"},
		"addresses are a text": {"{identity: {traits: {}, verified_addresses: 'kim'}}", "identity.verified_addresses is no list"},
		"an address is a text": {"{identity: {traits: {}, verified_addresses: ['kim']}}", "identity.verified_addresses[0] is not"},
		"an unknown way":       {"{identity: {traits: {}, verified_addresses: [{value: 'kim', via: 'pigeon'}]}}", "identity.verified_addresses[0] is not"},
		"a function":           {"function(x) x", "mapper.jsonnet"},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := jsonnetMapper(t, c.source).Map(profile(t, `{"email":"kim@example.org"}`))
			if err == nil {
				t.Fatalf("made %+v", identity)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "kim") {
				t.Errorf("error %q, not %q", err, c.want)
			}
		})
	}
	if _, err := mapping.Jsonnet("mapper.jsonnet", "{\n  identity: {"); err == nil || !strings.Contains(err.Error(), "mapper.jsonnet:2") {
		t.Errorf("a cut program: %v", err)
	}
}

func TestJsonnetNulls(t *testing.T) {
	identity, err := jsonnetMapper(t, `{identity: {traits: {}, metadata_public: null, metadata_admin: null, verified_addresses: null}}`).Map(kim(t))
	if err != nil || identity.MetadataPublic != nil || identity.MetadataAdmin != nil || identity.VerifiedAddresses != nil {
		t.Errorf("made %+v, %v", identity, err)
	}
}

// TestConcurrentMaps: one mapper serves everybody, and each gets their own.
func TestConcurrentMaps(t *testing.T) {
	m := jsonnetMapper(t, `local c = std.extVar('claims'); {identity: {traits: {email: c.email, sub: c.sub}}}`)
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		p := profile(t, `{"email":"`+name+`@example.org"}`)
		all.Go(func() {
			for range 20 {
				identity, err := m.Map(p)
				if err != nil || identity.Traits["email"] != name+"@example.org" {
					t.Errorf("%s: made %v, %v", name, identity, err)
				}
			}
		})
	}
	all.Wait()
}

// FuzzJsonnetOutput: an answer is taken whole, or refused without quoting it. JSON is
// Jsonnet, so any answer can be a program.
func FuzzJsonnetOutput(f *testing.F) {
	f.Add(`{"identity":{"traits":{"email":"a"},"metadata_public":{"x":[1]},"metadata_admin":null,"verified_addresses":[{"value":"a","via":"email"}]}}`)
	f.Add(`{"identity":{"traits":{"A":1,"a":2}}}`)
	f.Add(`{"identity":{"traits":{},"metadata_admin":{"auth0":{}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		m, err := mapping.Jsonnet("m", text)
		if err != nil {
			return
		}
		identity, err := m.Map(mapping.Profile{UserID: "auth0|1"})
		if err != nil {
			return
		}
		if identity.Traits == nil || identity.MetadataAdmin["auth0"] != nil {
			t.Fatalf("made %+v", identity)
		}
		for _, a := range identity.VerifiedAddresses {
			if a.Via != mapping.ViaEmail && a.Via != mapping.ViaSMS {
				t.Fatalf("made %+v", a)
			}
		}
	})
}

func BenchmarkFromUser(b *testing.B) {
	user := testdata(b, "user.json")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mapping.FromUser(user); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDefault(b *testing.B) { benchmark(b, mapping.Default(person(b))) }

func BenchmarkJsonnet(b *testing.B) {
	benchmark(b, jsonnetMapper(b, string(testdata(b, "mapper.jsonnet"))))
}

func benchmark(b *testing.B, m mapping.Mapper) {
	b.Helper()
	p := kim(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Map(p); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEndlessMapper: nobody waits for a program that does not end, and only a few of
// them run on. This one is a loop that ends at last.
func TestEndlessMapper(t *testing.T) {
	m := mapping.WithMaxTime(jsonnetMapper(t, `
		local claims = std.extVar('claims');
		local spin(n) = if n == 0 then '' else spin(n - 1) tailstrict;
		{identity: {traits: {name: spin(if claims.sub == 'auth0|1' then 5000 else 0)}}}`), time.Nanosecond)
	p := profile(t, `{"name":"Kim"}`)
	for range 8 {
		if _, err := m.Map(p); err == nil || err.Error() != "map with mapper.jsonnet: it does not end in time" {
			t.Fatal(err)
		}
	}
	if left := mapping.Left(m); left > 4 {
		t.Errorf("%d run on", left)
	}
	for deadline := time.After(time.Minute); mapping.Left(m) > 0; {
		select {
		case <-deadline:
			t.Fatal("they never end")
		default:
			runtime.Gosched()
		}
	}
	p.UserID = "auth0|2"
	if _, err := mapping.WithMaxTime(m, time.Minute).Map(p); err != nil {
		t.Errorf("and then: %v", err)
	}
}
