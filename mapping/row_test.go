package mapping_test

import (
	"testing"

	"ferry/mapping"
	"ferry/provenance"
)

// row is a line of an export as most are: a database user with a few metadata.
const row = `{"user_id":"auth0|64f0c2a19b7e5d0012ab34cd","email":"kim.sorensen@example.org","email_verified":true,` +
	`"username":"kim-sorensen","name":"Kim Sørensen","nickname":"kim.sorensen","given_name":"Kim","family_name":"Sørensen",` +
	`"picture":"https://s.gravatar.com/avatar/0cb3a1f2d4e5968778695a4b3c2d1e0f?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fki.png",` +
	`"identities":[{"connection":"Username-Password-Authentication","provider":"auth0","user_id":"64f0c2a19b7e5d0012ab34cd","isSocial":false}],` +
	`"created_at":"2023-01-25T19:00:26.539Z","updated_at":"2024-02-01T08:30:00.000Z","last_login":"2024-02-01T08:30:00.000Z",` +
	`"last_ip":"203.0.113.17","last_password_reset":"2023-06-11T10:12:44.120Z","locale":"da-DK","logins_count":17,"app_metadata":{"plan":"pro","roles":["admin","editor"],"account":90071992547409931},` +
	`"user_metadata":{"colour":"green","newsletter":true,"address":{"city":"Aarhus","country":"DK"}}}`

// BenchmarkRow is what a dry run does with a line, but for reading and writing it.
func BenchmarkRow(b *testing.B) { benchmarkRow(b, mapping.Default(person(b))) }

// BenchmarkRowJsonnet is the same with a program.
func BenchmarkRowJsonnet(b *testing.B) {
	benchmarkRow(b, jsonnetMapper(b, string(testdata(b, "row.jsonnet"))))
}

func benchmarkRow(b *testing.B, m mapping.Mapper) {
	b.Helper()
	schema := person(b)
	note := provenance.Content{Import: &provenance.Import{As: "created_pending"}}
	text := []byte(row)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		p, err := mapping.FromUser(text)
		if err != nil {
			b.Fatal(err)
		}
		identity, err := m.Map(p)
		if err != nil {
			b.Fatal(err)
		}
		if err := schema.Validate(identity.Traits); err != nil {
			b.Fatal(err)
		}
		if len((mapping.Rules{}).Trusted(p, identity)) != 1 {
			b.Fatal("the address is not trusted as verified")
		}
		mapping.Record(p, identity, note)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkHandles(b *testing.B) {
	schema := person(b)
	identity, err := mapping.Default(schema).Map(kim(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(schema.Handles(identity.Traits)) != 3 {
			b.Fatal("not all handles are found")
		}
	}
}
