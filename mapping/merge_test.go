package mapping_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"ferry/jsonpatch"
	"ferry/mapping"
	"ferry/provenance"
)

func object(tb testing.TB, text string) map[string]any {
	tb.Helper()
	if text == "" {
		return nil
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		tb.Fatal(err)
	}
	return out
}

const (
	both = `{"email":"kim@example.org","email_verified":true,"phone_number":"+4915199990001","phone_number_verified":true}`
	mail = `{"email":"kim@example.org","email_verified":true,"phone_number":"+4915199990001","phone_number_verified":false}`
	tel  = `{"email":"kim@example.org","email_verified":false,"phone_number":"+4915199990001","phone_number_verified":true}`
)

func overwrite(names ...string) mapping.Rules {
	r := mapping.Rules{ByTrait: map[string]mapping.Policy{}}
	for _, name := range names {
		r.ByTrait[name] = mapping.Overwrite
	}
	return r
}

// TestMergeTraits: ops is what is written, without the operation's add or replace.
func TestMergeTraits(t *testing.T) {
	for name, c := range map[string]struct {
		current, mapped, claims string
		rules                   mapping.Rules
		ops                     string
		dropped, unverified     string
	}{
		"fills":                       {current: `{"email":"a@x.org"}`, mapped: `{"locale":"da","name":{"first":"Kim"}}`, ops: `add /traits/locale "da" add /traits/name {"first":"Kim"}`},
		"fills what is empty":         {current: `{"locale":"","name":null,"nickname":"ki"}`, mapped: `{"locale":"da","name":{"first":"Kim"}}`, ops: `replace /traits/locale "da" replace /traits/name {"first":"Kim"}`},
		"fills beside":                {current: `{"name":{"first":"K"}}`, mapped: `{"name":{"first":"Kim","last":"S"}}`, ops: `add /traits/name/last "S"`},
		"false is not empty":          {current: `{"newsletter":false}`, mapped: `{"newsletter":true}`},
		"nothing is new":              {current: `{"locale":"da"}`, mapped: `{"locale":"da"}`},
		"the mapper says nothing":     {current: `{"locale":"da"}`, mapped: `{"locale":"","name":{},"nickname":null}`, rules: overwrite("locale", "name", "nickname")},
		"keeps what was edited":       {current: `{"locale":"en"}`, mapped: `{"locale":"da"}`},
		"overwrites":                  {current: `{"locale":"en"}`, mapped: `{"locale":"da"}`, rules: overwrite("locale"), ops: `replace /traits/locale "da"`},
		"overwrites below":            {current: `{"name":{"first":"K","last":"S"}}`, mapped: `{"name":{"first":"Kim"}}`, rules: overwrite("name"), ops: `replace /traits/name/first "Kim"`},
		"never":                       {current: `{}`, mapped: `{"locale":"da","nickname":"kimmy"}`, rules: mapping.Rules{ByTrait: map[string]mapping.Policy{"locale": mapping.Never}}, ops: `add /traits/nickname "kimmy"`},
		"never, by a misspelt policy": {current: `{}`, mapped: `{"locale":"da"}`, rules: mapping.Rules{ByTrait: map[string]mapping.Policy{"locale": "overwrit"}}},
		"the longest path counts":     {current: `{"name":{"first":"K","last":"S"}}`, mapped: `{"name":{"first":"Kim","last":"T"}}`, rules: mapping.Rules{ByTrait: map[string]mapping.Policy{"name": mapping.Overwrite, "name.last": mapping.Never}}, ops: `replace /traits/name/first "Kim"`},
		"a text in the way":           {current: `{}`, mapped: `{"name":"Kim"}`, dropped: "name"},
		"drops what is not valid":     {current: `{}`, mapped: `{"nickname":"k","locale":"da"}`, ops: `add /traits/locale "da"`, dropped: "nickname"},
		"drops all that are not":      {current: `{}`, mapped: `{"nickname":"k","x":1,"name":{"first":7,"last":"S"},"locale":"da"}`, ops: `add /traits/locale "da" add /traits/name {"last":"S"}`, dropped: "name.first nickname x"},

		"fills a verified address":         {current: `{}`, mapped: `{"email":"Kim@example.org"}`, claims: mail, ops: `add /traits/email "Kim@example.org"`},
		"not an unverified one":            {current: `{}`, mapped: `{"email":"kim@example.org"}`, claims: tel, unverified: "email"},
		"not an unverified number":         {current: `{}`, mapped: `{"phone":"+4915199990001"}`, claims: mail, unverified: "phone"},
		"a verified number":                {current: `{}`, mapped: `{"phone":"+49 151 99990001"}`, claims: tel, ops: `add /traits/phone "+49 151 99990001"`},
		"not another address":              {current: `{}`, mapped: `{"email":"eve@example.org"}`, claims: both, unverified: "email"},
		"not another way":                  {current: `{}`, mapped: `{"email":"+4915199990001"}`, claims: both, unverified: "email"},
		"not a username":                   {current: `{}`, mapped: `{"username":"kim-s"}`, claims: both, unverified: "username"},
		"not a look-alike":                 {current: `{}`, mapped: `{"email":"\u212aim@example.org"}`, claims: both, unverified: "email"},
		"not a verified look-alike":        {current: `{}`, mapped: `{"email":"\u212aim@example.org"}`, claims: `{"email":"\u212aim@example.org","email_verified":true}`, unverified: "email"},
		"not where verified is a text":     {current: `{}`, mapped: `{"email":"kim@example.org"}`, claims: `{"email":"kim@example.org","email_verified":"true"}`, unverified: "email"},
		"not where the source is not":      {current: `{}`, mapped: `{"email":"kim@example.org"}`, claims: mail, rules: mapping.Rules{TrustVerified: func(string, string) bool { return false }}, unverified: "email"},
		"never overwrites an address":      {current: `{"email":"old@example.org"}`, mapped: `{"email":"kim@example.org"}`, claims: mail, rules: overwrite("email")},
		"not even the address's own case":  {current: `{"email":"KIM@example.org"}`, mapped: `{"email":"kim@example.org"}`, claims: mail, rules: overwrite("email")},
		"an object in an identifier's way": {current: `{}`, mapped: `{"email":{"x":"y"}}`, claims: mail, unverified: "email.x"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.claims == "" {
				c.claims = `{}`
			}
			result, err := mapping.Merge(person(t), mapping.Current{Traits: object(t, c.current)}, profile(t, c.claims), mapping.Identity{Traits: object(t, c.mapped)}, c.rules, provenance.Content{})
			if err != nil {
				t.Fatal(err)
			}
			if got := words(t, result.Ops); got != c.ops {
				t.Errorf("writes %s, not %s", got, c.ops)
			}
			if got := strings.Join(result.Dropped, " "); got != c.dropped {
				t.Errorf("drops %q, not %q", got, c.dropped)
			}
			if got := strings.Join(result.Unverified, " "); got != c.unverified {
				t.Errorf("unverified %q, not %q", got, c.unverified)
			}
		})
	}
}

