package wiring_test

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"ferry/wiring"
)

var update = flag.Bool("update", false, "write the Jsonnet into kratos.yml.example anew")

// TestExample: kratos.yml.example carries the after-login template as it is.
func TestExample(t *testing.T) {
	const path = "../kratos.yml.example"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^( +body: )base64://\S+( # wiring/after-login\.jsonnet)$`)
	if found := line.FindAll(text, -1); len(found) != 1 {
		t.Fatalf("%d lines with the after-login template", len(found))
	}
	want := line.ReplaceAll(text, []byte("${1}"+wiring.Base64(wiring.AfterLoginJsonnet(""))+"${2}"))
	if string(want) == string(text) {
		return
	}
	if !*update {
		t.Fatal("kratos.yml.example carries another after-login template: run `make readme`")
	}
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
}
