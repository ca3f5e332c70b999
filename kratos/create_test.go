package kratos_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"ferry/kratos"
	"ferry/secret"
)

func TestBody(t *testing.T) {
	for name, c := range map[string]struct {
		identity kratos.CreateIdentity
		want     string
	}{
		"nothing": {kratos.CreateIdentity{}, `{"traits":{}}`},
		"pending": {
			kratos.CreateIdentity{SchemaID: "person", Traits: map[string]any{"email": "Kim@example.org"}, Pending: true},
			`{"credentials":{"password":{"config":{"use_password_migration_hook":true}}},"schema_id":"person","traits":{"email":"Kim@example.org"}}`,
		},
		"hash": {
			kratos.CreateIdentity{PasswordHash: secret.New("$2b$10$abc")},
			`{"credentials":{"password":{"config":{"hashed_password":"$2b$10$abc"}}},"traits":{}}`,
		},
		"factors": {
			kratos.CreateIdentity{
				TOTP:     kratos.TOTP{Secret: secret.New("JBSWY3DPEHPK3PXP"), Issuer: "Auth0", Account: "kim@example.org"},
				WebAuthn: kratos.Keys{Keys: []kratos.Key{{ID: []byte("id"), PublicKey: []byte("pk"), Name: "YubiKey", Transports: []string{"usb"}, AddedAt: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}}},
				Passkey: kratos.Keys{UserHandle: []byte("kim"), Keys: []kratos.Key{{
					ID: []byte("1"), PublicKey: []byte("2"), AAGUID: uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), Flags: &kratos.KeyFlags{BackupEligible: true},
				}}},
				RecoveryCodes: []secret.String{secret.New("K6LGLV3RSH3VERMKET8L7QKU"), secret.New("2")},
			},
			`{"credentials":{"lookup_secret":{"config":{"codes":[{"code":"K6LGLV3RSH3VERMKET8L7QKU"},{"code":"2"}]}},"passkey":{"config":{"credentials":[{"id":"MQ==","public_key":"Mg==","attestation_type":"none","authenticator":{"aaguid":"+/wwBxVOTsyMC24CBVfXvQ==","sign_count":0,"clone_warning":false},"display_name":"","is_passwordless":true,"flags":{"user_present":true,"user_verified":true,"backup_eligible":true,"backup_state":false}}],"user_handle":"a2lt"}},` +
				`"totp":{"config":{"totp_url":"otpauth://totp/Auth0:kim@example.org?issuer=Auth0&secret=JBSWY3DPEHPK3PXP"}},` +
				`"webauthn":{"config":{"credentials":[{"id":"aWQ=","public_key":"cGs=","attestation_type":"none","authenticator":{"aaguid":"AAAAAAAAAAAAAAAAAAAAAA==","sign_count":0,"clone_warning":false},"display_name":"YubiKey","added_at":"2024-05-06T07:08:09Z","is_passwordless":false,"transport":["usb"]}]}}},"traits":{}}`,
		},
		"social only": {
			kratos.CreateIdentity{Social: []kratos.Social{{Provider: "google", Subject: "A:1"}, {Provider: "gh", Subject: "2"}}},
			`{"credentials":{"oidc":{"config":{"providers":[{"provider":"google","subject":"A:1"},{"provider":"gh","subject":"2"}]}}},"traits":{}}`,
		},
		"social and pending": {
			kratos.CreateIdentity{Social: []kratos.Social{{Provider: "google", Subject: "1"}}, Pending: true},
			`{"credentials":{"oidc":{"config":{"providers":[{"provider":"google","subject":"1"}]}},"password":{"config":{"use_password_migration_hook":true}}},"traits":{}}`,
		},
		"the rest, sorted": {
			kratos.CreateIdentity{
				Traits: map[string]any{"z": json.Number("12345678901234567890"), "a": "<&>"}, MetadataPublic: map[string]any{},
				MetadataAdmin: map[string]any{"b": nil, "a": []any{1.5, true}}, Inactive: true, ExternalID: "auth0|1",
				Verified: []kratos.Address{{Value: "Kim@example.org", Via: "email"}, {Value: "+4915112345678", Via: "sms", Verified: true}},
			},
			`{"external_id":"auth0|1","metadata_admin":{"a":[1.5,true],"b":null},"metadata_public":{},"state":"inactive","traits":{"a":"<&>","z":12345678901234567890},` +
				`"verifiable_addresses":[{"status":"completed","value":"Kim@example.org","verified":true,"via":"email"},{"status":"completed","value":"+4915112345678","verified":true,"via":"sms"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.identity.Body()
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestBodyRefuses(t *testing.T) {
	for name, n := range map[string]kratos.CreateIdentity{
		"pending with a hash":      {Pending: true, PasswordHash: secret.New("kim-hash")},
		"no provider":              {Social: []kratos.Social{{Subject: "kim"}}},
		"no subject":               {Social: []kratos.Social{{Provider: "kim"}}},
		"passkey of no one":        {Passkey: kratos.Keys{Keys: []kratos.Key{{ID: []byte("kim"), PublicKey: []byte("kim")}}}},
		"key without an id":        {WebAuthn: kratos.Keys{Keys: []kratos.Key{{PublicKey: []byte("kim")}}}},
		"empty address":            {Verified: []kratos.Address{{Via: "email"}}},
		"address of no kind":       {Verified: []kratos.Address{{Value: "kim"}}},
		"what JSON has no way for": {Traits: map[string]any{"kim": math.NaN()}},
		"invalid number":           {Traits: map[string]any{"age": json.Number("kim")}},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := n.Body()
			if err == nil || body != nil || strings.Contains(err.Error(), "kim") {
				t.Errorf("%s, %v", body, err)
			}
		})
	}
}

func TestWithoutKeepsOtherBodies(t *testing.T) {
	all := []kratos.Field{kratos.FieldExternalID, kratos.FieldOrganization, kratos.FieldProviderOrganization, kratos.FieldSAML, "kim"}
	for _, body := range []string{
		``, `[]`, `{"traits":{"external_id":1}}`, `{"external_id"`, `null`, `{"kim":1}`, `{"credentials":1}`,
		`{"credentials":{"saml":{"config":{"providers":[{"organization":"1","provider":"a","subject":"b"}]}}}}`,
		`{"credentials":{"oidc":{"config":{"providers":[{"provider":"a","subject":"b"}]}}}}`,
	} {
		if got := kratos.Without([]byte(body), all...); string(got) != body {
			t.Errorf("%s became %s", body, got)
		}
	}
	if body := `{"external_id":"1"}`; string(kratos.Without([]byte(body))) != body || string(kratos.Without([]byte(body), kratos.FieldOrganization)) != body {
		t.Errorf("%s was changed", body)
	}
}

// Each optional field can be left out, and nothing else goes with it.
func TestWithout(t *testing.T) {
	const org = "11111111-1111-4111-8111-111111111111"
	n := kratos.CreateIdentity{
		Traits: map[string]any{"name": "Kim"}, ExternalID: "auth0|1", Organization: org, PasswordHash: secret.New("$2b$10$a<b>&"),
		Social: []kratos.Social{{Provider: "google", Subject: "1"}, {Provider: "corp", Subject: "2", Organization: org}, {Provider: "saml", Subject: "3", SAML: true, Organization: org}},
	}
	for field, change := range map[kratos.Field]func(*kratos.CreateIdentity){
		kratos.FieldExternalID:           func(n *kratos.CreateIdentity) { n.ExternalID = "" },
		kratos.FieldOrganization:         func(n *kratos.CreateIdentity) { n.Organization = "" },
		kratos.FieldProviderOrganization: func(n *kratos.CreateIdentity) { n.Social = slices.Clone(n.Social); n.Social[1].Organization = "" },
		kratos.FieldSAML:                 func(*kratos.CreateIdentity) {},
	} {
		body, err := n.Body()
		if err != nil {
			t.Fatal(err)
		}
		less := n
		change(&less)
		want, err := less.Body()
		if got := kratos.Without(body, field); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

// FuzzBody: the body has the values of the identity, byte for byte. Without
// turns it into the body of the identity without an external id.
func FuzzBody(f *testing.F) {
	f.Add("person", "Kim <kim@example.org>", "auth0|1", "google", "A:1", "$2b$10$abc", true)
	f.Add("", "\u2028\x00\"\\", "\"external_id\":", "external_id", "external_id", "", false)
	f.Fuzz(func(t *testing.T, schema, value, externalID, provider, subject, hash string, inactive bool) {
		for _, text := range []string{schema, value, externalID, provider, subject, hash} {
			if !utf8.ValidString(text) {
				return // not representable in JSON
			}
		}
		n := kratos.CreateIdentity{
			SchemaID: schema, Traits: map[string]any{"name": value, value: value}, MetadataAdmin: map[string]any{value: []any{value}},
			ExternalID: externalID, Inactive: inactive, Pending: hash == "", PasswordHash: secret.New(hash),
		}
		if provider != "" && subject != "" {
			n.Social = []kratos.Social{{Provider: provider, Subject: subject}}
		}
		body, err := n.Body()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Schema      string         `json:"schema_id"`
			ExternalID  string         `json:"external_id"`
			State       string         `json:"state"`
			Traits      map[string]any `json:"traits"`
			Credentials struct {
				Password struct {
					Config struct {
						Hash string `json:"hashed_password"`
						Hook bool   `json:"use_password_migration_hook"`
					} `json:"config"`
				} `json:"password"`
				OIDC struct {
					Config struct {
						Providers []struct{ Provider, Subject string } `json:"providers"`
					} `json:"config"`
				} `json:"oidc"`
			} `json:"credentials"`
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		password, social := got.Credentials.Password.Config, got.Credentials.OIDC.Config.Providers
		if got.Schema != schema || got.ExternalID != externalID || got.Traits[value] != value || password.Hash != hash || password.Hook != (hash == "") ||
			(got.State == "inactive") != inactive || len(social) != len(n.Social) || len(social) == 1 && (social[0].Provider != provider || social[0].Subject != subject) {
			t.Fatalf("%q became %s", n.Traits, body)
		}
		n.ExternalID = ""
		without, err := n.Body()
		if got := kratos.Without(body, kratos.FieldExternalID); err != nil || !bytes.Equal(got, without) {
			t.Fatalf("%s, want %s", got, without)
		}
	})
}
