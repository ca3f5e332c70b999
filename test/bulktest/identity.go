package bulktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ferry/kratos"
)

// Identity is an identity of the fake.
type Identity struct {
	ID, SchemaID, State       string
	ExternalID, Organization  string
	Traits, Public, Admin     map[string]any
	Addresses                 []kratos.Address
	Identifiers, Social, SAML []string
	Organizations             []string // of the social and SAML logins that have one
	Factors                   []Factor
	Hash                      string
	Hook                      bool
	// Changed says that Kratos has written the identity since it was created.
	Changed bool `json:"-"`
	// Sessions is the number of its sessions.
	Sessions int
	// ByCode says that its schema makes addresses identifiers of the code, which are Codes.
	ByCode bool `json:"-"`
	Codes  []string
	// StateAt is when the state was set; zero: when the identity was created.
	StateAt time.Time
}

// UserID returns the Auth0 user that the identity was created from.
func (p *Identity) UserID() string {
	auth0, _ := p.Admin["auth0"].(map[string]any)
	id, _ := auth0["user_id"].(string)
	return id
}

// derive sets identifiers and addresses from the traits, as Kratos does by the schema.
func (p *Identity) derive() {
	p.Identifiers = nil
	var addresses []kratos.Address
	for name, via := range map[string]string{"email": "email", "phone": "sms", "username": ""} {
		value, _ := p.Traits[name].(string)
		value = strings.ToLower(strings.TrimSpace(value))
		if value == "" {
			continue
		}
		if name != "phone" {
			p.Identifiers = append(p.Identifiers, value)
		}
		if via == "" {
			continue
		}
		verified := slices.Contains(p.Addresses, kratos.Address{Value: value, Via: via, Verified: true})
		addresses = append(addresses, kratos.Address{Value: value, Via: via, Verified: verified})
	}
	slices.Sort(p.Identifiers)
	slices.SortFunc(addresses, func(a, b kratos.Address) int { return strings.Compare(b.Via, a.Via) })
	p.Addresses, p.Codes = addresses, nil
	for _, a := range addresses {
		if p.ByCode {
			p.Codes = append(p.Codes, a.Value)
		}
	}
}

// conflicts reports whether two identities conflict.
func (p *Identity) conflicts(q *Identity) bool {
	shares := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(text string) bool { return slices.Contains(b, text) })
	}
	return p.ID != q.ID && (shares(p.Identifiers, q.Identifiers) || shares(p.Social, q.Social) || shares(p.SAML, q.SAML) || shares(p.handles(), q.handles()) ||
		p.ExternalID != "" && p.ExternalID == q.ExternalID ||
		slices.ContainsFunc(p.Addresses, func(a kratos.Address) bool {
			return slices.ContainsFunc(q.Addresses, func(b kratos.Address) bool { return a.Value == b.Value && a.Via == b.Via })
		}))
}

func (p *Identity) answer(withPassword bool) map[string]any {
	const created = "2026-11-21T19:49:27Z"
	updated := created
	if p.Changed {
		updated = "2026-11-21T20:00:00Z"
	}
	password := map[string]any{"type": "password", "identifiers": p.Identifiers, "version": 0, "created_at": created, "updated_at": updated}
	if withPassword {
		password["config"] = map[string]any{"hashed_password": p.Hash, "use_password_migration_hook": p.Hook}
	}
	credentials := map[string]any{"password": password}
	if len(p.Social) > 0 {
		credentials["oidc"] = map[string]any{"type": "oidc", "identifiers": p.Social, "version": 0, "created_at": created, "updated_at": updated}
	}
	var addresses []map[string]any
	for _, a := range p.Addresses {
		addresses = append(addresses, map[string]any{"value": a.Value, "via": a.Via, "verified": a.Verified, "status": "pending", "created_at": created, "updated_at": created})
	}
	out := map[string]any{
		"id": p.ID, "schema_id": p.SchemaID, "state": p.State, "traits": p.Traits, "credentials": credentials,
		"metadata_public": p.Public, "metadata_admin": p.Admin, "verifiable_addresses": addresses,
		"created_at": created, "updated_at": updated, "state_changed_at": created,
	}
	if !p.StateAt.IsZero() {
		out["state_changed_at"] = p.StateAt
	}
	if len(p.SAML) > 0 {
		credentials["saml"] = map[string]any{"type": "saml", "identifiers": p.SAML, "version": 0, "created_at": created, "updated_at": updated}
	}
	for _, factor := range p.Factors {
		credentials[factor.Kind] = map[string]any{"type": factor.Kind, "identifiers": []string{p.ID}, "version": 0, "created_at": created, "updated_at": updated}
	}
	if len(p.Codes) > 0 {
		credentials["code"] = map[string]any{"type": "code", "identifiers": p.Codes, "version": 1, "created_at": created, "updated_at": updated}
	}
	if p.ExternalID != "" {
		out["external_id"] = p.ExternalID
	}
	if p.Organization != "" {
		out["organization_id"] = p.Organization
	}
	return out
}

