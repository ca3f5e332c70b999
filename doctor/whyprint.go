package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// sentence describes the verdict. It is the first line of the output.
func (f Findings) sentence() string {
	switch f.Verdict {
	case Works:
		return "nothing is in the way: Kratos has the password and checks it itself. If the login still fails, the user types another password: let the user recover the account."
	case Crosses:
		return "nothing is in the way: the next login asks Auth0, and succeeds if the password is right there."
	case NothingFound:
		return "nothing found in what was looked at, but not everything was: see \"not looked at\" below."
	case Perhaps:
		return "something may be in the way:"
	case InTheWay:
		return "the login fails:"
	}
	return "the result is unknown:"
}

// Print writes the findings as text: the verdict, the problems and their fixes, and what
// was checked and what was not.
func (f Findings) Print(w io.Writer) error {
	var text strings.Builder
	text.WriteString(f.sentence() + "\n")
	for i, finding := range f.Findings {
		perhaps := ""
		if finding.Status == Warn {
			perhaps = " (perhaps)"
		}
		fmt.Fprintf(&text, "\n%d. %s%s\n   %s\n   -> %s\n", i+1, finding.Name, perhaps, finding.Detail, finding.Fix)
	}
	text.WriteString("\n")
	if f.IdentityID != "" {
		fmt.Fprintf(&text, "identity         %s\n", f.IdentityID)
	}
	hash := f.IdentifierHash
	if hash == "" {
		hash = "unknown: without FERRY_LOG_HASH_KEY it differs for each start of ferry"
	}
	fmt.Fprintf(&text, "identifier_hash  %s\n", hash)
	section(&text, "looked at, and in order:", f.Looked)
	section(&text, "not looked at:", f.NotLooked)
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("print findings: %w", err)
	}
	return nil
}

// section writes one list, unless it is empty.
func section(text *strings.Builder, title string, findings []Check) {
	if len(findings) == 0 {
		return
	}
	text.WriteString("\n" + title + "\n")
	for _, finding := range findings {
		fmt.Fprintf(text, "  %-15s  %s\n", finding.Name, finding.Detail)
		if finding.Fix != "" {
			fmt.Fprintf(text, "  %-15s  -> %s\n", "", finding.Fix)
		}
	}
}

// MarshalJSON writes empty lists as [], not null.
func (f Findings) MarshalJSON() ([]byte, error) {
	type plainFindings Findings
	f.Findings = append([]Check{}, f.Findings...)
	f.Looked = append([]Check{}, f.Looked...)
	f.NotLooked = append([]Check{}, f.NotLooked...)
	return json.Marshal(plainFindings(f))
}
