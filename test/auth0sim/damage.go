package auth0sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

const (
	defaultOversize = 8 << 20
	forged          = "forged"
)

// htmlPage is the error page of a gateway whose backend does not answer.
const htmlPage = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>" +
	"<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>\n"

// replace answers for faults that replace the answer.
func (s *Server) replace(x *exchange) (response, bool) {
	f, ok := x.faultOf(KindAnswer)
	if !ok {
		return response{}, false
	}
	resp := s.replacement(x.req.URL, f)
	if resp.outcome == "" || resp.outcome == outcomeOK {
		resp.outcome = string(f.Name)
	}
	return resp, true
}

// replacement returns the answer that a fault sends to a request for target.
func (s *Server) replacement(target *url.URL, f Fault) response {
	switch f.Name {
	case FaultUnavailable:
		return s.refuse(managementFault(target.Path, AnswerTemporarilyUnavailable))
	case FaultGlobalLimit:
		return s.refuse(AnswerGlobalLimit)
	case FaultTooManyRequests:
		return s.refuse(managementFault(target.Path, AnswerTooManyRequests))
	case FaultInternalError:
		return plainResponse(http.StatusInternalServerError, "text/plain; charset=utf-8", "Internal Server Error")
	case FaultHTMLPage:
		status := f.Status
		if status == 0 {
			status = http.StatusBadGateway
		}
		return plainResponse(status, "text/html", htmlPage)
	case FaultRedirect301:
		return redirect(http.StatusMovedPermanently, target, f.Value)
	case FaultRedirect302:
		return redirect(http.StatusFound, target, f.Value)
	case FaultRedirect303:
		return redirect(http.StatusSeeOther, target, f.Value)
	case FaultRedirect307:
		return redirect(http.StatusTemporaryRedirect, target, f.Value)
	case FaultRedirect308:
		return redirect(http.StatusPermanentRedirect, target, f.Value)
	}
	return s.arbitrary(f)
}

// arbitrary returns the answer that the fault defines.
func (s *Server) arbitrary(f Fault) response {
	var resp response
	if f.Answer != "" {
		resp = s.refuse(f.Answer, "reason", orElse(f.Value, "denied by the tenant"),
			"grant_type", orElse(f.Value, GrantPasswordRealm), "parameter", orElse(f.Value, "username"),
			"audience", orElse(f.Value, "https://api.test/"), "mfa_token", mfaTokenFor(f.Answer))
	} else {
		resp = plainResponse(f.Status, typeJSON, f.Body)
	}
	if f.Status != 0 {
		resp.status = f.Status
	}
	for key, value := range f.Headers {
		resp.header.Set(key, value)
	}
	return resp
}

// mfaTokenFor is the token that belongs into an answer, if any does.
func mfaTokenFor(name AnswerName) string {
	if name == AnswerMFARequired {
		return mfaTokenPrefix + "fault"
	}
	return ""
}

func plainResponse(status int, mediaType, body string) response {
	header := http.Header{}
	header.Set("Content-Type", mediaType)
	return response{status: status, header: header, body: []byte(body)}
}

// redirect redirects elsewhere, or to a path that works like the target.
func redirect(status int, target *url.URL, elsewhere string) response {
	resp := plainResponse(status, "text/plain; charset=utf-8", http.StatusText(status))
	if strings.HasPrefix(target.Path, PathManagement) {
		again := url.URL{Path: pathRedirects + target.Path, RawPath: pathRedirects + target.EscapedPath(), RawQuery: target.RawQuery}
		elsewhere = orElse(elsewhere, again.String())
	}
	resp.header.Set("Location", orElse(elsewhere, PathRedirected))
	return resp
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// damage applies the faults of the body, all of them, in the order of
// [FaultsOf].
func damage(x *exchange, resp response) response {
	if resp.status == 0 {
		return resp
	}
	for _, name := range FaultsOf(KindBody) {
		if f, ok := x.fault(name); ok {
			resp = damageOnce(f, resp)
		}
	}
	return resp
}

func damageOnce(f Fault, resp response) response {
	switch f.Name {
	case FaultEmptyBody:
		resp.body = nil
	case FaultCutJSON:
		resp.body = resp.body[:len(resp.body)/2]
	case FaultOversizedBody:
		resp.body = oversized(resp.body, f.Size)
	case FaultDuplicateKeys:
		resp.body = repeatKeys(resp.body, func(key string) string { return key })
	case FaultCaseVariantKeys:
		resp.body = repeatKeys(resp.body, strings.ToUpper)
	case FaultWrongTypes:
		resp.body = wrongTypes(resp.body)
	case FaultTrailingData:
		resp.body = append(resp.body, []byte(`{"forged":true}`)...)
	case FaultNotAnObject:
		resp.body = append(append([]byte("["), resp.body...), ']')
	case FaultWrongMediaType:
		resp.header.Set("Content-Type", "text/html; charset=utf-8")
	case FaultNoMediaType:
		resp.header.Del("Content-Type")
	}
	return resp
}

// oversized puts a long member first, so that a reader that stops early has read no
// other.
func oversized(body []byte, size int) []byte {
	if size == 0 {
		size = defaultOversize
	}
	var buf bytes.Buffer
	buf.Grow(size + len(body))
	buf.WriteString(`{"padding":"`)
	buf.Write(bytes.Repeat([]byte("x"), size))
	buf.WriteString(`"`)
	if rest := bytes.TrimPrefix(body, []byte("{")); len(rest) > 1 {
		buf.WriteString(",")
		buf.Write(rest)
	} else {
		buf.WriteString("}")
	}
	return buf.Bytes()
}

// repeatKeys adds every member again at the end, under the name that rename
// gives it and with a forged value: decoders that let the last one win, or
// that do not look at case, take it.
func repeatKeys(body []byte, rename func(string) string) []byte {
	keys, ok := topKeys(body)
	if !ok || len(keys) == 0 {
		return body
	}
	var buf bytes.Buffer
	buf.Write(bytes.TrimSuffix(body, []byte("}")))
	for _, key := range keys {
		name, err := json.Marshal(rename(key))
		if err != nil {
			return body
		}
		buf.WriteByte(',')
		buf.Write(name)
		buf.WriteString(`:"` + forged + `"`)
	}
	buf.WriteByte('}')
	return buf.Bytes()
}

// topKeys lists the keys of a JSON object in their order.
func topKeys(body []byte) ([]string, bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	var keys []string
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, false
		}
		key, ok := token.(string)
		if !ok {
			return nil, false
		}
		keys = append(keys, key)
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return nil, false
		}
	}
	return keys, true
}

// wrongTypes makes numbers of strings and strings of everything else.
func wrongTypes(body []byte) []byte {
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		return body
	}
	for key, value := range members {
		if _, ok := value.(string); ok {
			members[key] = 42
		} else {
			members[key] = forged
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return body
	}
	return raw
}
