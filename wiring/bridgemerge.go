package wiring

import (
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// bridge adds the provider, or updates it.
func (m *merger) bridge() error {
	if m.o.Bridge.ID == "" {
		return nil
	}
	method := m.get(OIDCKeys()...)
	providers, _ := m.get(providersKeys()...).([]any)
	if empty(method) {
		m.bridgeUnknown(nil)
		list := node{key: "providers", children: []node{m.o.bridgeNode(0)}}
		return m.put(node{key: "oidc", children: []node{enabledNode(), {key: "config", children: []node{list}}}}, OIDCKeys()...)
	}
	index := m.o.Bridge.index(providers)
	err := m.enableOIDC(len(providers) > 0)
	switch {
	case err != nil:
	case index < 0:
		m.bridgeUnknown(nil)
		err = m.newProvider(len(providers))
	default:
		m.bridgeUnknown(providers[index])
		err = m.updateProvider(providers[index], index)
	}
	return err
}

// index returns the index of the provider with the bridge's id; -1: there is none.
func (b Bridge) index(providers []any) int {
	return slices.IndexFunc(providers, func(one any) bool {
		id, _ := Lookup(one, "id")
		return id == b.ID
	})
}

// bridgeUnknown records that the file gets a placeholder, or keeps one.
func (m *merger) bridgeUnknown(provider any) {
	known := func(value, name, placeholder string) bool {
		there, _ := Lookup(provider, name)
		text, _ := there.(string)
		return value != "" || text != "" && text != placeholder
	}
	m.unknownClient = !known(m.o.Bridge.ClientID, "client_id", PlaceholderClientID) ||
		!m.o.KeyFromEnvironment && !known(m.o.Bridge.ClientSecret.Reveal(), "client_secret", PlaceholderClientSecret)
}

func (m *merger) enableOIDC(beside bool) error {
	at, missing, err := m.locate(OIDCKeys("enabled")...)
	switch {
	case err != nil:
		return err
	case len(missing) > 0:
		enabled := enabledNode()
		if beside {
			enabled.remark = bridgeRemarkBeside
		}
		return m.insert(at, enabled)
	}
	return m.ensure("true", OIDCKeys("enabled")...)
}

func (m *merger) newProvider(index int) error {
	at, missing, err := m.locate(providersKeys()...)
	if err != nil {
		return err
	}
	item := m.o.bridgeNode(index)
	if len(missing) > 0 {
		return m.insert(at, within(missing[:len(missing)-1], node{key: "providers", children: []node{item}}))
	}
	return m.insert(at, item)
}

// updateProvider updates the provider that has the bridge's id.
func (m *merger) updateProvider(provider any, index int) error {
	path := func(name string) []string { return providersKeys(strconv.Itoa(index), name) }
	if kind, _ := Lookup(provider, "provider"); kind != bridgeProvider {
		at, _, err := m.locate(providersKeys(strconv.Itoa(index))...)
		return errors.Join(err, at.cannot("has the id of the bridge, and is not of the provider "+bridgeProvider+": choose another id"))
	}
	secretThere, _ := Lookup(provider, "client_secret")
	for _, one := range []struct{ name, value string }{
		{"issuer_url", m.o.Bridge.Issuer},
		{"client_id", m.o.Bridge.ClientID},
		{"client_secret", kept(m.o, secretThere, m.o.clientSecret(index))},
	} {
		there, _ := Lookup(provider, one.name)
		switch {
		case one.value == "" && there != nil, one.name == "issuer_url" && sameIssuer(there, one.value):
			continue
		case one.value == "":
			one.value = PlaceholderClientID
		}
		if err := m.ensure(one.value, path(one.name)...); err != nil {
			return err
		}
	}
	if err := m.label(provider, path("label")); err != nil {
		return err
	}
	if err := m.scope(provider, path("scope")); err != nil {
		return err
	}
	mapper, _ := Lookup(provider, "mapper_url")
	if text, _ := mapper.(string); text != "" && !isBridgeMapper(text) {
		m.note("the mapper of the provider %s is not ferry's: it was not changed, keep its metadata_admin the same as in ferry's", m.o.Bridge.ID)
		return nil
	}
	return m.ensure(Base64(BridgeJsonnet()), path("mapper_url")...)
}

// kept returns the client secret to write: the one that is there, unless another is given.
func kept(o Options, there any, fresh string) string {
	text, _ := there.(string)
	if text != "" && (o.Bridge.ClientSecret.Empty() && !o.KeyFromEnvironment || strings.Contains(text, variablePrefix)) {
		return text
	}
	return fresh
}

// sameIssuer reports whether two addresses of a tenant differ in the final slash only.
func sameIssuer(there any, issuer string) bool {
	text, _ := there.(string)
	return strings.TrimRight(text, "/") == strings.TrimRight(issuer, "/")
}

// label sets the label that is given, and adds the default where there is none.
func (m *merger) label(provider any, path []string) error {
	there, _ := Lookup(provider, "label")
	switch {
	case m.o.Bridge.Label != "":
		return m.ensure(m.o.Bridge.Label, path...)
	case empty(there) || there == "":
		return m.ensure(DefaultLabel, path...)
	}
	return nil
}

// scope adds the scopes if there are none.
func (m *merger) scope(provider any, path []string) error {
	there, _ := Lookup(provider, "scope")
	scopes, _ := there.([]any)
	if !empty(there) {
		if !slices.Contains(scopes, any("openid")) || !slices.Contains(scopes, any("email")) {
			m.note("the provider %s has another scope: Auth0 tells Kratos the subject only with openid, and the address with email", m.o.Bridge.ID)
		}
		return nil
	}
	return m.put(node{key: "scope", value: bridgeScope}, path...)
}

// isBridgeMapper reports whether a mapper is ferry's, of this release or an earlier one.
func isBridgeMapper(mapper string) bool {
	text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(mapper, base64Prefix))
	first, _, _ := strings.Cut(bridgeJsonnet, "\n")
	return err == nil && strings.HasPrefix(mapper, base64Prefix) && strings.HasPrefix(string(text), first)
}

