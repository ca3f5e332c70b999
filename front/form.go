package front

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/proxy"
	"ferry/strictjson"
)

// maxFormBytes is the longest body that is read. A client assertion with a certificate chain, or
// a long authorization code, has some kilobytes.
const maxFormBytes = 64 << 10

const formType = "application/x-www-form-urlencoded"

// form is the body of a request to the token or the revocation endpoint.
type form struct {
	values url.Values
	// raw is the body as it came. It passes on as long as it says the same as values.
	raw     []byte
	changed bool
}

// set replaces a parameter; an empty value removes it.
func (f *form) set(name, value string) {
	if f.values.Get(name) == value {
		return
	}
	f.changed = true
	f.values.Del(name)
	if value != "" {
		f.values.Set(name, value)
	}
}

// readForm reads the body of a request: a form, or the same as JSON, which Auth0 takes as well.
// A parameter that comes twice is refused (RFC 6749, 3.2): two readers could choose different
// ones. The refusal is nil if the form could be read.
func readForm(w http.ResponseWriter, r *http.Request) (*form, *refusal) {
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, invalidRequest(http.StatusUnsupportedMediaType, "The request must not have a Content-Encoding.")
	}
	body, whole, err := proxy.ReadBody(w, r, maxFormBytes)
	switch {
	case err != nil:
		return nil, invalidRequest(http.StatusBadRequest, "The request did not arrive completely.")
	case !whole:
		return nil, invalidRequest(http.StatusRequestEntityTooLarge, "The request is too long.")
	}
	is, ok := mediaType(r.Header)
	if !ok {
		return nil, invalidRequest(http.StatusUnsupportedMediaType, "The Content-Type must be application/x-www-form-urlencoded or application/json, in UTF-8.")
	}
	f := &form{raw: body}
	if is == formType {
		f.values, err = url.ParseQuery(string(body))
	} else {
		f.values, err = fromJSON(body)
		f.changed = true
	}
	if err != nil {
		return nil, invalidRequest(http.StatusBadRequest, "The request is malformed.")
	}
	for name, values := range f.values {
		// RFC 8707 and RFC 8693 allow more than one of these.
		if len(values) > 1 && name != "resource" && name != "audience" {
			return nil, invalidRequest(http.StatusBadRequest, "The request includes a parameter more than once.")
		}
	}
	return f, nil
}

// mediaType returns the type of the body. ok is false if it is neither a form nor JSON, or not in
// UTF-8.
func mediaType(header http.Header) (is string, ok bool) {
	types := header.Values("Content-Type")
	if len(types) != 1 {
		return "", false
	}
	is, parameters, err := mime.ParseMediaType(types[0])
	charset, named := parameters["charset"]
	return is, err == nil && (is == formType || is == "application/json") && (!named || strings.EqualFold(charset, "utf-8"))
}

// fromJSON returns the members of a JSON object as parameters. Lists of texts, such as scope, are
// separated by blanks.
func fromJSON(body []byte) (url.Values, error) {
	value, err := strictjson.Value(body)
	members, ok := value.(map[string]any)
	if err != nil || !ok {
		return nil, errNotAForm
	}
	values := url.Values{}
	for name, member := range members {
		text, err := parameter(member)
		if err != nil {
			return nil, err
		}
		if text != "" {
			values.Set(name, text)
		}
	}
	return values, nil
}

// parameter returns a member as the text of a parameter.
func parameter(member any) (string, error) {
	switch member := member.(type) {
	case nil:
		return "", nil
	case string:
		return member, nil
	case json.Number:
		return member.String(), nil
	case bool:
		if member {
			return "true", nil
		}
		return "false", nil
	case []any:
		var texts []string
		for _, one := range member {
			text, ok := one.(string)
			if !ok || text == "" || strings.ContainsRune(text, ' ') {
				return "", errNotAForm
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, " "), nil
	}
	return "", errNotAForm
}

// applyTo makes the form the body of a request.
func (f *form) applyTo(r *http.Request) {
	body := string(f.raw)
	if f.changed {
		body = f.values.Encode()
		r.Header.Set("Content-Type", formType)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.TransferEncoding, r.Trailer = nil, nil
	r.Header.Del("Expect") // the body has arrived
	r.Header.Del("Content-Length")
	if slices.Contains([]string{"", "identity"}, r.Header.Get("Content-Encoding")) {
		r.Header.Del("Content-Encoding")
	}
}
