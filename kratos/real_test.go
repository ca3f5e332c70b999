package kratos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ferry/kratos"
	"ferry/secret"
	"ferry/test/kratostest"
)

// dialReal returns a client of a real Kratos. If alter is not nil, it changes the
// requests.
func dialReal(t *testing.T, k *kratostest.Kratos, alter func(*http.Request)) *kratos.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return client(t, k.AdminURL(), roundTrip(func(r *http.Request) (*http.Response, error) {
		if alter != nil {
			alter(r)
		}
		return transport.RoundTrip(r)
	}))
}

// create creates an identity and fails the test if Kratos refuses it.
func create(t *testing.T, c *kratos.Client, n kratos.CreateIdentity) string {
	t.Helper()
	body, err := n.Body()
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.CreateBatch(t.Context(), [][]byte{body})
	if err != nil || got[0].ID == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	return got[0].ID
}

// TestRealKratos checks with a real Kratos what the other tests check with recordings.
// The identities of each part remain for the later parts.
func TestRealKratos(t *testing.T) {
	k := kratostest.Run(t, kratostest.Options{})
	c := dialReal(t, k, nil)
	version, err := c.Version(t.Context())
	if want, wantErr := k.Version(t.Context()); err != nil || wantErr != nil || version != want {
		t.Fatalf("%q, %v; want %q, %v", version, err, want, wantErr)
	}
	r := realKratos{k, c, version}
	t.Run("create", r.create)
	t.Run("look up", r.lookUp)
	t.Run("refuse", r.refuse)
	t.Run("conflict", r.conflict)
	t.Run("owners", r.owners)
	t.Run("walk", r.walk)
	t.Run("expired token", r.expired)
	t.Run("replace", r.replace)
	t.Run("fields", r.fields)
}

type realKratos struct {
	kratos  *kratostest.Kratos
	client  *kratos.Client
	version string
}

// lookUp: on every Kratos, the list has all the data of an identity that a login
// needs.
func (r realKratos) lookUp(t *testing.T) {
	for _, pending := range []bool{true, false} {
		email := fmt.Sprintf("look-up-%v@example.org", pending)
		n := kratos.CreateIdentity{
			SchemaID: "person", Traits: map[string]any{"email": strings.ToUpper(email)}, Pending: pending, Inactive: !pending,
			MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|look-up", "connection": "users"}},
		}
		if !pending {
			n.PasswordHash = secret.New("$2a$04$Ro0CUfOqk6cXEKf3dyaM7OhSCvnwM9s4wIX9JeLapehKK5YdLxKcm")
		}
		id := create(t, r.client, n)
		listed, err := r.client.Find(t.Context(), email)
		if err != nil || listed.ID != id || listed.Pending != pending || listed.Active != pending || !listed.Binding.Has("auth0|look-up") {
			t.Errorf("pending %v: the list shows %+v, %v", pending, listed, err)
		}
		single, err := r.client.Get(t.Context(), id, email)
		if err != nil || !reflect.DeepEqual(single, listed) {
			t.Errorf("pending %v: the identity is %+v, the list shows %+v, %v", pending, single, listed, err)
		}
	}
}

// create reads created identities back.
func (r realKratos) create(t *testing.T) {
	c := r.client
	const hash = "$2a$04$Ro0CUfOqk6cXEKf3dyaM7OhSCvnwM9s4wIX9JeLapehKK5YdLxKcm"
	got, err := c.Read(t.Context(), create(t, c, kratos.CreateIdentity{
		SchemaID: "person", Traits: map[string]any{"email": "Kim@Example.org", "username": "Kim", "phone": "+4915112345678"}, Pending: true,
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|kim"}}, MetadataPublic: map[string]any{"a": "<&>"},
		Verified: []kratos.Address{{Value: "Kim@Example.org", Via: "email"}},
	}))
	identifiers := slices.Sorted(slices.Values(got.Identifiers))
	if err != nil || !got.Pending || got.HasPassword || !got.Active || !got.Binding.Has("auth0|kim") || got.SchemaID != "person" ||
		!slices.Equal(identifiers, []string{"+4915112345678", "kim", "kim@example.org"}) || got.Social != nil ||
		got.Traits["email"] != "Kim@Example.org" || got.MetadataPublic["a"] != "<&>" || got.CreatedAt.IsZero() || got.UpdatedAt.IsZero() {
		t.Errorf("pending: %+v, %v", got, err)
	}
	for _, address := range got.Addresses {
		if address.Verified != (address.Via == "email") {
			t.Errorf("%+v", address)
		}
	}
	got, err = c.Read(t.Context(), create(t, c, kratos.CreateIdentity{Traits: map[string]any{"email": "lee@example.org"}, PasswordHash: secret.New(hash), Inactive: true}))
	if err != nil || got.Pending || !got.HasPassword || got.Active || got.State != "inactive" || got.SchemaID != "person" {
		t.Errorf("hash: %+v, %v", got, err)
	}
	got, err = c.Read(t.Context(), create(t, c, kratos.CreateIdentity{
		Traits: map[string]any{"name": "Ann"}, Social: []kratos.Social{{Provider: "google", Subject: "A:1"}, {Provider: "github", Subject: "2"}},
	}))
	if err != nil || got.Pending || got.HasPassword || len(got.Identifiers) != 0 || !slices.Equal(got.Social, []string{"github:2", "google:A:1"}) {
		t.Errorf("social only: %+v, %v", got, err)
	}
	got, err = c.Read(t.Context(), create(t, c, kratos.CreateIdentity{
		Traits: map[string]any{"email": "both@example.org"}, Social: []kratos.Social{{Provider: "google", Subject: "B"}},
	}))
	if err != nil || got.Pending || got.HasPassword || !slices.Equal(got.Identifiers, []string{"both@example.org"}) || !slices.Equal(got.Social, []string{"google:B"}) {
		t.Errorf("social, with an e-mail address: %+v, %v", got, err)
	}
}

