package submit_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"ferry/gateway/submit"
	model "ferry/test/submit"
)

// sent is a login that was sent to Kratos. The zero value of a field is the usual one.
type sent struct {
	method      string
	path        string
	query       string
	contentType string
	body        string
	// identifier is what ferry must see if it sees anything.
	identifier string
}

const (
	jsonLogin = `{"method":"password","identifier":"kim@example.org","password":"correct horse"}`
	formLogin = `method=password&identifier=kim%40example.org&password=correct+horse`
	jsonType  = "application/json"
	formType  = "application/x-www-form-urlencoded"
)

func asJSON(identifier string) string { return strings.Replace(jsonLogin, model.Email, identifier, 1) }

func padding(megabytes float64) string { return strings.Repeat("x", int(megabytes*(1<<20))) }

// recordedBodies are the bodies of the recorded matrix, by the name of the row. Both rows
// of multipart/form-data have the name of one.
func recordedBodies() map[string]sent {
	return map[string]sent{
		"CT 'text/json'":                         {contentType: "text/json", body: jsonLogin},
		"CT ''":                                  {contentType: "none", body: jsonLogin},
		"CT 'application/json, text/plain'":      {contentType: "application/json, text/plain", body: jsonLogin},
		"CT 'text/plain, application/json'":      {contentType: "text/plain, application/json", body: jsonLogin},
		"CT 'application/json; ='":               {contentType: "application/json; =", body: jsonLogin},
		"CT 'application/json; charset'":         {contentType: "application/json; charset", body: jsonLogin},
		"CT 'multipart/form-data; boundary=B'":   {contentType: "multipart/form-data; boundary=B", body: "--B\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\npassword\r\n--B--\r\n"},
		"CT 'application/x-www-form-urlencoded'": {contentType: formType, body: jsonLogin},
		"json trailing garbage":                  {body: jsonLogin + "garbage"},
		"json two values":                        {body: jsonLogin + `{"identifier":"lee@example.org"}`},
		"json twice, last is the person":         {body: `{"identifier":"lee@example.org",` + jsonLogin[1:]},
		"json twice, first is the person":        {body: jsonLogin[:len(jsonLogin)-1] + `,"identifier":"lee@example.org"}`, identifier: model.Other},
		"json BOM":                               {body: "\ufeff" + jsonLogin},
		"json key case":                          {body: strings.Replace(jsonLogin, "identifier", "Identifier", 1)},
		"json list":                              {body: "[" + jsonLogin + "]"},
		"form twice, last is the person":         {contentType: formType, body: "identifier=lee%40example.org&" + formLogin, identifier: model.Other},
		"form twice, first is the person":        {contentType: formType, body: formLogin + "&identifier=lee%40example.org"},
		"form bad escape":                        {contentType: formType, body: formLogin + "&a=%zz"},
		"form semicolon":                         {contentType: formType, body: formLogin + ";a=b"},
		"form blanks around":                     {contentType: formType, body: strings.Replace(formLogin, "identifier=", "identifier=++", 1) + "&a=b"},
		"padded 100 KB":                          {body: `{"a":"` + padding(0.1) + `",` + jsonLogin[1:]},
		"padded 2 MB":                            {body: `{"a":"` + padding(2) + `",` + jsonLogin[1:]},
		"padded 4.9 MB":                          {body: `{"a":"` + padding(4.9) + `",` + jsonLogin[1:]},
		"padded 6 MB":                            {body: `{"a":"` + padding(6) + `",` + jsonLogin[1:]},
		"form padded 2 MB":                       {contentType: formType, body: "a=" + padding(2) + "&" + formLogin},
		"form padded 11 MB":                      {contentType: formType, body: "a=" + padding(11) + "&" + formLogin},
		"invalid utf-8 in the identifier":        {body: asJSON("kim\xff@example.org")},
		"NBSP around":                            {body: asJSON("\u00a0kim@example.org\u00a0")},
		"zero width":                             {body: asJSON("\u200bkim@example.org"), identifier: "\u200bkim@example.org"},
		"tab newline around":                     {body: asJSON(`\tkim@example.org\n`)},
		"upper case":                             {body: asJSON("KIM@EXAMPLE.ORG")},
		"full width letter":                      {body: asJSON("ｋim@example.org"), identifier: "ｋim@example.org"},
		"gzip":                                   {body: "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"},
		"json number as identifier":              {body: strings.Replace(jsonLogin, `"kim@example.org"`, "12345678", 1), identifier: model.Number},
		"json number with exponent":              {body: strings.Replace(jsonLogin, `"kim@example.org"`, "12345678e0", 1), identifier: model.Number},
		"chunked":                                {body: jsonLogin},
		"TE+CL":                                  {body: jsonLogin},
		"two flow params":                        {query: "flow=" + model.FlowID + "&flow=11111111-1111-4111-8111-111111111111", body: jsonLogin},
		"two flow params, other first":           {query: "flow=11111111-1111-4111-8111-111111111111&flow=" + model.FlowID, body: jsonLogin},
		"GET with query":                         {method: http.MethodGet, query: "flow=" + model.FlowID + "&method=password&identifier=kim%40example.org"},
	}
}

