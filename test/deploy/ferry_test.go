package deploy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var (
	program  = sync.OnceValues(build)
	ownFiles = sync.OnceValues(keyAndCertificate)
	buildDir string
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ferry-deploy-")
	if err != nil {
		panic(err)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func build() (string, error) {
	path := filepath.Join(buildDir, "ferry")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/ferry")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return path, errors.Join(err, textError(out))
}

func textError(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	return errors.New(string(out))
}

// ferry runs the real ferry with exactly these variables.
func ferry(t *testing.T, env []string, args ...string) (status int, output string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(slices.Clone(env), "PATH=/nowhere")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// keyAndCertificate are PEM files of one RSA key and its certificate.
func keyAndCertificate() (map[string]string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"ferry.ory"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"key":  string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
	}, nil
}

// container runs a container's program as the kubelet would: its variables, and its volumes
// below a directory of the test, to which the paths in the variables point.
type container struct {
	core.Container
	spec    core.PodSpec
	objects []runtime.Object
}

func (c container) env(t *testing.T) []string {
	t.Helper()
	env := imageEnv(t)
	for _, from := range c.EnvFrom {
		for name, value := range configMap(c.objects, from.ConfigMapRef.Name).Data {
			env = append(env, name+"="+value)
		}
	}
	dir := t.TempDir()
	c.writeVolumes(t, dir)
	for _, e := range c.Env {
		if e.ValueFrom != nil {
			continue
		}
		value := e.Value
		for _, mount := range c.VolumeMounts {
			if strings.HasPrefix(value, mount.MountPath+"/") || value == mount.MountPath {
				value = dir + value
			}
		}
		env = append(env, e.Name+"="+value)
	}
	return env
}

// imageEnv are the variables that the image sets for every command.
func imageEnv(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, stage, _ := strings.Cut(string(text), "\nFROM scratch")
	env := regexp.MustCompile(`FERRY_[A-Z_]+=\S+`).FindAllString(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(stage, ""), -1)
	if len(env) < 2 {
		t.Fatalf("the image sets %q", env)
	}
	return env
}

// writeVolumes writes the files of every volume. What the chart does not make is a key, a
// certificate, or a text that is long enough.
func (c container) writeVolumes(t *testing.T, dir string) {
	t.Helper()
	outside, err := ownFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range c.VolumeMounts {
		i := slices.IndexFunc(c.spec.Volumes, func(v core.Volume) bool { return v.Name == mount.Name })
		files := map[string]string{}
		switch volume := c.spec.Volumes[i]; {
		case volume.ConfigMap != nil && configMap(c.objects, volume.ConfigMap.Name) != nil:
			files = configMap(c.objects, volume.ConfigMap.Name).Data
		case volume.Secret != nil && volume.Secret.SecretName == release:
			for _, item := range volume.Secret.Items {
				files[item.Path] = string(one[*core.Secret](t, c.objects).Data[item.Key])
			}
		case volume.Secret != nil && volume.Secret.SecretName == "ferry-tls":
			files = map[string]string{"tls.crt": outside["cert"], "tls.key": outside["key"]}
		case volume.Secret != nil:
			files = map[string]string{"FERRY_HOOK_KEYS": strings.Repeat("k", 32), "FERRY_AUTH0_PRIVATE_KEY": outside["key"]}
		}
		if err := os.MkdirAll(dir+mount.MountPath, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir+mount.MountPath, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestFerryTakesTheSettings: the real ferry accepts the variables and files that the pods
// have.
func TestFerryTakesTheSettings(t *testing.T) {
	t.Parallel()
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := objects(t, values)
			for _, d := range all[*apps.Deployment](objects) {
				c := container{d.Spec.Template.Spec.Containers[0], d.Spec.Template.Spec, objects}
				if status, out := ferry(t, c.env(t), "config"); status != 0 {
					t.Errorf("the Deployment: ferry config ends with %d:\n%s", status, out)
				}
			}
			for _, p := range all[*core.Pod](objects) {
				c := container{p.Spec.Containers[0], p.Spec, objects}
				if status, out := ferry(t, c.env(t), "config"); status != 0 || c.Args[0] != "doctor" {
					t.Errorf("the test of the release, %q: ferry config ends with %d:\n%s", c.Args, status, out)
				}
			}
			for _, j := range all[*batch.Job](objects) {
				checkImport(t, container{j.Spec.Template.Spec.Containers[0], j.Spec.Template.Spec, objects}, j)
			}
		})
	}
}

// checkImport runs the Job's command: ferry takes its flags and settings, and misses only the
// file.
func checkImport(t *testing.T, c container, job *batch.Job) {
	t.Helper()
	if *job.Spec.CompletionMode != batch.IndexedCompletion || *job.Spec.Completions != *job.Spec.Parallelism || *job.Spec.Completions != 4 {
		t.Errorf("the Job has %+v", job.Spec)
	}
	dir := t.TempDir()
	var args []string
	for _, arg := range c.Args {
		args = append(args, strings.NewReplacer("$(SHARD)", "3", "=/data", "="+dir).Replace(arg))
	}
	if !slices.Contains(args, "--shard=3/4") {
		t.Errorf("the import is called with %q", args)
	}
	// With the schema, the file comes before the first request.
	status, out := ferry(t, c.env(t), append(args, "--schema="+root+"/identity.schema.json.example", "--schema-id=person")...)
	if status != 1 || !strings.Contains(out, "users.ndjson.gz") || !strings.Contains(out, "no such file") {
		t.Errorf("%q ends with %d, and should miss its file:\n%s", args, status, out)
	}
}

// TestTheImportJobsAreTheSame: the manifest without Helm and the chart's Job call ferry with
// the same flags, and confine it as much.
func TestTheImportJobsAreTheSame(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/deploy/import-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	object, _, err := strictDecoder(t).Decode(text, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, ok := object.(*batch.Job)
	if !ok {
		t.Fatalf("import-job.yaml is a %T", object)
	}
	charts := one[*batch.Job](t, objects(t, valueSets(t)["import"]))
	a, b := plain.Spec.Template.Spec.Containers[0], charts.Spec.Template.Spec.Containers[0]
	if !slices.Equal(a.Args, b.Args) || *plain.Spec.Completions != *charts.Spec.Completions || *plain.Spec.BackoffLimitPerIndex != *charts.Spec.BackoffLimitPerIndex || !a.Resources.Limits.Memory().Equal(*b.Resources.Limits.Memory()) {
		t.Errorf("without Helm: %q %+v\nwith Helm: %q %+v", a.Args, a.Resources, b.Args, b.Resources)
	}
}