type providersBody struct {
	Config struct {
		Providers []struct {
			Provider     string `json:"provider"`
			Subject      string `json:"subject"`
			Organization string `json:"organization"`
		} `json:"providers"`
	} `json:"config"`
}

// take returns the identifiers, and adds the organizations to the identity.
func (b *providersBody) take(p *Identity) (identifiers []string) {
	if b == nil {
		return nil
	}
	for _, one := range b.Config.Providers {
		identifiers = append(identifiers, one.Provider+":"+one.Subject)
		if one.Organization != "" {
			p.Organizations = append(p.Organizations, one.Organization)
		}
	}
	slices.Sort(identifiers)
	return identifiers
}

type createBody struct {
	Credentials struct {
		Lookup   *lookupBody    `json:"lookup_secret"`
		OIDC     *providersBody `json:"oidc"`
		SAML     *providersBody `json:"saml"`
		TOTP     *totpBody      `json:"totp"`
		WebAuthn *keysBody      `json:"webauthn"`
		Passkey  *keysBody      `json:"passkey"`
		Password *struct {
			Config struct {
				Hash string `json:"hashed_password"`
				Hook bool   `json:"use_password_migration_hook"`
			} `json:"config"`
		} `json:"password"`
	} `json:"credentials"`
	ExternalID *string        `json:"external_id"`
	OrgID      *string        `json:"organization_id"`
	Admin      map[string]any `json:"metadata_admin"`
	Public     map[string]any `json:"metadata_public"`
	SchemaID   string         `json:"schema_id"`
	State      string         `json:"state"`
	Traits     map[string]any `json:"traits"`
	Addresses  []struct {
		kratos.Address

		Status string `json:"status"`
	} `json:"verifiable_addresses"`
}

// unknown returns the field of the body that this release of Kratos does not have.
func (c createBody) unknown(v131, next bool) kratos.Field {
	orgs := &Identity{}
	c.Credentials.OIDC.take(orgs)
	switch {
	case !next && c.Credentials.TOTP != nil:
		return kratos.FieldTOTP
	case !next && c.Credentials.WebAuthn != nil:
		return kratos.FieldWebAuthn
	case !next && c.Credentials.Passkey != nil:
		return kratos.FieldPasskey
	case !next && c.Credentials.Lookup != nil:
		return kratos.FieldLookup
	case !v131:
	case c.ExternalID != nil:
		return kratos.FieldExternalID
	case c.OrgID != nil:
		return kratos.FieldOrganization
	case c.Credentials.SAML != nil:
		return kratos.FieldSAML
	case len(orgs.Organizations) > 0:
		return kratos.FieldProviderOrganization
	}
	return ""
}

// person returns the identity for a body; refused is the reason why the whole batch is
// refused.
func (c createBody) person(v131, next bool) (p *Identity, refused string) {
	p = &Identity{ID: uuid.NewString(), SchemaID: c.SchemaID, State: c.State, Traits: c.Traits, Public: c.Public, Admin: c.Admin}
	if p.State == "" {
		p.State = "active"
	}
	if field := c.unknown(v131, next); field != "" {
		return nil, fmt.Sprintf("json: unknown field %q", field)
	}
	if c.ExternalID != nil {
		p.ExternalID = *c.ExternalID
	}
	if c.OrgID != nil {
		p.Organization = *c.OrgID
	}
	for _, a := range c.Addresses {
		p.Addresses = append(p.Addresses, kratos.Address{Value: strings.ToLower(strings.TrimSpace(a.Value)), Via: a.Via, Verified: a.Verified && a.Status == "completed"})
	}
	if password := c.Credentials.Password; password != nil {
		p.Hash, p.Hook = password.Config.Hash, password.Config.Hook
		if p.Hook && p.Hash != "" {
			return nil, "the flag wins over the hash, which is dropped: nobody wants that"
		}
		if p.Hash != "" && !hashForm.MatchString(p.Hash) {
			return nil, "the hash is of no known format"
		}
		if next && costly.MatchString(p.Hash) {
			return nil, "The imported password hash declares cost parameters that exceed the bounds enforced by Ory."
		}
	}
	p.Social, p.SAML = c.Credentials.OIDC.take(p), c.Credentials.SAML.take(p)
	if refused := c.takeFactors(p); refused != "" {
		return nil, refused
	}
	p.derive()
	return p, ""
}

