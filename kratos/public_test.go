package kratos_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/kratos"
	"ferry/secret"
)

// served is an API with a text at one path. Elsewhere it redirects to the redirect URL
// if set, and answers 404 otherwise. It records the requested paths and the tokens.
type served struct {
	path, text, redirect string
	asked, tokens        []string
}

func (s *served) start(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.URL.EscapedPath())
		s.tokens = append(s.tokens, r.Header.Get("Authorization"))
		switch {
		case s.path == r.URL.EscapedPath():
			_, _ = io.WriteString(w, s.text)
		case s.redirect != "":
			http.Redirect(w, r, s.redirect+strings.TrimPrefix(r.URL.Path, "/admin"), http.StatusTemporaryRedirect)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestPublicURL: where an identity schema is read, and which API the error names.
func TestPublicURL(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	const schema = `{"$id":"x"}`
	for name, c := range map[string]struct {
		admin, public served
		set           bool // the public URL
		id            string
		want          string // the schema, or part of the error
		configured    bool
		asked         string // the path requested from the admin API
	}{
		"where the admin API redirects to": {
			public: served{path: "/schemas/person", text: schema}, want: schema, asked: "/schemas/person",
		},
		"at the configured URL": {
			admin: served{redirect: nowhere}, public: served{path: "/schemas/person", text: schema}, set: true, want: schema,
		},
		"at a gateway's own host": {
			admin: served{path: "/auth/schemas/person", text: schema, redirect: nowhere + "/auth"}, want: schema, asked: "/schemas/person /auth/schemas/person",
		},
		"at the admin API itself": {
			admin: served{path: "/schemas/person", text: schema, redirect: nowhere}, want: schema, asked: "/schemas/person",
		},
		"an id with a slash": {
			admin: served{path: "/schemas/cHJlc2V0Oi8vZW1haWw", text: schema}, id: "preset://email", want: schema, asked: "/schemas/cHJlc2V0Oi8vZW1haWw",
		},
		"nowhere": {
			admin: served{redirect: nowhere + "/auth"}, want: nowhere + "/auth, where the admin API redirects to (serve.public.base_url): kratos: unavailable (unreachable",
			asked: "/schemas/person /auth/schemas/person",
		},
		"a page that is not JSON": {
			public: served{path: "/schemas/person", text: "<html>"}, want: "serve.public.base_url): kratos: garbled (answer_malformed", asked: "/schemas/person",
		},
		"not at the configured URL": {
			admin: served{path: "/schemas/person", text: schema}, set: true, want: "(not_there, status 404)", configured: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			public := c.public.start(t)
			if c.admin.redirect == "" && c.admin.path == "" {
				c.admin.redirect = public
			}
			opts := kratos.Options{AdminURL: c.admin.start(t), Token: secret.New("token-1"), Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			if c.set {
				opts.PublicURL = public + "/"
			}
			got, err := readSchema(t, opts, c.id)
			var fault *kratos.PublicError
			failed := errors.As(err, &fault)
			if failed != (c.want != schema) || failed && fault.Configured != c.configured || !strings.Contains(got+fmt.Sprint(err), c.want) {
				t.Errorf("%s, %v", got, err)
			}
			if asked := strings.Join(c.admin.asked, " "); asked != c.asked {
				t.Errorf("the admin API was asked for %s", asked)
			}
			if tokens := strings.Join(c.public.tokens, ""); tokens != "" {
				t.Errorf("the public API got %s", tokens)
			}
		})
	}
}

func readSchema(t *testing.T, opts kratos.Options, id string) (string, error) {
	t.Helper()
	client, err := kratos.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := client.Schema(t.Context(), cmp.Or(id, "person"))
	return string(text), err
}

// TestRedirectsEnd: an API that redirects to itself is followed only a few times.
func TestRedirectsEnd(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}))
	defer srv.Close()
	client, err := kratos.New(kratos.Options{AdminURL: srv.URL, Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Schemas(t.Context()); err == nil || asked != 4 {
		t.Errorf("%d requests, %v", asked, err)
	}
}

// TestRedirectsElsewhere: only the admin API leads to another host, and the token goes to the
// admin API alone, by its own protocol.
func TestRedirectsElsewhere(t *testing.T) {
	const admin = "https://kratos.test"
	for name, c := range map[string]struct {
		public string            // the configured public URL
		leads  map[string]string // from a URL to another
		asked  string            // the requests; one with the token has a star
	}{
		"to the base URL":             {"", map[string]string{admin: "https://id.test"}, "https://kratos.test* https://id.test"},
		"from the base URL elsewhere": {"", map[string]string{admin: "https://id.test", "https://id.test": "http://10.0.0.1"}, "https://kratos.test* https://id.test"},
		"from the base URL back":      {"", map[string]string{admin: "https://id.test", "https://id.test": admin}, "https://kratos.test* https://id.test"},
		"to its own plain HTTP":       {"", map[string]string{admin: "http://kratos.test"}, "https://kratos.test* http://kratos.test"},
		"to another port":             {"", map[string]string{admin: "https://kratos.test:4433"}, "https://kratos.test* https://kratos.test:4433"},
		"with a password":             {"", map[string]string{admin: "https://u:p@id.test"}, "https://kratos.test*"},
		"public, elsewhere":           {"http://id.test", map[string]string{"http://id.test": "http://169.254.169.254"}, "http://id.test"},
		"public, to another port":     {"http://id.test", map[string]string{"http://id.test": "http://id.test:81"}, "http://id.test"},
		"public, to the admin API":    {"http://id.test", map[string]string{"http://id.test": admin}, "http://id.test"},
		"public, to its https":        {"http://id.test", map[string]string{"http://id.test": "https://id.test"}, "http://id.test https://id.test"},
		"public, to plain HTTP":       {"https://id.test", map[string]string{"https://id.test": "http://id.test"}, "https://id.test"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			network := roundTrip(func(r *http.Request) (*http.Response, error) {
				base := r.URL.Scheme + "://" + r.URL.Host
				answer := &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: http.NoBody, Request: r}
				if to := c.leads[base]; to != "" {
					answer.StatusCode = http.StatusFound
					answer.Header.Set("Location", to+r.URL.Path)
				}
				if r.Header.Get("Authorization") == "Bearer token-1" {
					base += "*"
				}
				asked = append(asked, base)
				return answer, nil
			})
			_, err := readSchema(t, kratos.Options{AdminURL: admin, PublicURL: c.public, Token: secret.New("token-1"), Timeout: 5 * time.Second, Transport: network}, "person")
			if got := strings.Join(asked, " "); got != c.asked || err == nil {
				t.Errorf("asked %s, want %s; %v", got, c.asked, err)
			}
		})
	}
}
