package faults

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ferry/test/await"
	"ferry/test/fulldisk"
)

// fullDisk is a stack whose ferry has a disk of its own.
type fullDisk struct {
	*stack

	disk *fulldisk.Disk
}

// files makes a new disk, and returns the settings with which ferry writes to it.
func (s *fullDisk) files(t *testing.T) []string {
	t.Helper()
	s.disk = fulldisk.New(t)
	s.under, s.logFile = s.disk.Under, ""
	return []string{
		"FERRY_RECORD_DIR=" + s.disk.Dir() + "/recordings", "FERRY_DATA_DIR=" + s.disk.Dir() + "/data",
		"FERRY_STATE_URL=memory:", "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=1000",
	}
}

// fill fills the disk of the running ferry.
func (s *fullDisk) fill(t *testing.T) {
	t.Helper()
	if err := s.disk.Fill(s.ferry.Load().Pid()); err != nil {
		t.Fatal(err)
	}
}

// logins checks logins while the disk is full, and again when there is room.
func (s *fullDisk) logins(t *testing.T, says ...string) {
	t.Helper()
	testFault(t, s.stack, true, func() {
		for _, text := range says {
			if !await.True(func() bool { return strings.Contains(s.ferry.Load().Logs(), text) }) {
				t.Errorf("the log does not say %q:\n%s", text, s.ferry.Load().Logs())
			}
		}
		if err := s.disk.Free(s.ferry.Load().Pid()); err != nil {
			t.Fatal(err)
		}
	})
}

// testFullDisk fills the disk with ferry's recordings, its data directory or its log while users
// log in. Logins go on, and so does everything else once there is room again.
func testFullDisk(t *testing.T, on *stack) {
	t.Helper()
	s := &fullDisk{stack: on}
	defer func() { s.under, s.logFile = nil, "" }()
	t.Run("recordings and data", s.testFiles)
	t.Run("from the start", func(t *testing.T) {
		settings := s.files(t)
		if err := s.disk.Fill(); err != nil {
			t.Fatal(err)
		}
		s.change(t, settings, nil)
		s.logins(t, "recording stopped")
	})
	t.Run("the log", func(t *testing.T) {
		s.disk = fulldisk.New(t)
		s.logFile = s.disk.Path("log")
		s.under = func() []string {
			return append(s.disk.Under(), "sh", "-c", `exec "$@" 2>>"$0"`, s.disk.Dir()+"/log")
		}
		s.change(t, []string{}, nil)
		s.fill(t)
		before := len(s.ferry.Load().Logs())
		s.logins(t)
		if !await.True(func() bool { return strings.Contains(s.ferry.Load().Logs()[before:], `"answered"`) }) {
			t.Errorf("the log does not go on:\n%s", s.ferry.Load().Logs())
		}
		s.under, s.logFile = nil, ""
		s.change(t, []string{}, nil)
	})
}

// testFiles: with room again, the wrong passwords are stored, those of the time without
// included.
func (s *fullDisk) testFiles(t *testing.T) {
	settings := s.files(t)
	s.change(t, settings, nil)
	s.fill(t)
	s.logins(t, "recording stopped", "failed logins not stored")
	wrong, err := s.person(t.Context())
	if err == nil {
		err = s.loginWrong(t.Context(), wrong)
	}
	if err != nil {
		t.Error(err)
	}
	s.change(t, settings, nil)
	if failed := s.metric(t, "ferry_own_address_failed_logins"); failed < 2 {
		t.Errorf("%v failed logins after the restart", failed)
	}
}

// metric is the value of a metric of ferry's without labels.
func (s *stack) metric(t *testing.T, name string) (value float64) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ferry.Load().AdminURL()+"/metrics/prometheus", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), name+" "); found {
			if _, err := fmt.Sscan(text, &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
