package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const linterConfig = ".golangci.yml"

// depguardConfig is the part of the linter's configuration that repeats the
// arrows, so that an editor shows a wrong import at once.
type depguardConfig struct {
	Linters struct {
		Settings struct {
			Depguard struct {
				Rules map[string]struct {
					Files []string `yaml:"files"`
					Allow []string `yaml:"allow"`
				} `yaml:"rules"`
			} `yaml:"depguard"`
		} `yaml:"settings"`
	} `yaml:"linters"`
}

// checkDepguard holds the linter's copy of the arrows against the policy.
func checkDepguard(m *module) []string {
	i := slices.IndexFunc(m.texts, func(f textFile) bool { return f.path == linterConfig })
	if i < 0 {
		return []string{linterConfig + " is gone: the linter must check the arrows too"}
	}
	var config depguardConfig
	if err := yaml.Unmarshal(m.texts[i].data, &config); err != nil {
		return []string{fmt.Sprintf("%s is no YAML that holds depguard's rules: %v", linterConfig, err)}
	}
	var faults []string
	for _, name := range slices.Sorted(slices.Values(slices.Concat(m.policy.Leaves, slices.Collect(maps.Keys(m.policy.Rooms))))) {
		want := m.policy.depguardAllows(name)
		got := config.Linters.Settings.Depguard.Rules[name]
		if !slices.Equal(got.Allow, want) || !slices.Contains(got.Files, depguardFiles(name)) {
			faults = append(faults, fmt.Sprintf("%s differs from Ferry() in test/arch/policy.go: depguard's rule %s must be for the files %s and allow [%s]", linterConfig, name, depguardFiles(name), strings.Join(want, ", ")))
		}
	}
	return faults
}

func depguardFiles(room string) string { return "${base-path}/" + room + "/**" }

// depguardAllows lists the import paths of a room's rule: itself first, then
// what the policy lets it import.
func (p Policy) depguardAllows(name string) []string {
	rooms, _ := p.allowed(name, false)
	paths := make([]string, 0, len(rooms)+1)
	for _, r := range slices.Concat([]string{name}, rooms) {
		paths = append(paths, modulePath+"/"+r)
	}
	return paths
}
