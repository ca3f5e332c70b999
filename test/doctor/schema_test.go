package doctor

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/doctor"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/test/kratostest"
)

// withTrait returns an identity schema in which trait is the schema of the trait x.
func withTrait(trait string) string {
	return `{"$id":"https://example.org/x","$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"traits":{"type":"object","properties":{` +
		`"name":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},"x":{"type":"string",` + trait + `}}}}}`
}

// TestSchemasThatKratosRefuses: Kratos starts with each of these schemas. Whether it
// then accepts an identity is what ferry predicted.
func TestSchemasThatKratosRefuses(t *testing.T) {
	traits := []struct {
		trait  string
		values []string
	}{
		{`"format":"email","ory.sh/kratos":{"credentials":{"code":{"identifier":true}}}`, []string{"kim@example.org"}},
		{`"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}}}`, []string{"+4915112345678", "kim@example.org", "12345"}},
		{`"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"email"}}}`, []string{"kim@example.org", "kim"}},
		{`"ory.sh/kratos":{"verification":{"via":"sms"}}`, []string{"+4915112345678"}},
		{`"format":"tel","ory.sh/kratos":{"verification":{"via":"sms"}}`, []string{"+4915112345678"}},
		{`"format":"no-validate","ory.sh/kratos":{"verification":{"via":"sms"}}`, []string{"kim"}},
		{`"ory.sh/kratos":{"verification":{"via":"email"}}`, []string{"kim@example.org", "kim"}},
		{`"ory.sh/kratos":{"recovery":{"via":"email"}}`, []string{"kim@example.org", "kim"}},
	}
	k := kratostest.Run(t, kratostest.Options{Edit: func(config map[string]any) {
		identity, _ := config["identity"].(map[string]any)
		list, _ := identity["schemas"].([]any)
		for i, c := range traits {
			list = append(list, map[string]any{"id": fmt.Sprint("schema-", i), "url": "base64://" + base64.StdEncoding.EncodeToString([]byte(withTrait(c.trait)))})
		}
		identity["schemas"] = list
	}})
	var refused []string
	for i, c := range traits {
		schema, err := mapping.ParseSchema([]byte(withTrait(c.trait)))
		if err != nil {
			t.Fatal(err)
		}
		if len(schema.Refused()) > 0 {
			refused = append(refused, fmt.Sprint("schema-", i))
		}
		for j, value := range c.values {
			traits := map[string]any{"name": fmt.Sprintf("kim-%d-%d", i, j), "x": value}
			_, fault := k.CreateIdentity(t.Context(), kratostest.IdentitySpec{SchemaID: fmt.Sprint("schema-", i), Traits: traits})
			if said := schema.Validate(traits); (said == nil) != (fault == nil) {
				t.Errorf("%s with %s: ferry says %v, Kratos %v", c.trait, value, said, fault)
			}
		}
	}
	if len(refused) != 2 {
		t.Errorf("refused: %v", refused)
	}
	admin, err := kratos.New(kratos.Options{AdminURL: k.AdminURL(), Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	check := find(t, doctor.Examine(t.Context(), doctor.Options{Kratos: admin, Mapper: mapping.Default, Now: time.Now, ID: uuid.NewString}), "kratos.schema")
	for _, id := range refused {
		if check.Status != doctor.Fail || !strings.Contains(check.Detail, id+": traits.x can have no value in Kratos") {
			t.Errorf("%+v", check)
		}
	}
}
