// Package docs checks that docs/answers.md agrees with the code.
package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"ferry/hook"
	"ferry/outcome"
	"ferry/upstream"
)

var update = flag.Bool("update", false, "write docs/answers.md anew")

const path = "../../docs/answers.md"

// TestAnswers: docs/answers.md is generated from the tables in the code.
func TestAnswers(t *testing.T) {
	want := page()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("docs/answers.md is not what the tables say: run `make readme` (%v)", err)
	}
}

func page() string {
	var out strings.Builder
	out.WriteString(`# Every answer

For operators and developers who want to know what ferry does with an answer of Auth0, and what the user sees. Generated from the tables in the code by ` + "`make readme`" + `; do not edit.

## What Auth0 answers

` + "`POST /oauth/token`" + ` with a status other than 200, read from the top: the first row that fits decides. Texts are compared without regard to case or a full stop at the end; … stands for anything. An answer that is not JSON, is ambiguous or has no ` + "`error`" + ` has no code.

Evidence: REC recorded traffic, DOC current documentation, OLDDOC retired documentation, SDK a constant of an official SDK, RPT a public report, RULE not described anywhere, a rule of ferry.

| status | error | error_description | reason in the log | outcome | Kratos is told | the user sees | evidence |
| --- | --- | --- | --- | --- | --- | --- | --- |
`)
	for _, row := range upstream.Contract() {
		codes := "any"
		if len(row.Codes) > 0 {
			codes = "`" + strings.Join(row.Codes, "` `") + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | `%s` | %s | %s | %s |\n", row.Status(), codes, row.Text, row.Reason, answer(row.Outcome), sees(row.Outcome), row.Evidence)
	}
	out.WriteString(`
Status 200 is a match only with all of: the media type application/json, one unambiguous JSON object, no ` + "`error`" + `, an access token, and a subject that is verified and that the identity was imported from. The subject comes from the ID token: its signature, issuer, audience, authorized party, expiry and subject must hold, else the outcome is garbled (` + "`id_token_…`" + `). Where its signature cannot be checked (HS256, or the keys cannot be fetched), or where there is none, ` + "`/userinfo`" + ` says which user it is; if that fails, the outcome is unavailable (` + "`userinfo_…`" + `).

No answer at all is unavailable: ` + "`timeout`, `dns`, `dial`, `tls`, `connection_broken`, `answer_too_large`" + `. An answer that comes twice (` + "`surplus_answer`" + `) and 101 Switching Protocols (` + "`protocol_switch`" + `) are garbled.

In some cases ferry does not ask Auth0. The outcome is limited for ` + "`own_rate_limit` (`FERRY_AUTH0_REQUESTS_PER_SECOND`) and `auth0_rate_limit`; it is unavailable for `breaker_open` and `breaker_probing`, and for `queue_full` and `queue_time`, while too many logins are in flight" + `. [troubleshooting.md](troubleshooting.md#limits-towards-auth0) explains them.

## What Kratos is told

| outcome | Kratos is told | the user sees |
| --- | --- | --- |
`)
	for _, o := range outcome.All() {
		fmt.Fprintf(&out, "| %s | %s |\n", answer(o), sees(o))
	}
	return out.String()
}

func answer(o outcome.Outcome) string {
	status, body := hook.Answer(o)
	return fmt.Sprintf("%s | %d `%s`", o, status, body)
}

// sees returns what Kratos shows for the status (observed on 1.3.1, 25.4 and 26.2; the
// end-to-end tests check it).
func sees(o outcome.Outcome) string {
	switch status, _ := hook.Answer(o); status {
	case 200:
		return "is logged in"
	case 403:
		return "wrong credentials (4000006)"
	default:
		return "an outage (502)"
	}
}
