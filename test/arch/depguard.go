package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const linterConfig = ".golangci.yml"

// depguardConfig is the part of the linter's configuration that says which packages may
// import which.
type depguardConfig struct {
	Linters struct {
		Settings struct {
			Depguard struct {
				Rules map[string]struct {
					Files []string `yaml:"files"`
					Deny  []any    `yaml:"deny"`
				} `yaml:"rules"`
			} `yaml:"depguard"`
		} `yaml:"settings"`
	} `yaml:"linters"`
}

// checkDepguard requires a depguard rule for every directory at the root that has Go code:
// depguard itself allows everything to files that no rule names. cmd may import
// everything, and test everything but config, which has a rule of its own.
func checkDepguard(m *module) []string {
	i := slices.IndexFunc(m.texts, func(f textFile) bool { return f.path == linterConfig })
	if i < 0 {
		return []string{linterConfig + " is missing: its depguard rules say which packages may import which"}
	}
	var config depguardConfig
	if err := yaml.Unmarshal(m.texts[i].data, &config); err != nil {
		return []string{fmt.Sprintf("%s: invalid YAML: %v", linterConfig, err)}
	}
	checked := []string{"cmd", "test"}
	for _, rule := range config.Linters.Settings.Depguard.Rules {
		for _, files := range rule.Files {
			dir, ok := strings.CutPrefix(files, "${base-path}/")
			if dir, all := strings.CutSuffix(dir, "/**"); ok && all && len(rule.Deny) > 0 {
				checked = append(checked, dir)
			}
		}
	}
	var faults []string
	for _, p := range m.packages {
		if root, _, _ := strings.Cut(p.dir, "/"); !slices.Contains(checked, root) {
			faults = append(faults, fmt.Sprintf("package %s: add a depguard rule for ${base-path}/%s/** to %s, with the packages it may import", p.dir, root, linterConfig))
		}
	}
	return faults
}
