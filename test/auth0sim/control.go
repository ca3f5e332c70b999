package auth0sim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
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
	s.tenantRoutes(mux)
	s.userRoutes(mux)
	s.faultRoutes(mux)
	mux.Handle("GET /settings", reads(func(*http.Request) (any, error) { return s.Settings(), nil }))
	mux.HandleFunc("PATCH /settings", s.patchSettings)
	mux.Handle("GET /counters", reads(func(*http.Request) (any, error) { return s.Counters(), nil }))
	mux.Handle("GET /requests", reads(func(*http.Request) (any, error) { return s.Requests(), nil }))
	mux.Handle("POST /reset", reads(func(*http.Request) (any, error) {
		s.Reset()
		return nil, nil
	}))
	mux.Handle("GET /clock", reads(func(*http.Request) (any, error) { return clockBody{Now: s.Now()}, nil }))
	mux.Handle("PUT /clock", takes(s.moveClock))
	mux.Handle("GET /keys", reads(s.controlKeys))
	mux.Handle("POST /keys", takes(s.controlRotate))
	mux.Handle("DELETE /keys/{id}", reads(func(r *http.Request) (any, error) {
		return nil, s.WithdrawKey(r.PathValue("id"))
	}))
	return mux
}

func (s *Server) tenantRoutes(mux *http.ServeMux) {
	mux.Handle("PUT /tenant", takes(func(_ *http.Request, t Tenant) (any, error) { return nil, s.SetTenant(t) }))
	mux.Handle("POST /connections", takes(func(_ *http.Request, c Connection) (any, error) { return nil, s.AddConnection(c) }))
	mux.Handle("POST /apps", takes(func(_ *http.Request, a App) (any, error) { return nil, s.AddApp(a) }))
	mux.Handle("POST /apis", takes(func(_ *http.Request, a API) (any, error) { return nil, s.AddAPI(a) }))
	mux.Handle("PUT /default-directory", takes(func(_ *http.Request, b directoryBody) (any, error) {
		return nil, s.SetDefaultDirectory(b.Connection)
	}))
}

func (s *Server) userRoutes(mux *http.ServeMux) {
	mux.Handle("POST /users", takes(func(_ *http.Request, u User) (any, error) { return s.AddUser(u) }))
	mux.Handle("GET /users", reads(func(*http.Request) (any, error) { return s.Users(), nil }))
	mux.Handle("GET /users/{id}", reads(func(r *http.Request) (any, error) { return s.userByID(r.PathValue("id")) }))
	mux.HandleFunc("PATCH /users/{id}", s.patchUser)
	mux.Handle("DELETE /users/{id}", reads(func(r *http.Request) (any, error) {
		return nil, s.DeleteUser(r.PathValue("id"))
	}))
	mux.Handle("POST /users/{id}/unblock", reads(func(r *http.Request) (any, error) {
		return nil, s.UnblockUser(r.PathValue("id"))
	}))
}

func (s *Server) faultRoutes(mux *http.ServeMux) {
	mux.Handle("GET /faults", reads(func(*http.Request) (any, error) { return s.ActiveFaults(), nil }))
	mux.Handle("POST /faults", takes(func(_ *http.Request, f Fault) (any, error) {
		id, err := s.SetFault(f)
		return faultID{ID: id}, err
	}))
	mux.Handle("DELETE /faults", reads(func(*http.Request) (any, error) {
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
	mux.Handle("GET /fault-names", reads(func(*http.Request) (any, error) { return allFaults(), nil }))
	mux.Handle("GET /answers", reads(func(*http.Request) (any, error) { return AnswerRows(), nil }))
}

// The bodies of the control API that are nothing else already.
type (
	healthBody struct {
		Status string `json:"status"`
		URL    string `json:"url"`
		Issuer string `json:"issuer"`
	}
	directoryBody struct {
		Connection string `json:"connection"`
	}
	faultID struct {
		ID int `json:"id"`
	}
	clockBody struct {
		Now     time.Time `json:"now,omitzero"`
		Advance string    `json:"advance,omitempty"`
	}
	rotateBody struct {
		KeepOld bool `json:"keep_old"`
	}
	keysBody struct {
		IDs []string `json:"ids"`
	}
	controlError struct {
		Error string `json:"error"`
	}
)

func (s *Server) controlHealth(*http.Request) (any, error) {
	return healthBody{Status: "ok", URL: s.URL(), Issuer: s.Issuer()}, nil
}

func (s *Server) controlKeys(*http.Request) (any, error) {
	ids, err := s.KeyIDs()
	return keysBody{IDs: ids}, err
}

func (s *Server) controlRotate(_ *http.Request, b rotateBody) (any, error) {
	id, err := s.RotateKey(b.KeepOld)
	return keysBody{IDs: []string{id}}, err
}

func (s *Server) moveClock(_ *http.Request, b clockBody) (any, error) {
	if b.Now.IsZero() == (b.Advance == "") {
		return nil, errors.New("clock: want now or advance, and not both")
	}
	if b.Advance == "" {
		s.SetClock(b.Now)
		return clockBody{Now: s.Now()}, nil
	}
	by, err := time.ParseDuration(b.Advance)
	if err != nil {
		return nil, fmt.Errorf("clock: advance: %w", err)
	}
	s.Advance(by)
	return clockBody{Now: s.Now()}, nil
}

func (s *Server) userByID(id string) (User, error) {
	user, ok := s.User(id)
	if !ok {
		return User{}, fmt.Errorf("user %q: %w", id, ErrNotFound)
	}
	return user, nil
}

// patchUser changes the members that the body names; metadata is merged at its
// first level, as at Auth0.
func (s *Server) patchUser(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	user, err := s.userByID(id)
	if err == nil {
		err = decodeStrict(http.MaxBytesReader(w, r.Body, maxControlBody), &user)
	}
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

// takes serves an action on exactly one JSON value without unknown keys.
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
