package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// releaseConfig is what the tests look at in .goreleaser.yaml.
type releaseConfig struct {
	Before struct {
		Hooks []string `json:"hooks"`
	} `json:"before"`
	Builds []struct {
		Main    string   `json:"main"`
		Goos    []string `json:"goos"`
		Goarch  []string `json:"goarch"`
		Flags   []string `json:"flags"`
		Ldflags []string `json:"ldflags"`
	} `json:"builds"`
	Archives []struct {
		Files []struct {
			Src string `json:"src"`
		} `json:"files"`
	} `json:"archives"`
}

// TestRelease: what the release builds and packs exists, its script makes the rest, and
// `make platforms` compiles for its systems and processors.
func TestRelease(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config releaseConfig
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	made := madeFiles(t)
	if !slices.Contains(config.Before.Hooks, "sh scripts/release-files.sh build/release") {
		t.Errorf("the hooks are %q", config.Before.Hooks)
	}
	build := config.Builds[0]
	if _, err := os.Stat(filepath.Join(root, build.Main, "main.go")); err != nil || !slices.Contains(build.Flags, "-trimpath") || !strings.Contains(build.Ldflags[0], "-X main.version=") {
		t.Errorf("the build is %+v: %v", build, err)
	}
	for _, file := range config.Archives[0].Files {
		pattern := filepath.Join(root, file.Src)
		if in, ok := strings.CutPrefix(file.Src, "build/release/"); ok {
			pattern = filepath.Join(made, in)
		}
		checkFiles(t, pattern)
	}
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	compiled := regexp.MustCompile(`for platform in (.*);`).FindSubmatch(makefile)
	for _, part := range slices.Concat(build.Goos, build.Goarch) {
		if compiled == nil || !strings.Contains(string(compiled[1]), part) {
			t.Errorf("make platforms compiles %q, not for %s", compiled, part)
		}
	}
}

// madeFiles is the directory that the release's script fills.
func madeFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", root+"/scripts/release-files.sh", dir)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1764374400")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("release-files.sh: %v\n%s", err, out)
	}
	return dir
}

// checkFiles requires that there are files, none of which is empty.
func checkFiles(t *testing.T, pattern string) {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Errorf("there is no %s (%v)", pattern, err)
	}
	for _, path := range found {
		if info, err := os.Stat(path); err != nil || info.Size() < 100 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSystemdPage: the commands of docs/deploy.md install the unit and its files.
func TestSystemdPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?ms)^```\n(install .*?)^```$").FindSubmatch(text)
	if script == nil {
		t.Fatal("no commands that install the unit")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(string(script[1]), " /etc/", " "+dir+"/"))
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, mode := range map[string]os.FileMode{"systemd/system/ferry.service": 0o644, "ferry/ferry.env": 0o600, "ferry/secrets/hook-keys": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode || info.Size() < 32 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
