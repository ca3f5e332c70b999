package auth0sim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// maxControlBody leaves room for a tenant of many users.
const maxControlBody = 64 << 20

// ControlHandler serves the control API, with which another process sets the
// simulator up and reads what happened. It has no access control: serve it on
// loopback only, as [Server.StartControl] does. [Control] is its client; the
// README lists its endpoints.
func (s *Server) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /health", reads(s.controlHealth))
	mux.Handle("GET /settings", reads(func(*http.Request) (any, error) { return s.Settings(), nil }))
	mux.HandleFunc("PATCH /settings", s.patchSettings)
	mux.Handle("GET /counters", reads(func(*http.Request) (any, error) { return s.Counters(), nil }))
	mux.Handle("GET /requests", reads(func(*http.Request) (any, error) { return s.Requests(), nil }))
	mux.Handle("PUT /tenant", takes(func(_ *http.Request, t Tenant) (any, error) { return nil, s.SetTenant(t) }))
	mux.Handle("POST /users", takes(func(_ *http.Request, u User) (any, error) { return s.AddUser(u) }))
	mux.Handle("GET /users", reads(func(*http.Request) (any, error) { return s.Users(), nil }))
	mux.HandleFunc("PATCH /users/{id}", s.patchUser)
	mux.Handle("GET /refresh-tokens", reads(func(*http.Request) (any, error) { return s.RefreshTokens(), nil }))
	mux.Handle("POST /refresh-tokens", takes(func(_ *http.Request, t RefreshToken) (any, error) { return s.AddRefreshToken(t) }))
	mux.Handle("POST /refresh-tokens/revoke", takes(func(_ *http.Request, t refreshTokenName) (any, error) { return nil, s.RevokeRefreshToken(t.Token) }))
	mux.Handle("POST /refresh-tokens/expire", takes(func(_ *http.Request, t refreshTokenName) (any, error) { return nil, s.ExpireRefreshToken(t.Token) }))
	mux.Handle("POST /faults", takes(func(_ *http.Request, f Fault) (any, error) {
		id, err := s.SetFault(f)
		return faultID{ID: id}, err
	}))
	mux.Handle("DELETE /faults", reads(func(*http.Request) (any, error) { // demo's KEEP=1 prints it
		s.ClearFaults()
		return nil, nil
	}))
	mux.Handle("DELETE /faults/{id}", reads(func(r *http.Request) (any, error) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			return nil, fmt.Errorf("fault id: %w", err)
		}
		return nil, s.ClearFault(id)
	}))
	return mux
}

// The bodies of the control API that are nothing else already.
type (
	healthBody struct {
		Status string `json:"status"`
		URL    string `json:"url"`
		Issuer string `json:"issuer"`
	}
	faultID struct {
		ID int `json:"id"`
	}
	refreshTokenName struct {
		Token string `json:"token"`
	}
	controlError struct {
		Error string `json:"error"`
	}
)

func (s *Server) controlHealth(*http.Request) (any, error) {
	return healthBody{Status: "ok", URL: s.URL(), Issuer: s.Issuer()}, nil
}

// patchUser changes the members that the body names; metadata is merged at its
// first level, as at Auth0.
func (s *Server) patchUser(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	user, ok := s.User(id)
	if !ok {
		reply(w, nil, fmt.Errorf("user %q: %w", id, ErrNotFound))
		return
	}
	err := decodeStrict(http.MaxBytesReader(w, r.Body, maxControlBody), &user)
	if err == nil {
		user, err = s.UpdateUser(id, func(u *User) { *u = user })
	}
	reply(w, user, err)
}

// patchSettings changes the settings that the body names.
func (s *Server) patchSettings(w http.ResponseWriter, r *http.Request) {
	settings := s.Settings()
	err := decodeStrict(http.MaxBytesReader(w, r.Body, maxControlBody), &settings)
	if err == nil {
		err = s.SetSettings(settings)
	}
	reply(w, settings, err)
}

// reads serves an action that needs no body.
func reads(action func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result, err := action(r)
		reply(w, result, err)
	})
}

// takes serves an action on a body of exactly one JSON value without unknown keys.
func takes[T any](action func(*http.Request, T) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body T
		if err := decodeStrict(http.MaxBytesReader(w, r.Body, maxControlBody), &body); err != nil {
			reply(w, nil, err)
			return
		}
		result, err := action(r, body)
		reply(w, result, err)
	})
}

// reply answers with the result, with nothing, or with what went wrong.
func reply(w http.ResponseWriter, result any, err error) {
	resp := jsonResponse(http.StatusOK, result)
	switch {
	case errors.Is(err, ErrNotFound):
		resp = jsonResponse(http.StatusNotFound, controlError{Error: err.Error()})
	case err != nil:
		resp = jsonResponse(http.StatusBadRequest, controlError{Error: err.Error()})
	case result == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(resp.status)
	// A client that left is told nothing.
	_, _ = w.Write(resp.body)
}
