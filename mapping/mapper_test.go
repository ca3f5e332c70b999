package mapping_test

import (
	"encoding/json"
	"errors"
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

// TestDefaultNames: traits are recognized by their names, in objects about the user.
func TestDefaultNames(t *testing.T) {
	const claims = `{"email":"kim@x.org","given_name":"Kim","family_name":"S","phone_number":"+4915199990001","zoneinfo":"Europe/Berlin","name":"Kim S"}`
	for name, c := range map[string]struct{ traits, want string }{
		"name.first":      {`{"name":{"properties":{"first":{"type":"string"},"last":{"type":"string"}}}}`, `{"name":{"first":"Kim","last":"S"}}`},
		"camel case":      {`{"givenName":{"type":"string"},"familyName":{"type":["string","null"]}}`, `{"familyName":"S","givenName":"Kim"}`},
		"nested":          {`{"profile":{"properties":{"contact":{"properties":{"e-mail":{"type":"string"}}}}}}`, `{"profile":{"contact":{"e-mail":"kim@x.org"}}}`},
		"no type":         {`{"timezone":{}}`, `{"timezone":"Europe/Berlin"}`},
		"lists":           {`{"emails":{"type":"array","items":{"type":"string"}},"phoneNumbers":{"type":"array","items":{"$ref":"#/definitions/text"}}}`, `{"emails":["kim@x.org"],"phoneNumbers":["+4915199990001"]}`},
		"odd lists":       {`{"emails":{"type":"array"},"email_addresses":{"type":"array","items":{"type":"object"}},"mails":{"type":"array","items":{"type":"array","items":{"type":"string"}}},"names":{"type":"array","items":{"type":"string"}},"email":{"type":"array","items":{"type":"string"}}}`, `{}`},
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
		"without end":          {"local f(x) = f(x) + 1; {identity: {traits: {e: f(1)}}}", "mapper.jsonnet:1: max stack frames exceeded."},
		"an endless answer":    {"local a = {x: a}; {identity: {traits: a}}", "mapper.jsonnet"},
		"an endless list":      {"local f(x) = [f(x)]; {identity: {traits: {y: f(1)}}}", "mapper.jsonnet:1: max stack frames exceeded."},
		"a huge answer":        {"local double(s, n) = if n == 0 then s else double(s + s, n - 1); {identity: {traits: {x: double('kim', 19)}}}", "more than 1048576 bytes"},
		"an import":            {"import 'kim.libsonnet'", "mapper.jsonnet:1: a mapper cannot import files"},
		"an import of a file":  {"{identity: {traits: {x: importstr '/etc/hostname'}}}", "mapper.jsonnet:1: a mapper cannot import files"},
		"another variable":     {"{identity: {traits: {x: std.extVar('session')}}}", "mapper.jsonnet:1: Undefined external variable: session"},
		"no object":            {"'kim'", "the result is not an object"},
		"no identity":          {"{}", "the result must be {identity: {traits: {…}}}"},
		"identity is a list":   {"{identity: []}", "the result must be {identity: {traits: {…}}}"},
		"no traits":            {"{identity: {}}", "identity.traits is missing"},
		"traits are a list":    {"{identity: {traits: ['kim']}}", "identity.traits is not an object"},
		"metadata is a text":   {"{identity: {traits: {}, metadata_public: 'kim'}}", "identity.metadata_public is not an object"},
		"ferry's own metadata": {"{identity: {traits: {}, metadata_admin: {auth0: {user_id: 'kim'}}}}", "metadata_admin.auth0 is reserved for ferry"},
		"addresses are a text": {"{identity: {traits: {}, verified_addresses: 'kim'}}", "identity.verified_addresses is not a list"},
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

// TestMapperMessages: the message of a program that fails is shown where it would be
// the same for everybody, and is in the error's detail always.
func TestMapperMessages(t *testing.T) {
	const claims = `{"email":"kim@example.org","email_verified":true,"app_metadata":{"plan":"gold","Zebra":[1,2]},"logins_count":17}`
	const local = "local c = std.extVar('claims'); local raw = c.raw_claims; local meta = raw.app_metadata; {identity: {traits: {email: "
	for name, c := range map[string]struct {
		source string
		public bool
		detail string
	}{
		"a text of its own":        {"error 'no such tenant'", true, "m:1: no such tenant"},
		"a claim that is missing":  {"c.phone_number", true, "m:1: Field does not exist: phone_number"},
		"metadata that is missing": {"meta.tier", true, "m:1: Field does not exist: tier"},
		"another type":             {"c.email + 1 + std.length(2)", true, "m:1: Unexpected type number"},
		"a condition":              {"if std.endsWith(c.email, '@example.org') then error 'no staff' else c.email", false, "m:1: no staff"},
		"a value":                  {"error 'who is ' + c.email", false, "m:1: who is kim@example.org"},
		"a letter of a value":      {"error 'who is ' + c.email[0]", false, "m:1: who is k"},
		"in capitals":              {"error std.asciiUpper(meta.plan)", false, "m:1: GOLD"},
		"a key of the data":        {"error std.join(',', [k for k in std.objectFields(meta) if k != 'plan'])", false, "m:1: Zebra"},
		"a number":                 {"error 'logins: ' + raw.logins_count", false, "m:1: logins: 17"},
		"a truth":                  {"error 'verified: ' + c.email_verified", false, "m:1: verified: true"},
		"how long":                 {"error 'letters: ' + std.length(c.email)", false, "m:1: letters: 15"},
		"how many":                 {"error 'elements: ' + std.length(meta.Zebra)", false, "m:1: elements: 2"},
		"a value as a field":       {"c[c.email]", false, "m:1: Field does not exist: kim@example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mapping.Jsonnet("m", local+c.source+"}}}")
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Map(profile(t, claims))
			var failed *mapping.MapperError
			if !errors.As(err, &failed) {
				t.Fatalf("err = %v", err)
			}
			if failed.Detail() != c.detail || failed.Public != c.public {
				t.Errorf("%q, public: %v", failed.Detail(), failed.Public)
			}
			if shown := strings.Contains(err.Error(), failed.Message); shown != c.public {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// TestJsonnetTakesWhatKratosTakes: keys that Kratos does not read are noted, and no
// reason to refuse the answer.
func TestJsonnetTakesWhatKratosTakes(t *testing.T) {
	const beside = "the mapper returns keys beside identity, which are ignored"
	const within = "the mapper's identity has keys other than traits, metadata_public, metadata_admin and verified_addresses, which are ignored"
	for name, c := range map[string]struct{ source, want, notes string }{
		"identity alone":      {`{identity: {traits: {a: 1}}}`, `{"traits":{"a":1}}`, `null`},
		"metadata beside":     {`{identity: {traits: {}}, metadata_public: {a: 1}}`, `{"traits":{}}`, `["the mapper's key metadata_public is ignored: it is beside identity and belongs inside it"]`},
		"another key beside":  {`{identity: {traits: {}}, kim: 1, pat: 1}`, `{"traits":{}}`, `["` + beside + `"]`},
		"both":                {`{identity: {traits: {}}, kim: 1, traits: {}}`, `{"traits":{}}`, `["the mapper's key traits is ignored: it is beside identity and belongs inside it","` + beside + `"]`},
		"a key within":        {`{identity: {traits: {}, kim: 1}}`, `{"traits":{}}`, `["` + within + `"]`},
		"an address and more": {`{identity: {traits: {}, verified_addresses: [{value: 'a', via: 'email', kim: 1}]}}`, `{"traits":{},"verified_addresses":[{"value":"a","via":"email"}]}`, `null`},
		"the identity":        {`local i = std.extVar('identity'); {identity: {traits: i}}`, `{"traits":{"metadata_admin":{},"metadata_public":{},"traits":{}}}`, `null`},
		"an identity's trait": {`local i = std.extVar('identity'); {identity: {traits: {a: if 'a' in i.traits then i.traits.a else 'new'}}}`, `{"traits":{"a":"new"}}`, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := jsonnetMapper(t, c.source).Map(profile(t, `{}`))
			if err != nil {
				t.Fatal(err)
			}
			if got, notes := toJSON(t, identity), toJSON(t, identity.Notes); got != c.want || notes != c.notes {
				t.Errorf("made %s with %s", got, notes)
			}
		})
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
		if _, err := m.Map(p); err == nil || err.Error() != "map with mapper.jsonnet: it did not finish in time" {
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
