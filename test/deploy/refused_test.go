package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// TestNothingWorksByAccident: the chart's own values have no image, no settings and no
// secrets; without each of these, the message names what is missing.
func TestNothingWorksByAccident(t *testing.T) {
	t.Parallel()
	const least = "default"
	for name, c := range map[string]struct {
		values map[string]any
		want   string
	}{
		"no values":              {map[string]any{}, "image.repository is required"},
		"no image":               {changed(t, least, nested("", "image", "repository")), "image.repository is required"},
		"no client id":           {without(t, least, "ferry", "settings", "FERRY_AUTH0_CLIENT_ID"), "FERRY_AUTH0_CLIENT_ID is required"},
		"no hook key":            {without(t, least, "secret", "values", "FERRY_HOOK_KEYS"), "FERRY_HOOK_KEYS is required"},
		"no key of the Secret":   {without(t, "existing-secret", "secret", "keys", "FERRY_HOOK_KEYS"), "FERRY_HOOK_KEYS is required"},
		"a short hook key":       {changed(t, least, nested("too-short", "secret", "values", "FERRY_HOOK_KEYS")), "minLength"},
		"no encryption":          {changed(t, least, nested(false, "tls", "insecure")), "tls.secretName is required"},
		"replicas without Redis": {changed(t, least, nested(2, "replicaCount")), "several replicas need Redis"},
		"autoscaled, no Redis":   {changed(t, least, nested(true, "autoscaling", "enabled")), "several replicas need Redis"},
		"Redis without its key":  {without(t, "all", "secret", "values", "FERRY_STATE_KEY"), "needs FERRY_STATE_KEY"},
		"a volume for several":   {changed(t, "all", nested(true, "persistence", "enabled")), "persistence is for one replica"},
		"a budget for one":       {changed(t, least, nested(true, "pdb", "enabled")), "pdb needs several replicas"},
		"a gateway to nowhere":   {changed(t, least, nested(true, "gateway", "enabled")), "FERRY_KRATOS_PUBLIC_URL"},
		"two Secrets":            {changed(t, least, nested("other", "secret", "existingSecret")), "secret.values must be empty"},
		"a secret as a setting":  {changed(t, least, nested("x", "ferry", "settings", "FERRY_HOOK_KEYS")), "FERRY_HOOK_KEYS"},
		"its file as a setting":  {changed(t, least, nested("/x", "ferry", "settings", "FERRY_STATE_URL_FILE")), "FERRY_STATE_URL_FILE"},
		"an address":             {changed(t, least, nested("0.0.0.0:1", "ferry", "settings", "FERRY_LISTEN")), "FERRY_LISTEN"},
		"another variable":       {changed(t, least, nested("info", "ferry", "settings", "LOG_LEVEL")), "LOG_LEVEL"},
		"a mode without quotes":  {changed(t, least, nested(false, "ferry", "mode")), "/ferry/mode"},
		"an unknown value":       {changed(t, least, nested(2, "replicas")), "replicas"},
		"an unknown nested one":  {changed(t, least, nested("x", "image", "name")), "name"},
		"an import without data": {changed(t, "import", nested("", "import", "existingClaim")), "import.existingClaim is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if rendered, err := render(t, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v and %d files", c.want, err, len(rendered))
			}
		})
	}
}

// TestEverySecretIsRefusedAsASetting: a secret that ferry gets later may not end up in a
// ConfigMap.
func TestEverySecretIsRefusedAsASetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^\\| `(FERRY_[A-Z0-9_]+)`<br>or `FERRY_[A-Z0-9_]+_FILE`").FindAllStringSubmatch(string(text), -1)
	var secrets []string
	for _, match := range found {
		secrets = append(secrets, match[1])
	}
	if len(secrets) < 8 || !slices.Contains(secrets, "FERRY_HOOK_KEYS") {
		t.Fatalf("secrets in docs/settings.md: %q", secrets)
	}
	for _, name := range secrets {
		for _, setting := range []string{name, name + "_FILE"} {
			values := changed(t, "default", nested("some text that is long enough for a key", "ferry", "settings", setting))
			if _, err := render(t, values); err == nil {
				t.Errorf("ferry.settings.%s was accepted: add it to values.schema.json", setting)
			}
		}
		values := changed(t, "existing-secret", nested(map[string]any{name: "key", "FERRY_STATE_KEY": "state-key"}, "secret", "keys"))
		if _, err := render(t, values); err != nil {
			t.Errorf("secret.keys.%s was refused: %v", name, err)
		}
	}
}

// without is a value set without the value at a path.
func without(t *testing.T, set string, path ...string) map[string]any {
	t.Helper()
	values := changed(t, set, nil)
	at := values
	for _, name := range path[:len(path)-1] {
		at = at[name].(map[string]any)
	}
	if _, ok := at[path[len(path)-1]]; !ok {
		t.Fatalf("%s has no %q", set, path)
	}
	delete(at, path[len(path)-1])
	return values
}

// nested are values with one value at a path.
func nested(value any, path ...string) map[string]any {
	for _, name := range slices.Backward(path) {
		value = map[string]any{name: value}
	}
	values, _ := value.(map[string]any)
	return values
}

// TestPage: the values that docs/deploy.md shows can be used.
func TestPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(shown) < 2 {
		t.Fatalf("%d sets of values", len(shown))
	}
	for _, block := range shown {
		values, err := loader.LoadValues(strings.NewReader(block[1]))
		if err != nil {
			t.Fatal(err)
		}
		if len(pods(objects(t, values))) == 0 {
			t.Errorf("no pods with:\n%s", block[1])
		}
	}
	for _, path := range regexp.MustCompile(`deploy/helm/ferry\b`).FindAllString(string(text), -1) {
		if _, err := os.Stat(root + "/" + path + "/Chart.yaml"); err != nil {
			t.Error(err)
		}
	}
}