// The traits for which the fake refuses an identity or its whole batch.
const (
	RefusedNickname = "Kratos minds"
	PoisonNickname  = "Kratos minds a lot"
	BreaksNickname  = "Kratos breaks"
)

// hashForm matches the hashes that Kratos imports: it looks at their beginnings only.
var hashForm = regexp.MustCompile(`^\$(2[abzy]?|argon2id?|pbkdf2-sha[0-9]{1,3}|scrypt|sha1|sha256|sha512|md5|hmac-(md[45]|sha1|sha224|sha256|sha384|sha512))\$`)

// costly matches the bcrypt hashes that the release after 26.2 refuses.
var costly = regexp.MustCompile(`^\$2[abzy]?\$(1[6-9]|[2-9][0-9])\$`)

var patchable = regexp.MustCompile(`^/(traits|metadata_public|metadata_admin)(/.+)?$|^/state$|^/verifiable_addresses/[0-9]+/(verified|status)$`)

// patch applies a JSON patch. The test fails if it touches what ferry must not change.
func (f *Kratos) patch(id string, body []byte) (int, any) {
	p := f.People[id]
	if p == nil {
		return said(http.StatusNotFound, "Unable to locate the resource")
	}
	var ops []struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	if err := Strict(body, &ops); err != nil {
		f.t.Errorf("a patch: %v", err)
	}
	text, err := json.Marshal(p.answer(false))
	var doc map[string]any
	if err != nil || json.Unmarshal(text, &doc) != nil {
		f.t.Error(err)
	}
	for _, op := range ops {
		if !patchable.MatchString(op.Path) || op.Op != "add" && op.Op != "replace" {
			f.t.Errorf("a patch with %s %s", op.Op, op.Path)
			return said(http.StatusBadRequest, "patch")
		}
		f.Patches = append(f.Patches, op.Op+" "+op.Path)
		if !apply(doc, op.Op, strings.Split(op.Path[1:], "/"), op.Value) {
			f.t.Errorf("a patch with %s %s, which is not there", op.Op, op.Path)
			return said(http.StatusBadRequest, "patch")
		}
	}
	next := *p
	next.Changed = true
	next.take(doc)
	if slices.ContainsFunc(slices.Collect(maps.Values(f.People)), next.conflicts) {
		return said(http.StatusConflict, "This identity conflicts with another identity that already exists.")
	}
	f.People[id] = &next
	if f.Meanwhile != nil {
		f.Meanwhile(&next)
	}
	return http.StatusOK, next.answer(false)
}

// take sets the identity from a patched document.
func (p *Identity) take(doc map[string]any) {
	p.State, _ = doc["state"].(string)
	p.Traits, _ = doc["traits"].(map[string]any)
	p.Public, _ = doc["metadata_public"].(map[string]any)
	p.Admin, _ = doc["metadata_admin"].(map[string]any)
	p.Addresses = nil
	list, _ := doc["verifiable_addresses"].([]any)
	for _, element := range list {
		a, _ := element.(map[string]any)
		value, _ := a["value"].(string)
		via, _ := a["via"].(string)
		verified, _ := a["verified"].(bool)
		p.Addresses = append(p.Addresses, kratos.Address{Value: value, Via: via, Verified: verified})
	}
	p.derive()
}

// apply applies one operation of RFC 6902.
func apply(into any, op string, path []string, value any) bool {
	name := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	if list, isList := into.([]any); isList {
		i, err := strconv.Atoi(name)
		return err == nil && i < len(list) && len(path) > 1 && apply(list[i], op, path[1:], value)
	}
	object, isObject := into.(map[string]any)
	if !isObject || object == nil {
		return false
	}
	was, there := object[name]
	switch {
	case len(path) > 1:
		return there && apply(was, op, path[1:], value)
	case op == "replace" && !there:
		return false
	}
	object[name] = value
	return true
}

// Strict decodes as Kratos does: an unknown key is an error.
func Strict(text []byte, into any) error {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