// refuse: the refusals that a run tells apart by the answer of Kratos.
func (r realKratos) refuse(t *testing.T) {
	c := r.client
	body, err := kratos.CreateIdentity{Traits: map[string]any{"email": "ext@example.org"}, ExternalID: "auth0|ext"}.Body()
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.CreateBatch(t.Context(), [][]byte{body})
	if fault := faultOf(t, err); fault != nil { // 1.3.1
		if fault.Said != `json: unknown field "external_id"` || !fault.Final() {
			t.Errorf("external id: %+v", fault)
		}
		got, err = c.CreateBatch(t.Context(), [][]byte{kratos.Without(body, kratos.FieldExternalID)})
	} else if record, err := c.Read(t.Context(), got[0].ID); err != nil || record.ExternalID != "auth0|ext" || !record.Binding.Has("auth0|ext") {
		t.Errorf("external id: %+v, %v", record, err)
	}
	if err != nil || got[0].ID == "" {
		t.Errorf("external id: %+v, %v", got, err)
	}

	bad, err := kratos.CreateIdentity{Traits: map[string]any{"email": "bad@example.org"}, PasswordHash: secret.New("no such hash")}.Body()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateBatch(t.Context(), append(bodies(t, 2), bad))
	if fault := faultOf(t, err); fault == nil || fault.Status != http.StatusBadRequest || !strings.Contains(fault.Said, "hash format") {
		t.Errorf("hash: %+v", fault)
	}

	bad, err = kratos.CreateIdentity{Traits: map[string]any{"email": "not-an-address"}}.Body()
	if err != nil {
		t.Fatal(err)
	}
	got, err = c.CreateBatch(t.Context(), [][]byte{bad, []byte(`{"schema_id":"nobody","traits":{}}`)})
	if err != nil || got[0].Status != http.StatusBadRequest || got[1].Status != http.StatusBadRequest || got[0].Reason == "" || got[0].ID+got[1].ID != "" {
		t.Errorf("traits: %+v, %v", got, err)
	}
}

// conflict: an identity reported as created beside a conflict may not exist.
func (r realKratos) conflict(t *testing.T) {
	c := r.client
	taken, err := kratos.CreateIdentity{Traits: map[string]any{"email": " KIM@example.org"}, Pending: true}.Body()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.CreateBatch(t.Context(), [][]byte{taken}); err != nil || got[0].Status != http.StatusConflict || got[0].Reason == "" {
		t.Errorf("alone: %+v, %v", got, err)
	}
	sent := append(bodies(t, 2), taken)
	got, err := c.CreateBatch(t.Context(), sent)
	if err != nil || got[0].ID == "" || got[1].ID == "" || got[2].Status != http.StatusConflict {
		t.Fatalf("with others: %+v, %v", got, err)
	}
	there, err := c.Exist(t.Context(), []string{got[0].ID, got[1].ID, id})
	if err != nil || there[id] || there[got[0].ID] != there[got[1].ID] {
		t.Fatalf("%v, %v", there, err)
	}
	created := there[got[0].ID]
	if phantoms := strings.HasPrefix(r.version, "v1.3."); created == phantoms {
		t.Errorf("%s: created %t", r.version, created)
	}
	again, err := c.CreateBatch(t.Context(), sent[:2])
	if err != nil || (again[0].ID == "") != created {
		t.Errorf("once more: %+v, %v", again, err)
	}
}

