package kratostest

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// lowestBcryptCost is the lowest cost of password hashes that Kratos accepts, and only
// with --dev.
const lowestBcryptCost = 4

// places are the values of kratos.yml.example that depend on the machine. A test replaces
// only these.
type places struct {
	dsn        string
	publicPort int
	adminPort  int
	// publicBaseURL may be empty: the URL that the public API listens on
	publicBaseURL string
	schemaURL     string
	hookURL       string // empty: the example's
	// afterLoginURL may be empty: no after-login hook
	afterLoginURL string
	hookKey       string // empty: the example's
	cookieSecret  string
	cipherSecret  string // 32 characters
}

// derive makes a kratos.yml from the shipped example. It replaces only values that the
// example has, so that the tests run what is shipped; edit, if not nil, may then change
// anything.
func derive(example []byte, p places, edit func(config map[string]any)) ([]byte, error) {
	var config map[string]any
	if err := yaml.Unmarshal(example, &config); err != nil {
		return nil, fmt.Errorf("parse kratos.yml.example: %w", err)
	}
	for _, r := range p.replacements() {
		if err := replace(config, r.path, r.value); err != nil {
			return nil, fmt.Errorf("kratos.yml.example: %w", err)
		}
	}
	if edit != nil {
		edit(config)
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write kratos.yml: %w", err)
	}
	return text, nil
}

type replacement struct {
	path  string // keys and list indexes joined by dots
	value any
}

func (p places) replacements() []replacement {
	publicBaseURL := p.publicBaseURL
	if publicBaseURL == "" {
		publicBaseURL = baseURL(p.publicPort) + "/"
	}
	const hook = "selfservice.methods.password.config.migrate_hook.config."
	all := []replacement{
		{"dsn", p.dsn},
		{"serve.public.host", loopback},
		{"serve.public.port", p.publicPort},
		{"serve.public.base_url", publicBaseURL},
		{"serve.admin.host", loopback},
		{"serve.admin.port", p.adminPort},
		{"serve.admin.base_url", baseURL(p.adminPort) + "/"},
		{"identity.schemas.0.url", p.schemaURL},
		{"secrets.cookie", []any{p.cookieSecret}},
		{"secrets.cipher", []any{p.cipherSecret}},
		{"hashers.bcrypt.cost", lowestBcryptCost},
		{"selfservice.methods.password.config.haveibeenpwned_enabled", false}, // it asks a server on the Internet
	}
	if p.hookURL != "" {
		all = append(all, replacement{hook + "url", p.hookURL})
	}
	if p.hookKey != "" {
		all = append(all, replacement{hook + "auth.config.value", "Bearer " + p.hookKey})
	}
	if p.afterLoginURL == "" {
		return append(all, replacement{"selfservice.flows.login.after", map[string]any{}})
	}
	const after = "selfservice.flows.login.after.password.hooks.0.config."
	all = append(all, replacement{after + "url", p.afterLoginURL})
	if p.hookKey != "" {
		all = append(all, replacement{after + "auth.config.value", "Bearer " + p.hookKey})
	}
	return all
}

// replace changes an existing value. It never adds one.
func replace(config map[string]any, path string, value any) error {
	var here any = config
	steps := strings.Split(path, ".")
	for i, step := range steps {
		last := i == len(steps)-1
		switch node := here.(type) {
		case map[string]any:
			next, ok := node[step]
			if !ok {
				return fmt.Errorf("%s is missing", path)
			}
			if last {
				node[step] = value
			}
			here = next
		case []any:
			var index int
			if _, err := fmt.Sscanf(step, "%d", &index); err != nil || index < 0 || index >= len(node) {
				return fmt.Errorf("%s is missing", path)
			}
			if last {
				node[index] = value
			}
			here = node[index]
		default:
			return fmt.Errorf("%s is missing", path)
		}
	}
	return nil
}
