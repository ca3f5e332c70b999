package gen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// password is one of the pool.
type password struct{ text, hash string }

// hashLine is a line of Auth0's password-hash export.
type hashLine map[string]any

// hashForms is how many ways there are to write the same line.
const hashForms = 6

// hashLine writes a user's hash, cycling through the forms. A zero time writes no date.
func (m *maker) hashLine(p *person, hash string, set time.Time) hashLine {
	id, form := p.databaseID(), m.turn("hash form")%hashForms
	connection, _ := p.loginConnection()
	line := hashLine{
		"_id": map[string]any{"$oid": id}, "email": p.email, "email_verified": p.verified, "passwordHash": hash,
		"tenant": "sim", "connection": connection, "_tmp_is_unique": true,
		"identifiers": []any{map[string]any{"type": "email", "value": p.email, "verified": p.verified}},
	}
	if !set.IsZero() {
		line["password_set_date"] = map[string]any{"$date": m.mongoDate(set)}
	}
	if form == 0 || len(id) != objectIDLength {
		line["_id"], line["alt_id"] = map[string]any{"$oid": m.objectID(p.created)}, id
	}
	switch form {
	case 1:
		line["_ID"] = line["_id"]
		delete(line, "_id")
	case 2:
		delete(line, "email")
		delete(line, "email_verified")
	case 3:
		for _, name := range []string{"email", "email_verified", "identifiers"} {
			delete(line, name)
		}
	case 4: // the address was changed since: it is never a key
		line["email"] = fmt.Sprintf("former.%d@example.test", m.count)
	}
	if p.email == "" {
		delete(line, "email")
		line["identifiers"] = []any{map[string]any{"type": "username", "value": p.username, "verified": false}}
	}
	return line
}

// mongoDate is the value of $date: a text, and now and then milliseconds.
func (m *maker) mongoDate(t time.Time) any {
	if m.turn("date form")%5 == 4 {
		return map[string]any{"$numberLong": strconv.FormatInt(t.UnixMilli(), 10)}
	}
	return stamp(t)
}

// strayHash is the hash of a user who is not in the file, with p's address.
func (m *maker) strayHash(p *person) hashLine {
	stray := *p
	stray.id = m.objectID(p.created)
	return m.hashLine(&stray, m.otherPassword(p.password).hash, p.created)
}

// unusable makes something of a hash that Kratos cannot take.
func (m *maker) unusable(hash string) string {
	switch m.turn("unusable") % 6 {
	case 0:
		return "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/" // md5-crypt
	case 1:
		return hash[:len(hash)-9]
	case 2:
		return strings.Replace(hash, "$2b$", "$2x$", 1)
	case 3:
		return hash[:4] + "03" + hash[6:]
	case 4:
		return hash + "."
	}
	return "0c88028bf3aa6a6a143ed846f2be1ea4" // a bare digest
}