// owners: identities are found by every kind of identifier.
func (r realKratos) owners(t *testing.T) {
	c := r.client
	odd, err := r.kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		SchemaID: "person", Traits: map[string]any{"email": "odd@example.org"}, MetadataAdmin: []any{"a", "list"}, MetadataPublic: "a text",
	})
	if err != nil {
		t.Fatal(err)
	}
	for identifier, want := range map[string]string{
		" Kim@EXAMPLE.org": "kim kim@example.org +4915112345678", "+4915112345678": "kim kim@example.org +4915112345678", "lee@example.org": "lee@example.org",
		"both@example.org": "both@example.org google:B", "google:B": "both@example.org google:B", "google:A:1": "github:2 google:A:1",
		"google:b": "", "nobody@example.org": "", "": "",
	} {
		got, err := c.Owners(t.Context(), identifier)
		words := []string{}
		for _, owner := range got {
			words = append(append(words, owner.Identifiers...), owner.Social...)
		}
		wanted := strings.Fields(want)
		slices.Sort(words)
		slices.Sort(wanted)
		if err != nil || !slices.Equal(words, wanted) || len(got) != min(1, len(wanted)) {
			t.Errorf("%q: %+v, %v", identifier, got, err)
		}
	}
	got, err := c.Owners(t.Context(), "odd@example.org")
	if err != nil || len(got) != 1 || got[0].ID != odd || !got[0].Foreign || got[0].HasPassword {
		t.Errorf("%+v, %v", got, err)
	}
}

// walk: all identities are read, over more than one page.
func (r realKratos) walk(t *testing.T) {
	const many = 510
	var sent [][]byte
	for i := range many {
		body, err := kratos.CreateIdentity{Traits: map[string]any{"username": fmt.Sprint("walker-", i)}, Pending: true}.Body()
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, body)
	}
	c := r.client
	created, err := c.CreateBatch(t.Context(), sent)
	if err != nil || len(created) != many {
		t.Fatalf("%d created, %v", len(created), err)
	}
	var ids []string
	for _, one := range created {
		ids = append(ids, one.ID)
	}
	seen, walkers, foreign, social := map[string]bool{}, 0, 0, 0
	err = c.Walk(t.Context(), func(one kratos.Record) error {
		if seen[one.ID] {
			t.Errorf("%s came twice", one.ID)
		}
		seen[one.ID] = true
		if one.Pending && strings.HasPrefix(one.Identifiers[0], "walker-") {
			walkers++
		}
		if one.Foreign {
			foreign++
		}
		social += len(one.Social)
		return nil
	})
	if err != nil || walkers != many || foreign != 1 || social != 3 || len(seen) < many+6 {
		t.Errorf("%d walkers, %d foreign, %d social logins of %d, %v", walkers, foreign, social, len(seen), err)
	}
	there, err := c.Exist(t.Context(), ids)
	if err != nil || len(there) != many {
		t.Errorf("%d of them are there, %v", len(there), err)
	}
}

// expired: the answer to an unknown page token.
func (r realKratos) expired(t *testing.T) {
	expired := dialReal(t, r.kratos, func(r *http.Request) {
		if query := r.URL.Query(); query.Has("page_token") {
			query.Set("page_token", "expired")
			r.URL.RawQuery = query.Encode()
		}
	})
	if _, err := walk(t, expired); faultOf(t, err) == nil || faultOf(t, err).Reason != "page_token_refused" {
		t.Errorf("%v", err)
	}
}

