package auth0sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// faultList is the faults that are set, in the order they were set.
type faultList struct {
	mu     sync.Mutex
	nextID int
	active []*activeFault
}

// activeFault is a fault that is set, and how often it was used.
type activeFault struct {
	id    int
	fault Fault
	hits  int
	ended chan struct{} // closed when it is cleared
}

func newFaultList() *faultList { return &faultList{nextID: 1} }

// spent reports whether the fault was used as often as requested.
func (a *activeFault) spent() bool {
	return a.fault.Times > 0 && a.hits >= a.fault.Times
}

// matches reports whether the fault holds for a request.
func (a *activeFault) matches(path, grant string, identifiers []string) bool {
	if a.spent() {
		return false
	}
	if !a.fault.covers(path) || a.fault.Grant != "" && a.fault.Grant != grant {
		return false
	}
	return a.fault.User == "" || slices.ContainsFunc(identifiers, func(id string) bool {
		return strings.EqualFold(id, a.fault.User)
	})
}

// covers reports whether the fault applies to a path. A fault of the token endpoint
// applies to the redirect target only if it names that path.
func (f Fault) covers(path string) bool {
	switch f.Path {
	case AnyPath:
		return true
	case "":
		return f.atHome(path)
	}
	return path == f.Path || strings.HasSuffix(f.Path, "/") && strings.HasPrefix(path, f.Path)
}

// atHome reports whether a fault without a path applies to this one.
func (f Fault) atHome(path string) bool {
	switch {
	case slices.Contains(FaultsOf(KindJWKS), f.Name):
		return path == PathJWKS
	case slices.Contains(exportJobFaults(), f.Name):
		return strings.HasPrefix(path, PathJobs) && path != PathUsersExports
	case slices.Contains(FaultsOf(KindExport), f.Name):
		return strings.HasPrefix(path, PathExports)
	}
	return path == PathToken
}

// add sets a fault and returns its id.
func (l *faultList) add(f Fault) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.nextID
	l.nextID++
	l.active = append(l.active, &activeFault{id: id, fault: f, ended: make(chan struct{})})
	return id, nil
}

// take uses up and returns the faults that hold for a request.
func (l *faultList) take(path, grant string, identifiers []string) []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	var faults []Fault
	for _, a := range l.active {
		if a.matches(path, grant, identifiers) {
			a.hits++
			f := a.fault
			f.ended = a.ended
			faults = append(faults, f)
		}
	}
	return faults
}

// takeUnread uses up a reset that wants the body left unread. One narrowed to
// a user or a grant has to read the body first.
func (l *faultList) takeUnread(path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.active {
		if a.fault.Name == FaultResetBeforeRequest && a.fault.User == "" && a.matches(path, "", nil) {
			a.hits++
			return true
		}
	}
	return false
}

func (l *faultList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.active {
		close(a.ended)
	}
	l.active = nil
}

func (l *faultList) remove(id int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.active {
		if a.id == id {
			close(a.ended)
			l.active = slices.Delete(l.active, i, i+1)
			return nil
		}
	}
	return fmt.Errorf("fault %d: %w", id, ErrNotFound)
}

// SetFault sets a fault beside those already set, and returns its id.
func (s *Server) SetFault(f Fault) (int, error) {
	id, err := s.faults.add(f)
	if err != nil {
		return 0, fmt.Errorf("auth0sim: %w", err)
	}
	return id, nil
}

// ClearFaults ends all faults. Requests that hang already go on hanging; those that
// are held up by latency are answered.
func (s *Server) ClearFaults() { s.faults.clear() }

// ClearFault ends one fault, as ClearFaults does.
func (s *Server) ClearFault(id int) error {
	if err := s.faults.remove(id); err != nil {
		return fmt.Errorf("auth0sim: %w", err)
	}
	return nil
}