func words(tb testing.TB, ops []jsonpatch.Op) string {
	tb.Helper()
	var out []string
	for _, op := range ops {
		out = append(out, op.Op+" "+op.Path+" "+toJSON(tb, op.Value))
	}
	return strings.Join(out, " ")
}

func TestMergeMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		public, admin             string // current
		mappedPublic, mappedAdmin string
		app, user                 string // JSON of the profile's
		notes                     provenance.Content
		ops                       string
	}{
		"nothing":               {admin: `{"auth0":{"user_id":"auth0|1"}}`},
		"nothing, no metadata":  {},
		"no metadata yet":       {notes: provenance.Content{Ferry: "v1"}, app: `{"a":1}`, ops: `add /metadata_admin {"auth0":{"app_metadata":{"a":1},"ferry":"v1"}}`},
		"no auth0 yet":          {admin: `{"crm":7}`, notes: provenance.Content{Ferry: "v1"}, ops: `add /metadata_admin/auth0 {"ferry":"v1"}`},
		"auth0 is null":         {admin: `{"auth0":null}`, notes: provenance.Content{Ferry: "v1"}, ops: `replace /metadata_admin/auth0 {"ferry":"v1"}`},
		"beside the binding":    {admin: `{"auth0":{"user_id":"auth0|1","user_ids":["auth0|1"],"x":1}}`, notes: provenance.Content{Ferry: "v1"}, ops: `add /metadata_admin/auth0/ferry "v1"`},
		"the same again":        {admin: `{"auth0":{"app_metadata":{"n":1.50},"ferry":"v1","user_metadata":{}}}`, notes: provenance.Content{Ferry: "v1"}, app: `{"n":1.5}`, user: `{}`},
		"replaced as a whole":   {admin: `{"auth0":{"app_metadata":{"a":1,"b":2}}}`, app: `{"a":1}`, ops: `replace /metadata_admin/auth0/app_metadata {"a":1}`},
		"not told":              {admin: `{"auth0":{"app_metadata":{"a":1}}}`},
		"empty, and none there": {admin: `{"auth0":{}}`, app: `{}`, user: `{}`},
		"a note changes":        {admin: `{"auth0":{"migrated_at":{"a":1,"b":2}}}`, notes: provenance.Content{MigratedAt: time.Unix(0, 0)}, ops: `replace /metadata_admin/auth0/migrated_at "1970-01-01T00:00:00Z"`},
		"the mapper's":          {public: `{"plan":"free","x":{"y":1}}`, admin: `{"crm":{"a":1}}`, mappedPublic: `{"plan":"pro","x":{"z":2}}`, mappedAdmin: `{"crm":{"b":2},"auth0":{"user_id":"auth0|2"}}`, ops: `replace /metadata_public/plan "pro" add /metadata_public/x/z 2 add /metadata_admin/crm/b 2`},
		"the mapper's, new":     {mappedPublic: `{"plan":"pro"}`, mappedAdmin: `{"crm":1}`, ops: `add /metadata_public {"plan":"pro"} add /metadata_admin {"crm":1}`},
		"names to be escaped":   {public: `{"a/b":{"c~d":1}}`, mappedPublic: `{"a/b":{"c~d":2}}`, ops: `replace /metadata_public/a~1b/c~0d 2`},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile(t, `{}`)
			p.AppMetadata, p.UserMetadata = object(t, c.app), object(t, c.user)
			current := mapping.Current{MetadataPublic: object(t, c.public), MetadataAdmin: object(t, c.admin)}
			mapped := mapping.Identity{MetadataPublic: object(t, c.mappedPublic), MetadataAdmin: object(t, c.mappedAdmin)}
			result, err := mapping.Merge(person(t), current, p, mapped, mapping.Rules{}, c.notes)
			if err != nil {
				t.Fatal(err)
			}
			if got := words(t, result.Ops); got != c.ops {
				t.Errorf("writes %s, not %s", got, c.ops)
			}
		})
	}
}

