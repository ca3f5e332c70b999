package deploy

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeDir = "deploy/compose"

// values are what env.example leaves to be filled in.
func composeValues() map[string]string {
	return map[string]string{
		"FERRY_IMAGE":                 "registry.example.com/ferry:v1.2.3",
		"FERRY_AUTH0_DOMAIN":          "tenant.eu.auth0.com",
		"FERRY_AUTH0_CLIENT_ID":       "client-id",
		"FERRY_AUTH0_REALMS":          "Username-Password-Authentication",
		"KRATOS_PUBLIC_URL":           "https://accounts.example.org/",
		"COURIER_SMTP_CONNECTION_URI": "smtps://user:password@mail.example.org:465/",
	}
}

// checkout is a copy of the files that the compose file needs, in which setup.sh has run.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"deploy", "kratos.yml.example", "identity.schema.json.example"} {
		if out, err := exec.Command("cp", "-R", filepath.Join(root, part), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	setUp(t, dir)
	return dir
}

func setUp(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("sh", filepath.Join(dir, composeDir, "setup.sh")).CombinedOutput()
	if err != nil {
		t.Fatalf("setup.sh: %v\n%s", err, out)
	}
	return string(out)
}

// load loads the compose file as `docker compose` does.
func load(t *testing.T, dir string, values map[string]string) (*types.Project, error) {
	t.Helper()
	file := filepath.Join(dir, composeDir, "compose.yaml")
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  filepath.Dir(file),
		ConfigFiles: []types.ConfigFile{{Filename: file}},
		Environment: values,
	}, func(o *loader.Options) { o.SetProjectName("ferry", true) })
}

func project(t *testing.T) (dir string, p *types.Project) {
	t.Helper()
	dir = checkout(t)
	p, err := load(t, dir, composeValues())
	if err != nil {
		t.Fatal(err)
	}
	return dir, p
}

// TestCompose: what the services share and what is reachable.
func TestCompose(t *testing.T) {
	t.Parallel()
	dir, p := project(t)
	var published []string
	for name, service := range p.Services {
		if name != "kratos-migrate" && (service.HealthCheck == nil || service.Restart != "unless-stopped") {
			t.Errorf("%s has no health check, or is not started again", name)
		}
		if _, tag, ok := strings.Cut(service.Image, ":"); !ok || tag == "latest" {
			t.Errorf("%s has the image %s", name, service.Image)
		}
		for _, port := range service.Ports {
			published = append(published, port.HostIP+":"+port.Published)
		}
		checkMounts(t, service)
		if name != "postgres" && (!service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || len(service.SecurityOpt) != 1) {
			t.Errorf("%s is not confined", name)
		}
	}
	slices.Sort(published)
	if want := []string{"127.0.0.1:3000", "127.0.0.1:4433", "127.0.0.1:9090"}; !slices.Equal(published, want) {
		t.Errorf("published are %q, want %q", published, want)
	}
	if got, want := neighbours(p, "kratos"), []string{"ferry", "kratos-migrate", "postgres"}; !slices.Equal(got, want) {
		t.Errorf("Kratos' admin API can be reached by %q, want %q", got, want)
	}
	if got := neighbours(p, "redis"); !slices.Equal(got, []string{"ferry"}) {
		t.Errorf("Redis can be reached by %q", got)
	}
	if *p.Services["ferry"].Deploy.Replicas != 2 {
		t.Error("there are not two ferries")
	}
	checkSecrets(t, dir, p)
}

// checkMounts requires that what a service mounts of this directory exists, and is read-only.
func checkMounts(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	for _, volume := range service.Volumes {
		if volume.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(volume.Source); err != nil || volume.Bind == nil || bool(volume.Bind.CreateHostPath) || !volume.ReadOnly {
			t.Errorf("%s mounts %s: %v", service.Name, volume.Source, err)
		}
	}
}

// neighbours are the services that share a network with one.
func neighbours(p *types.Project, of string) []string {
	found := map[string]bool{}
	for name, service := range p.Services {
		for network := range service.Networks {
			if _, shared := p.Services[of].Networks[network]; shared && name != of {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// checkSecrets requires that setup.sh makes every secret but Auth0's, that each is used, and
// that every container may read it while other users of the machine may not.
func checkSecrets(t *testing.T, dir string, p *types.Project) {
	t.Helper()
	used := map[string]bool{}
	for _, service := range p.Services {
		for _, secret := range service.Secrets {
			used[secret.Source] = true
		}
	}
	for name, secret := range p.Secrets {
		info, err := os.Stat(secret.File)
		if name == "auth0-client-secret" {
			if err == nil {
				t.Errorf("setup.sh made %s", name)
			}
			continue
		}
		if err != nil || info.Mode().Perm() != 0o644 || info.Size() < 32 || !used[name] {
			t.Errorf("secret %s: %v %v, used: %t", name, info, err, used[name])
		}
	}
	if info, err := os.Stat(filepath.Join(dir, composeDir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("secrets/: %v %v", info, err)
	}
}

// TestComposeNeedsItsValues: without any of them, and without the files of setup.sh, nothing
// starts.
func TestComposeNeedsItsValues(t *testing.T) {
	t.Parallel()
	dir := checkout(t)
	for name := range composeValues() {
		for which, empty := range map[string]bool{"empty": true, "missing": false} {
			values := composeValues()
			if delete(values, name); empty {
				values[name] = ""
			}
			if _, err := load(t, dir, values); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "fill in .env") {
				t.Errorf("%s is %s: %v", name, which, err)
			}
		}
	}
	example, err := os.ReadFile(filepath.Join(dir, composeDir, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range composeValues() {
		if !strings.Contains(string(example), "\n"+name+"=") {
			t.Errorf("env.example has no %s", name)
		}
	}
	if err := os.Remove(filepath.Join(dir, composeDir, "secrets/kratos.env")); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, dir, composeValues()); err == nil || !strings.Contains(err.Error(), "kratos.env") {
		t.Errorf("without the secrets of Kratos: %v", err)
	}
}

// TestComposeSetUpTwice: setup.sh changes nothing that exists, and two runs elsewhere make
// other secrets.
func TestComposeSetUpTwice(t *testing.T) {
	t.Parallel()
	secrets := func(dir string) map[string]string {
		files, err := filepath.Glob(filepath.Join(dir, composeDir, "secrets/*"))
		if err != nil || len(files) < 9 {
			t.Fatal(files, err)
		}
		found := map[string]string{}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.Base(file)] = string(text)
		}
		return found
	}
	dir, other := checkout(t), checkout(t)
	before, others := secrets(dir), secrets(other)
	out := setUp(t, dir)
	if !maps.Equal(before, secrets(dir)) || strings.Contains(out, "made ") {
		t.Errorf("the second run changed something:\n%s", out)
	}
	for name, text := range before {
		if text == others[name] {
			t.Errorf("%s is the same in every installation", name)
		}
		if strings.Contains(out, text) {
			t.Errorf("setup.sh printed %s", name)
		}
	}
}

// TestComposeFerry: the real ferry accepts the settings of its service.
func TestComposeFerry(t *testing.T) {
	t.Parallel()
	dir, p := project(t)
	secrets := filepath.Join(dir, composeDir, "secrets")
	if err := os.WriteFile(filepath.Join(secrets, "auth0-client-secret"), []byte("client-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := imageEnv(t)
	for name, value := range p.Services["ferry"].Environment {
		env = append(env, name+"="+strings.Replace(*value, "/run/secrets", secrets, 1))
	}
	if status, out := ferry(t, env, "config"); status != 0 {
		t.Errorf("ferry config ends with %d:\n%s", status, out)
	}
}