// adviseBridge notes what is to do besides for the bridge.
func (m *merger) adviseBridge() {
	if m.o.Bridge.ID == "" {
		return
	}
	public, _ := m.get(OIDCKeys("config", "base_redirect_uri")...).(string)
	if public == "" {
		public, _ = m.get("serve", "public", "base_url").(string)
	}
	if public == "" {
		public = "KRATOS' PUBLIC URL"
	}
	m.note("allow the callback URL %s in the application of the bridge at Auth0, and switch on its grant authorization_code and the connections of your users", m.o.Bridge.Callback(public))
	if m.o.KeyFromEnvironment {
		providers, _ := m.get(providersKeys()...).([]any)
		m.note("give Kratos the client secret of the bridge in the environment variable %s", Variable(providersKeys(strconv.Itoa(m.o.Bridge.index(providers)), "client_secret")...))
	}
	hooks, _ := m.get("selfservice", "flows", "registration", "after", "oidc", "hooks").([]any)
	if !slices.ContainsFunc(hooks, func(hook any) bool { name, _ := Lookup(hook, "hook"); return name == "session" }) {
		m.note("selfservice.flows.registration.after.oidc.hooks has no hook session: users of the tenant whom Kratos does not have are registered over the bridge, and have to log in once more")
	}
}

// bridgeAlone reports whether a merge changed nothing of the OIDC method but the provider of
// the bridge, and that is as the options say.
func (m *merger) bridgeAlone(before map[string]any) bool {
	list, _ := m.of(before, providersKeys()...).([]any)
	now, _ := m.get(providersKeys()...).([]any)
	b := m.o.Bridge
	i, was := b.index(now), b.index(list)
	if i < 0 || !equalLists(b.others(list), b.others(now)) || m.get(OIDCKeys("enabled")...) != true {
		return false
	}
	issuer, _ := Lookup(now[i], "issuer_url")
	kind, _ := Lookup(now[i], "provider")
	own := map[string]bool{"issuer_url": true, "client_id": true, "client_secret": true, "label": true, "scope": true, "mapper_url": true}
	return sameIssuer(issuer, b.Issuer) && kind == bridgeProvider && (was < 0 || keeps(list[was], now[i], own))
}

// others returns the providers that do not have the bridge's id.
func (b Bridge) others(providers []any) []any {
	rest := slices.Clone(providers)
	if i := b.index(rest); i >= 0 {
		rest = slices.Delete(rest, i, i+1)
	}
	return rest
}

// withoutProviders returns values without the entries of the OIDC method that a merge or a
// removal changes.
func withoutProviders(values any) any {
	for _, path := range [][]string{OIDCKeys("enabled"), providersKeys()} {
		values = dropped(values, path)
	}
	return values
}

// bridge removes the providers that a merge added.
func (r *remover) bridge() error {
	for range maxBridges {
		providers, _ := r.get(providersKeys()...).([]any)
		i := slices.IndexFunc(providers, isBridge)
		if i < 0 {
			break
		}
		id, _ := Lookup(providers[i], "id")
		r.note("the provider %v was removed: users who log in at Auth0 only have no login now; `ferry status` counts those with no other as bridge_only", id)
		if err := r.drop(providersKeys(strconv.Itoa(i))...); err != nil {
			return err
		}
	}
	providers, _ := r.get(providersKeys()...).([]any)
	at, missing, err := r.locate(OIDCKeys("enabled")...)
	if err != nil || len(missing) > 0 {
		return nil //nolint:nilerr // what cannot be found was not written by a merge
	}
	line := r.bareLine(at.line)
	if !strings.HasSuffix(line, "# "+bridgeRemarkBeside) && (len(providers) > 0 || !strings.HasSuffix(line, "# "+bridgeRemark)) {
		return nil
	}
	return r.drop(OIDCKeys("enabled")...)
}

// maxBridges bounds the providers that Remove removes.
const maxBridges = 16

// isBridge reports whether a provider has ferry's mapper.
func isBridge(provider any) bool {
	mapper, _ := Lookup(provider, "mapper_url")
	kind, _ := Lookup(provider, "provider")
	text, _ := mapper.(string)
	return kind == bridgeProvider && isBridgeMapper(text)
}

// bridgeRemoved reports whether the removal left the OIDC method as it was without the
// providers that a merge adds.
func (r *remover) bridgeRemoved(before map[string]any) bool {
	list, _ := r.of(before, providersKeys()...).([]any)
	rest := slices.DeleteFunc(slices.Clone(list), isBridge)
	now, _ := r.get(providersKeys()...).([]any)
	was, is := r.of(before, OIDCKeys("enabled")...), r.get(OIDCKeys("enabled")...)
	return equalLists(rest, now) && (reflect.DeepEqual(was, is) || is == nil && was == true)
}