func TestMergeAddresses(t *testing.T) {
	mailAndTel := []mapping.Address{{Value: " KIM@example.org", Via: "email"}, {Value: "+49 151 9999-0001", Via: "sms"}}
	onlyGoogle := func(_, provider string) bool { return provider == "google-oauth2" }
	onlyDB := func(connection, _ string) bool { return connection == "db" }
	current := []mapping.CurrentAddress{
		{Value: "+49 151 99990001", Via: "sms"}, {Value: "kim@example.org", Via: "email"}, {Value: "kim@example.org", Via: "sms"}, {Value: "old@example.org", Via: "email", Verified: true},
	}
	for name, c := range map[string]struct {
		claims   string
		mapped   []mapping.Address
		current  []mapping.CurrentAddress
		trust    func(connection, provider string) bool
		marked   string
		unmarked int
	}{
		"both":                       {claims: both, marked: "0 1"},
		"only the address":           {claims: mail, marked: "1"},
		"only the number":            {claims: tel, marked: "0"},
		"neither":                    {claims: `{"email":"kim@example.org"}`},
		"verified is a text":         {claims: `{"email":"kim@example.org","email_verified":"true"}`},
		"the mapper does not say so": {claims: both, mapped: []mapping.Address{}},
		"the mapper says another":    {claims: both, mapped: []mapping.Address{{Value: "old@example.org", Via: "email"}}},
		"the mapper errs in the way": {claims: both, mapped: []mapping.Address{{Value: "kim@example.org", Via: "sms"}}},
		"not trusted":                {claims: both, trust: onlyGoogle},
		"trusted by connection":      {claims: both, trust: onlyDB, marked: "0 1"},
		"verified already":           {claims: both, current: []mapping.CurrentAddress{{Value: "kim@example.org", Via: "email", Verified: true}}},
		"not there":                  {claims: both, current: []mapping.CurrentAddress{{Value: "old@example.org", Via: "email"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile(t, c.claims)
			p.Connection = "db"
			if c.mapped == nil {
				c.mapped = mailAndTel
			}
			if c.current == nil {
				c.current = current
			}
			result, err := mapping.Merge(person(t), mapping.Current{Addresses: c.current}, p, mapping.Identity{VerifiedAddresses: c.mapped}, mapping.Rules{TrustVerified: c.trust}, provenance.Content{})
			if err != nil {
				t.Fatal(err)
			}
			var want []jsonpatch.Op
			// In the order of the mapper's list: e-mail, then number.
			for _, n := range strings.Fields(strings.ReplaceAll(c.marked, "0 1", "1 0")) {
				want = append(want, jsonpatch.Op{Op: "replace", Path: "/verifiable_addresses/" + n + "/verified", Value: true},
					jsonpatch.Op{Op: "replace", Path: "/verifiable_addresses/" + n + "/status", Value: "completed"})
			}
			if words(t, result.Ops) != words(t, want) {
				t.Errorf("writes %s, not %s", words(t, result.Ops), words(t, want))
			}
		})
	}
}

// TestMergeUnmarked: an address that is filled can be marked once Kratos has made it.
func TestMergeUnmarked(t *testing.T) {
	p := profile(t, mail)
	mapped := mapping.Identity{Traits: map[string]any{"email": "Kim@example.org"}, VerifiedAddresses: []mapping.Address{{Value: "kim@example.org", Via: "email"}}}
	result, err := mapping.Merge(person(t), mapping.Current{Traits: map[string]any{}}, p, mapped, mapping.Rules{}, provenance.Content{})
	if err != nil || len(result.Ops) != 1 || len(result.Unmarked) != 1 {
		t.Fatalf("found %+v, %v", result, err)
	}
	after := mapping.Current{Traits: mapped.Traits, Addresses: []mapping.CurrentAddress{{Value: "kim@example.org", Via: "email"}}}
	result, err = mapping.Merge(person(t), after, p, mapped, mapping.Rules{}, provenance.Content{})
	if err != nil || len(result.Ops) != 2 || len(result.Unmarked) != 0 {
		t.Errorf("found %+v, %v", result, err)
	}
}

// TestTrustIsOfTheSource: an address that a linked social account verified is not
// believed because the password is a database's.
func TestTrustIsOfTheSource(t *testing.T) {
	p, err := mapping.FromUser([]byte(`{"user_id":"google-oauth2|1","email":"kim@example.org","email_verified":true,
		"identities":[{"provider":"google-oauth2","user_id":"1","connection":"google"},{"provider":"auth0","user_id":"2","connection":"db"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := (mapping.Rules{}).Verified(p); len(got) != 0 {
		t.Errorf("believes %v", got)
	}
	byName := mapping.Rules{TrustVerified: func(connection, _ string) bool { return connection == "google" }}
	if got := byName.Verified(p); len(got) != 1 {
		t.Errorf("believes %v", got)
	}
}

func TestMergeRefuses(t *testing.T) {
	p := profile(t, `{}`)
	for name, c := range map[string]struct {
		schema  *mapping.Schema
		current mapping.Current
		invalid bool
	}{
		"auth0 is a text":      {schema: person(t), current: mapping.Current{MetadataAdmin: map[string]any{"auth0": "kim"}}},
		"traits are not valid": {schema: person(t), current: mapping.Current{Traits: map[string]any{"email": "kim"}}, invalid: true},
	} {
		t.Run(name, func(t *testing.T) {
			mapped := mapping.Identity{Traits: map[string]any{"locale": "da"}}
			result, err := mapping.Merge(c.schema, c.current, p, mapped, mapping.Rules{}, provenance.Content{})
			if err == nil || strings.Contains(err.Error(), "kim") {
				t.Fatalf("found %+v, %v", result, err)
			}
			var invalid *mapping.InvalidError
			if errors.As(err, &invalid) != c.invalid {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestMergeWithoutSchema: no trait is written, metadata and verified addresses are.
func TestMergeWithoutSchema(t *testing.T) {
	current := mapping.Current{
		Traits:    map[string]any{"email": "kim@example.org"},
		Addresses: []mapping.CurrentAddress{{Value: "kim@example.org", Via: "email"}},
	}
	p := profile(t, `{"email":"kim@example.org","email_verified":true,"locale":"da"}`)
	mapped := mapping.Identity{
		Traits: map[string]any{"locale": "da"}, MetadataPublic: map[string]any{"plan": "gold"},
		VerifiedAddresses: []mapping.Address{{Value: "kim@example.org", Via: "email"}},
	}
	result, err := mapping.Merge(nil, current, p, mapped, mapping.Rules{}, provenance.Content{MigratedAt: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	const want = `add /metadata_public {"plan":"gold"} add /metadata_admin {"auth0":{"migrated_at":"1970-01-01T00:00:00Z"}} ` +
		`replace /verifiable_addresses/0/verified true replace /verifiable_addresses/0/status "completed"`
	if got := words(t, result.Ops); got != want {
		t.Errorf("writes %s", got)
	}
}

// TestMergeRepairs: what a stricter schema misses is filled, what it refuses is not.
func TestMergeRepairs(t *testing.T) {
	schema, err := mapping.ParseSchema([]byte(`{"properties":{"traits":{"required":["locale"],"dependentRequired":{"a":["b"]},"dependencies":{"a":["b"],"b":["a"]},"properties":{"nickname":{"minLength":9}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	mapped := mapping.Identity{Traits: map[string]any{"a": "1", "b": "2", "locale": "da", "nickname": "kim"}}
	result, err := mapping.Merge(schema, mapping.Current{Traits: map[string]any{}}, profile(t, `{}`), mapped, mapping.Rules{}, provenance.Content{})
	if err != nil {
		t.Fatal(err)
	}
	if got := words(t, result.Ops); got != `add /traits/a "1" add /traits/b "2" add /traits/locale "da"` || strings.Join(result.Dropped, " ") != "nickname" {
		t.Errorf("writes %s, drops %v", got, result.Dropped)
	}
}

func TestRecord(t *testing.T) {
	note := provenance.Import{Run: "r", At: time.Unix(0, 0), As: "created_pending"}
	golden(t, "record.golden.json", mapping.Record(kim(t), mapping.Identity{MetadataAdmin: map[string]any{"crm": 1.0}}, provenance.Content{Import: &note}))
}

func BenchmarkMerge(b *testing.B) {
	schema, p := person(b), kim(b)
	mapped, err := mapping.Default(schema).Map(p)
	if err != nil {
		b.Fatal(err)
	}
	current := mapping.Current{Traits: map[string]any{"email": "kim@example.org"}, Addresses: []mapping.CurrentAddress{{Value: "kim@example.org", Via: "email"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mapping.Merge(schema, current, p, mapped, mapping.Rules{}, provenance.Content{}); err != nil {
			b.Fatal(err)
		}
	}
}
