package main

import (
	"net/http"
	"net/http/httptest"
)

// kratosAdmin stands for Kratos' admin API: every person is an active, pending identity
// that was imported from Auth0.
type kratosAdmin struct {
	people     int
	identities [][]byte // by person
}

func newKratosAdmin(people int) *kratosAdmin {
	k := &kratosAdmin{people: people}
	for i := range people {
		k.identities = append(k.identities, person(i).identityJSON())
	}
	return k
}

func (k *kratosAdmin) serve() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/identities", func(w http.ResponseWriter, r *http.Request) {
		p, err := personOf(r.URL.Query().Get("credentials_identifier"), k.people)
		if err != nil {
			writeJSON(w, http.StatusOK, []byte("[]"))
			return
		}
		list := append(append([]byte("["), k.identities[p]...), ']')
		writeJSON(w, http.StatusOK, list)
	})
	mux.HandleFunc("GET /admin/identities/{id}", func(w http.ResponseWriter, r *http.Request) {
		p, err := personWith(r.PathValue("id"), k.people)
		if err != nil {
			writeJSON(w, http.StatusNotFound, []byte(`{"error":{"code":404,"status":"Not Found"}}`))
			return
		}
		writeJSON(w, http.StatusOK, k.identities[p])
	})
	return httptest.NewServer(mux)
}