func (s sent) read(t *testing.T) (submit.Submit, bool) {
	t.Helper()
	method, path, query, contentType := or(s.method, http.MethodPost), or(s.path, "/self-service/login"), or(s.query, "flow="+model.FlowID), or(s.contentType, jsonType)
	if contentType == "none" {
		contentType = ""
	}
	u, err := url.ParseRequestURI(path + "?" + query)
	if err != nil {
		t.Fatal(err)
	}
	route, ok := submit.RouteOf(method, u)
	if !ok {
		return submit.Submit{}, false
	}
	if route != submit.Login {
		t.Errorf("the route is %s", route)
	}
	return submit.Read(submit.Request{Route: route, Query: u.RawQuery, ContentType: contentType, Body: []byte(s.body)})
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// unlike are the rows where ferry and Kratos differ, with the reason.
func unlike(release string) map[string]string {
	rows := map[string]string{
		"json twice, first is the person": "Kratos sees the other person",
		"form twice, last is the person":  "Kratos sees the other person",
		"zero width":                      "nobody has this identifier",
		"full width letter":               "nobody has this identifier",
		"padded 6 MB":                     "the caller limits the length",
		"form padded 11 MB":               "the caller limits the length",
		"two flow params, other first":    "Kratos does not know the flow",
	}
	if release == "v1.3.1" {
		rows["CT 'application/json, text/plain'"] = "26.2 refuses lists"
		rows["CT 'text/plain, application/json'"] = "26.2 refuses lists"
		return rows
	}
	for _, path := range []string{"//self-service/login", "/self-service//login", "/self-service/./login", "/x/../self-service/login", "/self-service%2flogin"} {
		rows["path "+path] = "1.3.1 accepts the path"
	}
	return rows
}

// row is a row of a recorded matrix.
type row struct {
	Sent     string `json:"sent"`
	LoggedIn bool   `json:"logged_in"`
}

// TestRecordedMatrix: ferry sees what Kratos saw in recordings of both releases, with the
// exceptions above.
func TestRecordedMatrix(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/v131-matrix.json", "testdata/v262-matrix.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var matrix struct {
			Kratos string `json:"kratos"`
			Rows   []row  `json:"rows"`
		}
		if err := json.Unmarshal(text, &matrix); err != nil {
			t.Fatal(err)
		}
		if len(matrix.Rows) < 50 {
			t.Errorf("%s has %d rows", file, len(matrix.Rows))
		}
		bodies, differ := recordedBodies(), unlike(matrix.Kratos)
		for _, row := range matrix.Rows {
			_, unlike := differ[row.Sent]
			t.Run(matrix.Kratos+" "+row.Sent, func(t *testing.T) { testRow(t, row, bodies, unlike) })
		}
	}
}

func testRow(t *testing.T, row row, bodies map[string]sent, unlike bool) {
	t.Helper()
	request, ok := bodies[row.Sent]
	if path, is := strings.CutPrefix(row.Sent, "path "); is {
		request, ok = sent{path: path, body: jsonLogin}, true
	}
	if method, is := strings.CutPrefix(row.Sent, "method "); is {
		request, ok = sent{method: method, body: jsonLogin}, true
	}
	if !ok {
		t.Fatal("no request for this row")
	}
	got, seen := request.read(t)
	if (seen != row.LoggedIn) != unlike {
		t.Errorf("Kratos saw it: %v, ferry: %v", row.LoggedIn, seen)
	}
	if want := or(request.identifier, model.Email); seen && (len(got.Identifiers) != 1 || got.Identifiers[0] != want || got.Password.Reveal() != model.Password) {
		t.Errorf("ferry saw %+v, not %s", got, want)
	}
}
