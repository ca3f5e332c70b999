package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mapUserJSON = `{"user_id":"auth0|1","email":"kim@example.org","email_verified":true,"username":"kim-s","nickname":"kimmy",` +
		`"identities":[{"provider":"auth0","user_id":"1","connection":"db"}],"app_metadata":{"plan":"pro"}}`
	mapSchema = `{"properties":{"traits":{"additionalProperties":false,"properties":{` +
		`"email":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},` +
		`"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},` +
		`"nickname":{"type":"string","maxLength":4}}}}}`
	mapProgram = `local claims = std.extVar('claims'); {identity: {traits: {email: claims.email}, metadata_public: {plan: claims.raw_claims.app_metadata.plan}}}`
)

// TestMap: 0 mapped and valid, 1 not valid or not mapped, 2 wrong usage; the identity
// on standard output, everything else on standard error.
func TestMap(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"user.json": mapUserJSON, "schema.json": mapSchema, "mapper.jsonnet": mapProgram,
		"cut.json": `{"user_id":"auth0|1"`, "cut.jsonnet": `{identity: {`, "fails.jsonnet": `error std.extVar('claims').email`,
		"more.jsonnet": `{identity: {traits: {email: 'a@example.org'}}, metadata_public: {}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args, stdin    string
		status         int
		stdout, stderr string
	}{
		"without a schema":     {args: "--user user.json", stdout: `"email": "kim@example.org"`, stderr: "not validated: no --schema was given\n"},
		"the binding":          {args: "--user user.json", stdout: `"user_ids": [`, stderr: "not validated"},
		"standard input":       {args: "--user -", stdin: mapUserJSON, stdout: `"user_id": "auth0|1"`, stderr: "not validated"},
		"a mapper":             {args: "--mapper mapper.jsonnet --schema schema.json --user user.json", stdout: `"plan": "pro"`, stderr: "valid by schema.json\n"},
		"not valid":            {args: "--schema schema.json --user user.json", status: exitFailed, stdout: `"nickname": "kimmy"`, stderr: "traits.nickname has 5 characters, more than 4\n"},
		"says what is no fact": {args: "--schema schema.json --user user.json", status: exitFailed, stderr: "traits.username is an unverified identifier or address: a login never fills it\n"},
		"no user":              {args: "--schema schema.json", status: exitUsage, stderr: "give the user's file"},
		"no such file":         {args: "--user nobody.json", status: exitUsage, stderr: "nobody.json"},
		"no such mapper":       {args: "--mapper none.jsonnet --user user.json", status: exitUsage, stderr: "none.jsonnet"},
		"an unknown flag":      {args: "--users user.json", status: exitUsage, stderr: "unknown flag"},
		"a word too many":      {args: "user.json", status: exitUsage, stderr: "unknown command"},
		"a cut user":           {args: "--user cut.json", status: exitFailed, stderr: "read user: not the JSON expected"},
		"a cut mapper":         {args: "--mapper cut.jsonnet --user user.json", status: exitFailed, stderr: "cut.jsonnet:1"},
		"a mapper that fails":  {args: "--mapper fails.jsonnet --user user.json", status: exitFailed, stderr: "fails.jsonnet:1: kim@example.org"},
		"a mapper with more":   {args: "--mapper more.jsonnet --user user.json", stdout: `"email": "a@example.org"`, stderr: "note: the mapper's key metadata_public is ignored"},
		"a schema that is cut": {args: "--schema cut.json --user user.json", status: exitFailed, stderr: "read identity schema"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			var stdout, stderr bytes.Buffer
			status := runMap(strings.Fields(c.args), strings.NewReader(c.stdin), &stdout, &stderr)
			if status != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("status %d\nstdout: %s\nstderr: %s", status, stdout.String(), stderr.String())
			}
			if strings.Contains(stderr.String(), "kim") && name != "a mapper that fails" { // whose own message that is
				t.Errorf("stderr quotes the user: %s", stderr.String())
			}
		})
	}
}

// runMap runs the subcommand by itself, with the exit statuses of run.
func runMap(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := mapCommand(stdin, stdout, stderr)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.Execute()
	if err == nil {
		return exitOK
	}
	_, _ = io.WriteString(stderr, err.Error())
	var failed failedError
	if errors.As(err, &failed) {
		return exitFailed
	}
	return exitUsage
}
