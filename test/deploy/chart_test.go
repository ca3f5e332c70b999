package deploy

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

const (
	root      = "../.."
	chartDir  = root + "/deploy/helm/ferry"
	release   = "ferry"
	namespace = "ory"
)

// valueSets are the files in ci/, by name.
func valueSets(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("value sets: %q, %v", files, err)
	}
	sets := map[string]map[string]any{}
	for _, file := range files {
		sets[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = valueSet(t, file)
	}
	return sets
}

func valueSet(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values, err := loader.LoadValues(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return values
}

// changed is a value set with some values changed.
func changed(t *testing.T, set string, change map[string]any) map[string]any {
	t.Helper()
	return loader.MergeMaps(valueSet(t, chartDir+"/ci/"+set+"-values.yaml"), change)
}

// render renders the chart as `helm template` does, with the checks of the values' schema.
func render(t *testing.T, values map[string]any) (map[string]string, error) {
	t.Helper()
	chart, err := loader.LoadDir(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	options := common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// objects renders the chart and decodes every object: an unknown field, or one twice, is an
// error.
func objects(t *testing.T, values map[string]any) []runtime.Object {
	t.Helper()
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	decoder := strictDecoder(t)
	var all []runtime.Object
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for _, document := range documents(rendered[name]) {
			object, _, err := decoder.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			all = append(all, object)
		}
	}
	return all
}

// documents are the YAML documents of a text that have more than comments.
func documents(text string) []string {
	var all []string
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		if strings.ContainsFunc(document, func(r rune) bool { return r == ':' }) {
			all = append(all, document)
		}
	}
	return all
}

func strictDecoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, autoscaling.AddToScheme, batch.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// all returns the objects of one type.
func all[T runtime.Object](objects []runtime.Object) []T {
	var found []T
	for _, object := range objects {
		if object, ok := object.(T); ok {
			found = append(found, object)
		}
	}
	return found
}

// one returns the only object of a type.
func one[T runtime.Object](t *testing.T, objects []runtime.Object) T {
	t.Helper()
	found := all[T](objects)
	if len(found) != 1 {
		t.Fatalf("%d objects of the type %T, want one", len(found), *new(T))
	}
	return found[0]
}

// TestLint: `helm lint` finds nothing, neither with the values of the chart nor with any set.
func TestLint(t *testing.T) {
	t.Parallel()
	sets := valueSets(t)
	sets["none"] = nil
	for name, values := range sets {
		for _, message := range lint.RunAll(chartDir, values, namespace).Messages {
			if !strings.Contains(message.Error(), "icon is recommended") {
				t.Errorf("values %s: %v", name, message)
			}
		}
	}
}

// TestStrictDecoder: what the tests below rely on.
func TestStrictDecoder(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an unknown field":   "apiVersion: v1\nkind: Service\nspec: {typ: ClusterIP}\n",
		"another case":       "apiVersion: v1\nkind: Service\nspec: {Type: ClusterIP}\n",
		"a field twice":      "apiVersion: v1\nkind: Service\nspec: {type: ClusterIP}\nspec: {}\n",
		"another type":       "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: '2'}\n",
		"an unknown kind":    "apiVersion: v1\nkind: Servic\n",
		"a monitor's field":  "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nspec: {endpoint: []}\n",
		"another API group":  "apiVersion: extensions/v1beta1\nkind: Deployment\n",
		"a nested field":     "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {container: []}}}\n",
		"a number as a text": "apiVersion: v1\nkind: ConfigMap\ndata: {a: 1}\n",
	} {
		if object, _, err := strictDecoder(t).Decode([]byte(text), nil, nil); err == nil {
			t.Errorf("%s was accepted: %v", name, object)
		}
	}
}

// TestPlainManifests: the manifests without Helm.
func TestPlainManifests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(root + "/deploy/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range documents(string(text)) {
			if _, _, err := strictDecoder(t).Decode([]byte(document), nil, nil); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
