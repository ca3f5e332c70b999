package hook_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ferry/hook"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/outcome"
)

// failingMapper is a mapper that fails for every profile.
type failingMapper struct{}

func (failingMapper) Map(mapping.Profile) (mapping.Identity, error) {
	return mapping.Identity{Traits: map[string]any{"given_name": "Canary"}}, errors.New("the mapper fails")
}

// TestWithoutTraits: if a profile cannot be mapped to traits, the rest of it is
// written, and the user counts as migrated. No trait is changed.
func TestWithoutTraits(t *testing.T) {
	const traitsLeft, nothing = `"msg":"traits not written: only metadata and verified addresses are"`, `"msg":"profile not written"`
	failing := func(o *hook.Options) {
		o.Sync.Mapper = func(*mapping.Schema) mapping.Mapper { return failingMapper{} }
	}
	misfit := func(f *fakes) { f.records.record.Traits = map[string]any{"email": stored, "given_name": 7} }
	refused := &kratos.Error{Status: 400, Outcome: outcome.InvalidResponse, Reason: "refused"}
	for name, c := range map[string]struct {
		fakes          func(*fakes)
		change         func(*hook.Options)
		logged, reason string
		verified       bool
	}{
		"the mapper fails":               {func(*fakes) {}, failing, traitsLeft, "the mapper fails", true},
		"invalid traits in the identity": {misfit, func(*hook.Options) {}, traitsLeft, "given_name", true},
		"an address Auth0 did not verify": {func(f *fakes) {
			f.profile.Claims = strings.Replace(f.profile.Claims, `"email_verified":true`, `"email_verified":false`, 1)
		}, failing, traitsLeft, "the mapper fails", false},
		"another address":     {func(f *fakes) { f.records.record.Addresses[0].Value = "bob@example.org" }, failing, traitsLeft, "the mapper fails", false},
		"Kratos refuses them": {func(f *fakes) { misfit(f); f.records.errs = []error{refused} }, func(*hook.Options) {}, nothing, "kratos_refused; the traits do not fit", true},
		"invalid claims":      {func(f *fakes) { f.profile.Claims = "x" }, func(*hook.Options) {}, nothing, "the profile cannot be mapped", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := withProfile()
			c.fakes(f)
			h := start(t, f, c.change)
			h.post(t, login())
			h.afterLogin(t, afterLoginBody("f"))
			h.drain(t)
			paths := f.records.paths(t)
			if len(f.records.patches) > 1 || paths["/verifiable_addresses/0/verified"] != c.verified {
				t.Errorf("written: %v", f.records.patches)
			}
			if c.logged == traitsLeft && !paths["/metadata_admin/auth0/migrated_at"] {
				t.Errorf("no metadata: %v", f.records.patches)
			}
			log := h.logged()
			if strings.Count(log, c.logged) != 1 || !strings.Contains(log, c.reason) || strings.Count(log, `"msg":"migrated"`) != 1 || strings.Contains(log, "Canary") {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

// paths returns the paths that the patches write. None may be a trait or a credential.
func (r *fakeRecords) paths(t *testing.T) map[string]bool {
	t.Helper()
	paths := map[string]bool{}
	for _, op := range slices.Concat(r.patches...) {
		paths[op.Path] = true
		if strings.HasPrefix(op.Path, "/traits") || strings.HasPrefix(op.Path, "/credentials") {
			t.Errorf("written: %s", op.Path)
		}
	}
	return paths
}
