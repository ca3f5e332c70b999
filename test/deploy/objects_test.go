package deploy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	meta1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// pods are the pod specifications of all objects, by kind and name, with the pods' labels.
func pods(objects []runtime.Object) map[string]core.PodTemplateSpec {
	found := map[string]core.PodTemplateSpec{}
	for _, object := range objects {
		switch object := object.(type) {
		case *apps.Deployment:
			found["Deployment "+object.Name] = object.Spec.Template
		case *batch.Job:
			found["Job "+object.Name] = object.Spec.Template
		case *core.Pod:
			found["Pod "+object.Name] = core.PodTemplateSpec{ObjectMeta: object.ObjectMeta, Spec: object.Spec}
		}
	}
	return found
}

// TestValueSets: with every set of values, the objects fit each other and every pod is
// confined.
func TestValueSets(t *testing.T) {
	t.Parallel()
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := objects(t, values)
			checkNames(t, all)
			templates := pods(all)
			if len(templates) == 0 {
				t.Fatal("no pods")
			}
			for name, template := range templates {
				checkConfined(t, name, template.Spec)
				checkVolumes(t, name, template.Spec, all)
			}
			checkSelectors(t, all)
		})
	}
}

// checkNames requires names that Kubernetes accepts, each once per kind, and the release's
// namespace.
func checkNames(t *testing.T, objects []runtime.Object) {
	t.Helper()
	seen := map[string]bool{}
	for _, object := range objects {
		m, err := meta.Accessor(object)
		if err != nil {
			t.Fatal(err)
		}
		id := object.GetObjectKind().GroupVersionKind().Kind + " " + m.GetName()
		if seen[id] || !regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`).MatchString(m.GetName()) || m.GetNamespace() != namespace || m.GetLabels()["app.kubernetes.io/instance"] != release {
			t.Errorf("%s: namespace %q, labels %v, twice: %t", id, m.GetNamespace(), m.GetLabels(), seen[id])
		}
		seen[id] = true
	}
}

// checkConfined requires what Kubernetes' restricted Pod Security Standard does, a read-only
// root and no token.
func checkConfined(t *testing.T, name string, spec core.PodSpec) {
	t.Helper()
	no := func(b *bool) bool { return b != nil && !*b }
	yes := func(b *bool) bool { return b != nil && *b }
	if !no(spec.EnableServiceLinks) || !no(spec.AutomountServiceAccountToken) || spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Errorf("%s: service links, a token or the host's namespaces", name)
	}
	pod := spec.SecurityContext
	if pod == nil || !yes(pod.RunAsNonRoot) || pod.SeccompProfile == nil || pod.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || pod.FSGroup == nil {
		t.Errorf("%s: the pod's security context is %+v", name, pod)
	}
	for _, container := range spec.Containers {
		sc := container.SecurityContext
		if sc == nil || !yes(sc.RunAsNonRoot) || !yes(sc.ReadOnlyRootFilesystem) || !no(sc.AllowPrivilegeEscalation) || !no(sc.Privileged) || sc.RunAsUser == nil || *sc.RunAsUser != 65532 ||
			sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []core.Capability{"ALL"}) || len(sc.Capabilities.Add) > 0 {
			t.Errorf("%s: the container's security context is %+v", name, sc)
		}
		if !strings.Contains(container.Image, "registry.example.com/") {
			t.Errorf("%s: the image is %q", name, container.Image)
		}
	}
}

// checkVolumes requires that volumes are mounted, and that what the chart makes for them
// exists with the keys they take.
func checkVolumes(t *testing.T, name string, spec core.PodSpec, objects []runtime.Object) {
	t.Helper()
	var mounted []string
	for _, mount := range spec.Containers[0].VolumeMounts {
		mounted = append(mounted, mount.Name)
	}
	for _, volume := range spec.Volumes {
		if !slices.Contains(mounted, volume.Name) {
			t.Errorf("%s: the volume %s is not mounted", name, volume.Name)
		}
		if volume.Secret != nil && volume.Secret.SecretName == release {
			secret := one[*core.Secret](t, objects)
			for _, item := range volume.Secret.Items {
				if len(secret.Data[item.Key]) == 0 {
					t.Errorf("%s: the Secret has no %s", name, item.Key)
				}
			}
		}
		if volume.ConfigMap != nil && strings.HasPrefix(volume.ConfigMap.Name, release) && configMap(objects, volume.ConfigMap.Name) == nil {
			t.Errorf("%s: there is no ConfigMap %s", name, volume.ConfigMap.Name)
		}
	}
	for _, mount := range mounted {
		if !slices.ContainsFunc(spec.Volumes, func(v core.Volume) bool { return v.Name == mount }) {
			t.Errorf("%s: there is no volume %s", name, mount)
		}
	}
}

func configMap(objects []runtime.Object, name string) *core.ConfigMap {
	for _, object := range all[*core.ConfigMap](objects) {
		if object.Name == name {
			return object
		}
	}
	return nil
}

// checkSelectors requires that whatever selects ferry's pods selects those of the Deployment
// and of nothing else, and that ports have the names used.
func checkSelectors(t *testing.T, objects []runtime.Object) {
	t.Helper()
	selectors := map[string]map[string]string{}
	ports := map[string]bool{}
	for _, service := range all[*core.Service](objects) {
		selectors["Service "+service.Name] = service.Spec.Selector
		ports[service.Spec.Ports[0].TargetPort.String()] = true
	}
	match := func(name string, selector *meta1.LabelSelector) { selectors[name] = selector.MatchLabels }
	for _, d := range all[*apps.Deployment](objects) {
		match("Deployment", d.Spec.Selector)
	}
	for _, b := range all[*policy.PodDisruptionBudget](objects) {
		match("PodDisruptionBudget", b.Spec.Selector)
	}
	for _, p := range all[*networking.NetworkPolicy](objects) {
		match("NetworkPolicy", &p.Spec.PodSelector)
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				ports[port.Port.String()] = true
			}
		}
	}
	for name, template := range pods(objects) {
		serves := strings.HasPrefix(name, "Deployment ")
		for which, selector := range selectors {
			if labels.SelectorFromSet(selector).Matches(labels.Set(template.Labels)) != serves {
				t.Errorf("%s selects %v; the pods of %s have %v", which, selector, name, template.Labels)
			}
		}
		if serves {
			checkPorts(t, template.Spec.Containers[0], ports)
		}
	}
}

func checkPorts(t *testing.T, container core.Container, used map[string]bool) {
	t.Helper()
	have := map[string]bool{}
	for _, port := range container.Ports {
		have[port.Name] = true
	}
	for _, probe := range []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		used[probe.HTTPGet.Port.String()] = true
	}
	if !maps.Equal(have, used) {
		t.Errorf("the container has the ports %v, used are %v", have, used)
	}
}

// TestAllOn: what is off by default.
func TestAllOn(t *testing.T) {
	t.Parallel()
	objects := objects(t, valueSets(t)["all"])
	deployment := one[*apps.Deployment](t, objects)
	if hpa := one[*autoscaling.HorizontalPodAutoscaler](t, objects); hpa.Spec.ScaleTargetRef.Name != deployment.Name || deployment.Spec.Replicas != nil || len(hpa.Spec.Metrics) != 3 {
		t.Errorf("the autoscaler has %+v, the Deployment %v replicas", hpa.Spec, deployment.Spec.Replicas)
	}
	monitor := one[*monitoring.ServiceMonitor](t, objects)
	endpoint := monitor.Spec.Endpoints[0]
	var scraped []string
	for _, service := range all[*core.Service](objects) {
		if labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
			scraped = append(scraped, service.Spec.Ports[0].Name)
		}
	}
	if !slices.Equal(scraped, []string{endpoint.Port}) || endpoint.Path != "/metrics/prometheus" || endpoint.Scheme == nil || *endpoint.Scheme != "https" || monitor.Spec.JobLabel != "app.kubernetes.io/name" || len(monitor.Spec.TargetLabels) != 1 {
		t.Errorf("scraped are the ports %q, by %+v", scraped, monitor.Spec)
	}
	checkRules(t, objects)
	if p := one[*networking.NetworkPolicy](t, objects); len(p.Spec.Ingress) != 3 || len(p.Spec.Egress) != 4 || len(p.Spec.PolicyTypes) != 2 {
		t.Errorf("the NetworkPolicy has %+v", p.Spec)
	}
	if got := len(all[*core.Service](objects)); got != 4 {
		t.Errorf("%d Services, want one for each listener", got)
	}
	if deployment.Spec.Strategy.Type != apps.RollingUpdateDeploymentStrategyType || deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("the strategy is %+v", deployment.Spec.Strategy)
	}
}

// checkRules requires alerts and recording rules, each alert with its runbook, and a dashboard.
func checkRules(t *testing.T, objects []runtime.Object) {
	t.Helper()
	for _, rule := range all[*monitoring.PrometheusRule](objects) {
		if len(rule.Spec.Groups) == 0 || len(rule.Spec.Groups[0].Rules) == 0 {
			t.Errorf("%s has no rules", rule.Name)
		}
		for _, one := range rule.Spec.Groups[0].Rules {
			if at := one.Annotations["runbook_url"]; one.Alert != "" && !strings.HasPrefix(at, "https://wiki.example.org/ferry/operations#") {
				t.Errorf("the runbook of %s is at %s", one.Alert, at)
			}
		}
	}
	if rules := all[*monitoring.PrometheusRule](objects); len(rules) != 2 || !strings.Contains(configMap(objects, "ferry-dashboard").Data["ferry.json"], `"panels"`) {
		t.Errorf("%d PrometheusRules, want alerts and rules, and a dashboard", len(rules))
	}
}

// TestDefaults: what is on by default, and what is not.
func TestDefaults(t *testing.T) {
	t.Parallel()
	objects := objects(t, valueSets(t)["default"])
	kinds := map[string]int{}
	for _, object := range objects {
		kinds[object.GetObjectKind().GroupVersionKind().Kind]++
	}
	if want := map[string]int{"ConfigMap": 2, "Deployment": 1, "Pod": 1, "Secret": 1, "Service": 2, "ServiceAccount": 1}; !maps.Equal(kinds, want) {
		t.Errorf("objects: %v, want %v", kinds, want)
	}
	// Two ferries without Redis could ask Auth0 twice about one login.
	if d := one[*apps.Deployment](t, objects); *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != apps.RecreateDeploymentStrategyType {
		t.Errorf("%d replicas, %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
}

// TestRestarts: pods restart for a setting, a secret and a mapper. The mode reaches them
// without a restart.
func TestRestarts(t *testing.T) {
	t.Parallel()
	checksums := func(change map[string]any) string {
		d := one[*apps.Deployment](t, objects(t, changed(t, "default", change)))
		return fmt.Sprint(d.Spec.Template.Annotations)
	}
	before := checksums(nil)
	for name, change := range map[string]map[string]any{
		"a setting": nested("debug", "ferry", "settings", "FERRY_LOG_LEVEL"),
		"a mapper":  nested("{}", "ferry", "mapper"),
		"a secret":  nested("another", "secret", "values", "FERRY_AUTH0_CLIENT_SECRET"),
	} {
		if checksums(change) == before {
			t.Errorf("%s changed, and no pod restarts", name)
		}
	}
	if checksums(nested(map[string]any{"mode": "off", "cohort": "25%"}, "ferry")) != before {
		t.Error("the mode changed, and pods restart")
	}
}