// replace: a password is set and removed, and nothing else in the identity changes.
func (r realKratos) replace(t *testing.T) {
	c := r.client
	id := create(t, c, kratos.CreateIdentity{
		SchemaID: "person", Traits: map[string]any{"email": "Replace@Example.org", "phone": "+4915112345699"}, Pending: true, Inactive: true,
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|replace"}}, MetadataPublic: map[string]any{"n": json.Number("12345678901234567890")},
		Verified: []kratos.Address{{Value: "Replace@Example.org", Via: "email"}}, Social: []kratos.Social{{Provider: "google", Subject: "R"}},
	})
	before, err := c.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []kratos.Replacement{
		{PasswordHash: secret.New("$2a$12$" + strings.Repeat("A", 53)), MetadataAdmin: map[string]any{"a": "b"}},
		{Pending: true, MetadataAdmin: before.MetadataAdmin},
	} {
		got, err := c.Replace(t.Context(), before, to)
		if err != nil || got.Pending != to.Pending || got.HasPassword == to.Pending || !reflect.DeepEqual(got.MetadataAdmin, to.MetadataAdmin) {
			t.Errorf("%+v, %v", got, err)
		}
		slices.SortFunc(got.Addresses, func(a, b kratos.Address) int { return strings.Compare(a.Via, b.Via) })
		slices.SortFunc(before.Addresses, func(a, b kratos.Address) int { return strings.Compare(a.Via, b.Via) })
		slices.Sort(got.Identifiers)
		slices.Sort(before.Identifiers)
		got.Pending, got.HasPassword, got.PasswordDigest, got.MetadataAdmin = before.Pending, before.HasPassword, before.PasswordDigest, before.MetadataAdmin
		got.UpdatedAt, got.Binding = before.UpdatedAt, before.Binding
		if !reflect.DeepEqual(got, before) {
			t.Errorf("the identity was %+v\nand became    %+v", before, got)
		}
	}
	if _, err := c.Replace(t.Context(), before, kratos.Replacement{}); err == nil {
		t.Error("want an error for no change of credentials")
	}
	got, err := c.Replace(t.Context(), before, kratos.Replacement{Social: []kratos.Social{{Provider: "github", Subject: "77"}}, MetadataAdmin: before.MetadataAdmin})
	if err != nil || !slices.Equal(got.Social, []string{"github:77", "google:R"}) || !got.Pending {
		t.Errorf("a login at another provider: %+v, %v", got, err)
	}
}

// fields: Lacks says of each field what the creation of an identity with it shows, and
// creates nothing.
func (r realKratos) fields(t *testing.T) {
	const org = "11111111-1111-4111-8111-111111111111"
	before := r.count(t)
	all := []kratos.Field{kratos.FieldExternalID, kratos.FieldOrganization, kratos.FieldProviderOrganization, kratos.FieldSAML, kratos.FieldTOTP, kratos.FieldWebAuthn, kratos.FieldPasskey, kratos.FieldLookup}
	lacks, err := r.client.Lacks(t.Context(), all...)
	if after := r.count(t); err != nil || after != before {
		t.Fatalf("%q, %v; %d identities became %d", lacks, err, before, after)
	}
	for field, n := range map[kratos.Field]kratos.CreateIdentity{
		kratos.FieldExternalID:           {ExternalID: "auth0|fields"},
		kratos.FieldOrganization:         {Organization: org},
		kratos.FieldProviderOrganization: {Social: []kratos.Social{{Provider: "fields", Subject: "1", Organization: org}}},
		kratos.FieldSAML:                 {Social: []kratos.Social{{Provider: "fields", Subject: "kim@example.org", Organization: org, SAML: true}}},
		kratos.FieldTOTP:                 {TOTP: kratos.TOTP{Secret: secret.New("JBSWY3DPEHPK3PXP"), Issuer: "Auth0", Account: "kim"}},
		kratos.FieldWebAuthn:             {WebAuthn: kratos.Keys{Keys: []kratos.Key{{ID: []byte("1"), PublicKey: []byte("2")}}}},
		kratos.FieldLookup:               {RecoveryCodes: []secret.String{secret.New("K6LGLV3RSH3VERMKET8L7QKU")}},
		kratos.FieldPasskey:              {Passkey: kratos.Keys{UserHandle: []byte("0"), Keys: []kratos.Key{{ID: []byte("3"), PublicKey: []byte("4")}}}},
	} {
		body, err := n.Body()
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.client.CreateBatch(t.Context(), [][]byte{body})
		unknown, isUnknown := kratos.UnknownField(err)
		if isUnknown != slices.Contains(lacks, field) || isUnknown && unknown != field || !isUnknown && (err != nil || got[0].ID == "") {
			t.Errorf("%s: %+v, %v; Lacks said %q", field, got, err, lacks)
		}
	}
	if !slices.Contains(lacks, kratos.FieldSAML) {
		owners, err := r.client.Owners(t.Context(), "fields:kim@example.org")
		if err != nil || len(owners) != 1 || !slices.Equal(owners[0].SAML, []string{"fields:kim@example.org"}) || len(owners[0].Social) > 0 {
			t.Errorf("saml: %+v, %v", owners, err)
		}
	}
	if _, err := r.client.Lacks(t.Context(), "kim"); err == nil {
		t.Error("a field that no request has is no error")
	}
}

// count returns the number of identities.
func (r realKratos) count(t *testing.T) (n int) {
	t.Helper()
	if err := r.client.Walk(t.Context(), func(kratos.Record) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}
