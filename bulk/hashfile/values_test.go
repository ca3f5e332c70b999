package hashfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestJSONShapes: the same hashes are found however the objects stand in the file.
func TestJSONShapes(t *testing.T) {
	one, two := strings.TrimSpace(user("1", "a", day(1))), strings.TrimSpace(user("2", "b", day(2)))
	indented := func(text string) string {
		var out bytes.Buffer
		if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for name, text := range map[string]string{
		"lines":           one + "\n" + two + "\n",
		"one array":       "[" + one + ", " + two + "]",
		"array of lines":  "[\n" + one + ",\n" + two + "\n]\n",
		"indented array":  indented("[" + one + "," + two + "]"),
		"two arrays":      "[" + one + "]\n[" + two + "]\n",
		"indented":        indented(one) + "\n" + indented(two),
		"side by side":    one + two,
		"blanks and mark": "\ufeff\r\n  [" + one + "," + two + "]  ",
	} {
		for packing, text := range map[string]string{"plain": text, "gzip": pack(t, text)} {
			t.Run(name+"/"+packing, func(t *testing.T) {
				x := index(t, text)
				if bad, _, _ := unreadable(x); x.Len() != 2 || bad != 0 {
					t.Errorf("%d entries, %d bad", x.Len(), bad)
				}
				if a, b, c := found(t, x, "auth0|1"), found(t, x, "auth0|2"), found(t, x, "auth0|3"); a != "a" || b != "b" || c != "none" {
					t.Errorf("found %s, %s and %s", a, b, c)
				}
			})
		}
	}
}

// TestUnreadableElements: one of an array costs itself alone.
func TestUnreadableElements(t *testing.T) {
	huge := strings.TrimSpace(user("7", strings.Repeat("x", maxLine), ""))
	var parts []string
	for _, part := range []string{user("1", "a", ""), `"canary"`, huge, user("2", "", ""), "5", user("3", "c", "")} {
		parts = append(parts, strings.TrimSpace(part))
	}
	x := index(t, "["+strings.Join(parts, ",\n")+"]")
	if bad, first, _ := unreadable(x); bad != 4 || first != 2 || x.Len() != 2 {
		t.Errorf("%d unreadable, the first is %d; %d readable", bad, first, x.Len())
	}
	if found(t, x, "auth0|1") != "a" || found(t, x, "auth0|3") != "c" || found(t, x, "auth0|7") != "none" {
		t.Error("the others are not found")
	}
}

// TestArrayChanges: a hash is never taken from an object that was not there when the
// file was opened.
func TestArrayChanges(t *testing.T) {
	array := func(ids ...string) string {
		for i, id := range ids {
			ids[i] = strings.TrimSpace(user(id, "h"+id, ""))
		}
		return "[" + strings.Join(ids, ",") + "]"
	}
	name := write(t, array("1", "2"))
	x, err := Open(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for _, text := range []string{array("1", "3"), "[" + array("1", "2"), array("1", "2")[:60], "", fmt.Sprintf("[%100s]", "")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := x.Find("auth0|2"); ok || !errors.Is(err, errChanged) {
			t.Errorf("%.30s…: %v, %v", text, ok, err)
		}
	}
}

// FuzzOpen: whatever the file, its entries are found again where they were noted, and
// no error holds a part of it.
func FuzzOpen(f *testing.F) {
	one := strings.TrimSpace(user("1", "a", day(1)))
	for _, seed := range []string{
		"", "\ufeff", one, one + one, "[" + one + "]", "[" + one + ",5]\n[" + one, "{\n\"_id\":\"1\",\n\"passwordHash\":\"h\"}", theirs, "[[" + one + "]]", `{"users":[` + one + `]}`,
		"_id;passwordHash;password_set_date\nauth0|5d;h;2019-12-06\n6d;;\n\"7d;h;\n", "user_id,hash\n5d,h\n", "PK\x03\x04",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name := write(t, string(data))
		var subjects []string
		x, err := open(t.Context(), name, t.TempDir(), func(subject string) uint64 {
			subjects = append(subjects, subject)
			return uint64(len(subject)) << 40
		})
		if err != nil {
			return
		}
		defer x.Close()
		if len(subjects) != x.Len() {
			t.Fatalf("%d subjects, %d entries", len(subjects), x.Len())
		}
		for _, subject := range subjects[:min(len(subjects), 8)] {
			if hash, ok, err := x.Find(subject); err != nil || !ok || hash.Subject != subject {
				t.Fatalf("%q: %v, %v", subject, ok, err)
			}
		}
	})
}
