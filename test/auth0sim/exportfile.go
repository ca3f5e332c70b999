package auth0sim

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"slices"
)

const (
	exportFormat    = "json"
	maxExportFields = 30
)

// exportOrder is the body of POST /api/v2/jobs/users-exports.
type exportOrder struct {
	ConnectionID string        `json:"connection_id"`
	Format       string        `json:"format"`
	Fields       []exportField `json:"fields"`
}

// exportField is one field of each user in the file.
type exportField struct {
	Name string `json:"name"`
}

func readExportOrder(x *exchange) (exportOrder, error) {
	if err := checkBody(x, []string{"connection_id", "format", "fields"}); err != nil {
		return exportOrder{}, err
	}
	var order exportOrder
	if err := decodeStrict(bytes.NewReader(x.body), &order); err != nil {
		return exportOrder{}, errors.New("wrong type, or additional property")
	}
	return order, order.check()
}

func (o exportOrder) check() error {
	switch {
	case o.ConnectionID != "" && !connectionIDs.MatchString(o.ConnectionID):
		return errors.New("connection_id: expected " + connectionIDs.String())
	case o.Format != exportFormat:
		return errors.New("format: expected json")
	case len(o.Fields) == 0, len(o.Fields) > maxExportFields:
		return errors.New("fields: expected 1 to 30")
	}
	for i, field := range o.Fields {
		switch {
		case !slices.Contains(exportable(), field.Name):
			return errors.New("fields: no such attribute: " + field.Name)
		case slices.Contains(o.Fields[:i], field):
			return errors.New("fields: twice: " + field.Name)
		}
	}
	return nil
}

// exportable are the attributes that can be exported.
func exportable() []string {
	return []string{
		"app_metadata", "blocked", "created_at", "email", "email_verified", "family_name", "given_name", "identities",
		"last_ip", "last_login", "last_password_reset", "logins_count", "multifactor", "multifactor_last_modified", "name",
		"nickname", "phone_number", "phone_verified", "picture", "updated_at", "user_id", "user_metadata", "username",
	}
}

// exportLines returns the file of a job before it is compressed: a JSON object per line.
func (s *Server) exportLines(job *exportJob) []byte {
	users := s.dir.usersWhere(func(acc *account) bool {
		return job.connection == "" || acc.user.livesIn(job.connection)
	})
	lines := []byte{} // not nil: the file exists
	for _, u := range users {
		members, values := apiUser(u), map[string]any{}
		for _, field := range job.order.Fields {
			if value, ok := members[field.Name]; ok {
				values[field.Name] = value
			}
		}
		lines = append(append(lines, jsonResponse(0, values).body...), '\n')
	}
	return lines
}

// compress is gzip.
func compress(lines []byte) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if _, err := zip.Write(lines); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return buf.Bytes(), nil
}
