package auth0sim

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	formatJSON = "json"
	formatCSV  = "csv"

	maxExportFields = 30
	maxFieldName    = 100
)

// exportOrder is the body of POST /api/v2/jobs/users-exports.
type exportOrder struct {
	ConnectionID string        `json:"connection_id"`
	Format       string        `json:"format"`
	Limit        *int          `json:"limit"`
	Fields       []exportField `json:"fields"`
}

// exportField is one field of each user in the file.
type exportField struct {
	Name     string `json:"name"`
	ExportAs string `json:"export_as,omitempty"`
}

// key is what the field is called in the file.
func (f exportField) key() string { return orElse(f.ExportAs, f.Name) }

// limit is how many users at most; 0 is all.
func (o exportOrder) limit() int {
	if o.Limit == nil {
		return 0
	}
	return *o.Limit
}

func readExportOrder(x *exchange) (exportOrder, error) {
	if err := checkBody(x, []string{"connection_id", "format", "limit", "fields"}); err != nil {
		return exportOrder{}, err
	}
	order := exportOrder{Format: formatJSON}
	if err := decodeStrict(bytes.NewReader(x.body), &order); err != nil {
		return exportOrder{}, errors.New("wrong type, or additional property")
	}
	return order, order.check()
}

func (o exportOrder) check() error {
	switch {
	case o.ConnectionID != "" && !connectionIDs.MatchString(o.ConnectionID):
		return errors.New("connection_id: expected " + connectionIDs.String())
	case o.Format != formatJSON && o.Format != formatCSV:
		return errors.New("format: expected json or csv")
	case o.Limit != nil && *o.Limit < 1:
		return errors.New("limit: expected 1 or more")
	case o.Fields != nil && len(o.Fields) == 0, len(o.Fields) > maxExportFields:
		return errors.New("fields: expected 1 to 30")
	}
	var keys []string
	for _, field := range o.Fields {
		steps, ok := parseFieldPath(field.Name)
		switch {
		case len(field.Name) > maxFieldName, len(field.ExportAs) > maxFieldName:
			return errors.New("fields: expected names of 1 to 100 characters")
		case !ok || !slices.Contains(exportable(), steps[0].name):
			return errors.New("fields: no such attribute: " + field.Name)
		case slices.Contains(keys, field.key()):
			return errors.New("fields: twice: " + field.key())
		}
		keys = append(keys, field.key())
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

// defaultFields are those exported where the job names none: what Auth0's are
// is not known [GAP].
func defaultFields() []exportField {
	var fields []exportField
	for _, name := range []string{
		"user_id", "email", "email_verified", "name", "given_name", "family_name", "nickname", "picture",
		"identities[0].connection", "created_at", "updated_at",
	} {
		fields = append(fields, exportField{Name: name})
	}
	return fields
}

// step is one step of a field's path: a member, or an element of a list.
type step struct {
	name  string
	index int
	list  bool
}

var fieldStep = regexp.MustCompile(`^([A-Za-z0-9_:/-]+)((?:\[(?:0|[1-9][0-9]{0,3})\])*)$`)

// parseFieldPath reads user_metadata.a.b, or identities[0].connection.
func parseFieldPath(path string) ([]step, bool) {
	var steps []step
	for part := range strings.SplitSeq(path, ".") {
		match := fieldStep.FindStringSubmatch(part)
		if match == nil {
			return nil, false
		}
		steps = append(steps, step{name: match[1]})
		for index := range strings.SplitSeq(strings.Trim(match[2], "[]"), "][") {
			if n, err := strconv.Atoi(index); err == nil {
				steps = append(steps, step{index: n, list: true})
			}
		}
	}
	return steps, true
}

// follow is the value at the end of a path; nil where there is none.
func follow(v any, steps []step) any {
	for _, next := range steps {
		if next.list {
			list, _ := v.([]any)
			if next.index >= len(list) {
				return nil
			}
			v = list[next.index]
			continue
		}
		members, _ := v.(map[string]any)
		v = members[next.name]
	}
	return v
}

// exportLines is the file of a job before it is compressed.
func (s *Server) exportLines(job *exportJob) ([]byte, error) {
	users := s.dir.usersWhere(func(acc *account) bool {
		return job.connection == "" || acc.user.livesIn(job.connection)
	})
	if limit := job.order.limit(); limit > 0 {
		users = users[:min(limit, len(users))]
	}
	fields := job.order.Fields
	if fields == nil {
		fields = defaultFields()
	}
	var buf bytes.Buffer
	file := exportFile{fields: fields, lines: json.NewEncoder(&buf)}
	for _, field := range fields {
		steps, _ := parseFieldPath(field.Name)
		file.paths = append(file.paths, steps)
		file.identities = file.identities || len(steps) > 0 && steps[0].name == "identities"
	}
	file.lines.SetEscapeHTML(false)
	if job.order.Format == formatCSV {
		file.table = csv.NewWriter(&buf)
	}
	if err := file.write(users); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if buf.Len() == 0 {
		return []byte{}, nil
	}
	return buf.Bytes(), nil
}

// exportFile writes users as lines of JSON, or as a table.
type exportFile struct {
	fields []exportField
	paths  [][]step // of the fields
	// identities: some field is of theirs.
	identities bool
	lines      *json.Encoder
	table      *csv.Writer // nil: lines of JSON
}

func (f exportFile) write(users []User) error {
	var header []string
	for _, field := range f.fields {
		header = append(header, field.key())
	}
	if f.table != nil {
		if err := f.table.Write(header); err != nil {
			return err
		}
	}
	for _, u := range users {
		values, err := f.values(u)
		if err != nil {
			return err
		}
		if f.table == nil {
			maps.DeleteFunc(values, func(_ string, v any) bool { return v == nil })
			err = f.lines.Encode(values)
		} else {
			err = f.table.Write(cells(header, values))
		}
		if err != nil {
			return err
		}
	}
	if f.table == nil {
		return nil
	}
	f.table.Flush()
	return f.table.Error()
}

// values are the fields of a user by their keys; nil where there is nothing.
func (f exportFile) values(u User) (map[string]any, error) {
	members := apiUser(u)
	if f.identities {
		raw, err := json.Marshal(members["identities"])
		if err != nil {
			return nil, err
		}
		var identities []any
		if err := json.Unmarshal(raw, &identities); err != nil {
			return nil, err
		}
		members["identities"] = identities
	}
	values := make(map[string]any, len(f.fields))
	for i, field := range f.fields {
		values[field.key()] = follow(members, f.paths[i])
	}
	return values, nil
}

// cells are values as a table has them.
func cells(header []string, values map[string]any) []string {
	var row []string
	for _, key := range header {
		row = append(row, ExportCell(values[key]))
	}
	return row
}

// ExportCell writes a value as the CSV of an export has it: a list as JSON, an
// object not at all, and text that a spreadsheet would compute behind a quote.
// Nothing of it is documented [GAP].
func ExportCell(v any) string {
	switch v := v.(type) {
	case nil, map[string]any:
		return ""
	case string:
		if v != "" && strings.ContainsRune("=+-@", rune(v[0])) {
			return "'" + v
		}
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
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
