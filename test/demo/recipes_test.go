package demo

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testRecipes makes the requests of the printed curl lines, without curl.
func testRecipes(t *testing.T, out string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "curl ") || strings.HasPrefix(line, "action=$(curl ") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 8 {
		t.Fatalf("got %d lines, want 8: %q", len(lines), lines)
	}
	look, down, up, ask, flow, login, attempts, answers := lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], lines[6], lines[7]
	c := curl{client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}}
	c.check(t, look, 200, `"use_password_migration_hook":true`)
	c.check(t, down, 200, `"id":`)
	c.check(t, ask, 424, `"unavailable"`)
	c.check(t, up, 204, "")
	c.check(t, ask, 200, `"password_match"`)
	c.check(t, look, 200, `"use_password_migration_hook":true`) // asking stores nothing

	// What the line greps for.
	c.action = regexp.MustCompile(`http[^"]*login\?flow=[^"]*`).FindString(c.check(t, flow, 200, `"type":"api"`))
	c.check(t, login, 200, `"session_token":`)
	c.check(t, look, 200, `"hashed_password":"$2a$`)
	c.check(t, attempts, 200, `"token_requests":9`) // five passwords, a machine token, a code and a refresh token in the story, one asked; the login is identical
	c.check(t, answers, 200, `ferry_hook_outcomes_total{outcome="match",route="password-migration"} 5`)
}

// curl implements the part of curl that the recipes use.
type curl struct {
	client *http.Client
	action string // the variable of that name
}

func (c curl) check(t *testing.T, line string, status int, text string) string {
	t.Helper()
	option := func(pattern string) string {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(line); found != nil {
			return found[1]
		}
		return ""
	}
	address, method, data := option(`(http://[^\s'"|)]+)`), option(`-X (\w+)`), option(`-d '([^']*)'`)
	if strings.Contains(line, `"$action"`) {
		address = c.action
	}
	if method == "" {
		method = http.MethodGet
		if data != "" {
			method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range regexp.MustCompile(`-H '([^:']*): ([^']*)'`).FindAllStringSubmatch(line, -1) {
		req.Header.Set(header[1], header[2])
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status || !strings.Contains(string(body), text) {
		t.Errorf("%s\ngot %s: %s\nwant %d with %s", line, resp.Status, body, status, text)
	}
	return string(body)
}
