package docker

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// image reads ferry's Dockerfile: the stage that builds and the one that ships.
func image(t *testing.T) (build, final stage) {
	t.Helper()
	stages, err := parse(read(t, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("the Dockerfile has %d stages, want one that builds and one that ships", len(stages))
	}
	return stages[0], stages[1]
}

// buildLine finds the one RUN that builds ferry and the path it writes to.
func buildLine(t *testing.T, build stage) (line, output string) {
	t.Helper()
	for _, run := range build.all("RUN") {
		if strings.Contains(run, "go build") {
			line += run
		}
	}
	found := regexp.MustCompile(` -o (\S+) `).FindAllStringSubmatch(line, -1)
	if len(found) != 1 {
		t.Fatalf("want one RUN with one go build -o, got %q", line)
	}
	return line, found[0][1]
}

func TestTheImagesProgram(t *testing.T) {
	t.Parallel()
	build, _ := image(t)
	line, output := buildLine(t, build)
	dir := t.TempDir()
	patterns := strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(read(t, ".dockerignore"), ""))
	if err := copyContext(root, filepath.Join(dir, "src"), patterns); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "ferry")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(line, " -o "+output+" ", ` -o "$OUTPUT" `, 1))
	cmd.Dir = filepath.Join(dir, "src")
	// CGO_ENABLED=1 is the default where the Dockerfile does not set it.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=1", "VERSION=v1.2.3-test", "OUTPUT="+program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the Dockerfile's build line, over what .dockerignore leaves: %v\n%s", err, out)
	}

	t.Run("static", func(t *testing.T) {
		t.Parallel()
		checkStatic(t, program)
	})
	t.Run("version", func(t *testing.T) {
		t.Parallel()
		out, err := exec.CommandContext(t.Context(), program, "version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "v1.2.3-test") {
			t.Errorf("ferry version: %v\n%s", err, out)
		}
	})
}

// checkStatic fails if the program needs a loader or a library: the image has
// neither.
func checkStatic(t *testing.T, program string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program asks for a dynamic loader")
	}
	// A file without a dynamic section has no libraries and no error.
	libraries, err := f.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("the program asks for libraries: %v, %v", libraries, err)
	}
	if f.Section(".symtab") != nil {
		t.Error("the program was not stripped")
	}
}

func TestTheFinalStage(t *testing.T) {
	t.Parallel()
	build, final := image(t)
	if final.base != "scratch" {
		t.Errorf("the image is built on %s, which may hold a shell; want scratch", final.base)
	}
	if runs := final.all("RUN"); len(runs) > 0 {
		t.Errorf("the final stage runs %q, there is nothing to run it with", runs)
	}
	if adds := final.all("ADD"); len(adds) > 0 {
		t.Errorf("the final stage adds %q; copy from the build stage", adds)
	}
	checkUser(t, final.all("USER"))

	_, output := buildLine(t, build)
	want := []string{
		"--from=" + build.name + " /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
		"--from=" + build.name + " " + output + " /ferry",
	}
	if got := final.all("COPY"); !slices.Equal(got, want) {
		t.Errorf("the final stage copies %q, want the certificates and the program: %q", got, want)
	}
	checkExec(t, final, "ENTRYPOINT", "/ferry")
	checkExec(t, final, "CMD", "serve")
}

// checkUser requires a number: runtimes that forbid root cannot resolve a name, and
// scratch has no names.
func checkUser(t *testing.T, users []string) {
	t.Helper()
	if len(users) != 1 {
		t.Fatalf("want one USER, got %q", users)
	}
	uid, gid, _ := strings.Cut(users[0], ":")
	for _, id := range []string{uid, gid} {
		if n, err := strconv.Atoi(id); err != nil || n == 0 {
			t.Errorf("USER %s: want numbers other than 0 for both", users[0])
		}
	}
}

// checkExec requires the form without a shell.
func checkExec(t *testing.T, s stage, word string, want ...string) {
	t.Helper()
	all := s.all(word)
	var got []string
	if len(all) != 1 || json.Unmarshal([]byte(all[0]), &got) != nil || !slices.Equal(got, want) {
		t.Errorf("%s is %q, want %q in JSON", word, all, want)
	}
}

func TestTheBuilderIsTheModulesGo(t *testing.T) {
	t.Parallel()
	build, _ := image(t)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if version == nil || build.base != "golang:"+version[1] {
		t.Errorf("the Dockerfile builds with %s, go.mod wants %q", build.base, version)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	stages, err := parse("# c\nFROM a:1 AS b\nRUN x \\\n  # inside\n  && y\n\nFROM scratch\nUSER 1:1\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 || stages[0].base != "a:1" || stages[0].name != "b" || !slices.Equal(stages[0].all("RUN"), []string{"x && y"}) || !slices.Equal(stages[1].all("USER"), []string{"1:1"}) {
		t.Errorf("read as %+v", stages)
	}
	for _, bad := range []string{"RUN x\n", "FROM a\nRUN <<EOF\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	patterns := []string{".*", "test", "**/*_test.go", "**/testdata"}
	for name, want := range map[string]bool{
		".git/config":          true,
		"test/e2e/x.go":        true,
		"hook/hook_test.go":    true,
		"hook/testdata/a/b.go": true,
		"hook/hook.go":         false,
		"hook/test/x.go":       false,
		"testing.go":           false,
	} {
		if got := ignored(patterns, name); got != want {
			t.Errorf("%s: ignored %t, want %t", name, got, want)
		}
	}
}
