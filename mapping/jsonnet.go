package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"ferry/provenance"
	"ferry/strictjson"
)

// maxStack bounds the depth of calls in a mapper.
const maxStack = 500

// maxTime bounds a run of a mapper, which usually takes some hundred microseconds: a user
// may be waiting for the login. A run cannot be interrupted, so one that takes longer is
// abandoned. While maxLeft abandoned runs are active, no other starts.
const (
	maxTime = 5 * time.Second
	maxLeft = 4
)

// maxOutput bounds the result of a mapper, in bytes.
const maxOutput = 1 << 20

// Jsonnet is a mapper in the convention of Kratos' OIDC mappers: the program reads
// std.extVar('claims') and returns {identity: {traits, metadata_public,
// metadata_admin, verified_addresses}}; other keys are ignored, with a note. The claims
// are those that Kratos passes, without empty values and false; raw_claims has all
// claims, with app_metadata and user_metadata. std.extVar('identity') has empty traits
// and metadata, as Kratos passes it for a user without an identity.
//
// The program is compiled once. It cannot import files, and its traces are dropped. A run
// longer than five seconds is an error. Errors contain name. A run that fails returns a
// [MapperError].
func Jsonnet(name, source string) (Mapper, error) {
	node, err := jsonnet.SnippetToAST(name, source)
	if err != nil {
		return nil, fmt.Errorf("read mapper: %w", err) // it quotes the program, no person's data
	}
	m := &jsonnetMapper{name: name, source: source, node: node, maxTime: maxTime}
	m.vms.New = func() any { return newVM() }
	return m, nil
}

type jsonnetMapper struct {
	name   string
	source string
	node   ast.Node
	vms    sync.Pool // of *jsonnet.VM, which serve one call at a time

	maxTime time.Duration
	left    atomic.Int32 // abandoned runs that are active
}

func newVM() *jsonnet.VM {
	vm := jsonnet.MakeVM()
	vm.MaxStack = maxStack
	vm.Importer(noImporter{})
	vm.SetTraceOut(io.Discard)
	return vm
}

type noImporter struct{}

// Import implements jsonnet.Importer.
func (noImporter) Import(string, string) (jsonnet.Contents, string, error) {
	return jsonnet.Contents{}, "", errors.New("a mapper cannot import files")
}

// Map implements [Mapper].
func (m *jsonnetMapper) Map(p Profile) (Identity, error) {
	claims := kratosClaims(p)
	extVar, err := json.Marshal(claims)
	if err != nil {
		return Identity{}, fmt.Errorf("map with %s: %w", m.name, errClaims)
	}
	text, err := m.bounded(string(extVar))
	if err != nil {
		failed := m.fault(err)
		failed.Public = failed.Public || m.isPublic(failed, claims)
		return Identity{}, fmt.Errorf("map with %w", failed)
	}
	identity, err := parseOutput([]byte(text))
	if err != nil {
		return Identity{}, fmt.Errorf("map with %s: %w", m.name, err)
	}
	return identity, nil
}

var (
	errClaims  = errors.New("the claims are not valid JSON")
	errEndless = errors.New("it did not finish in time")
)

// bounded runs the program for at most maxTime.
func (m *jsonnetMapper) bounded(claims string) (text string, err error) {
	if m.left.Load() >= maxLeft {
		return "", errEndless
	}
	done := make(chan struct{})
	var result string
	var failed error
	go func() {
		defer close(done)
		result, failed = m.run(claims)
	}()
	timer := time.NewTimer(m.maxTime)
	defer timer.Stop()
	select {
	case <-done:
		return result, failed
	case <-timer.C:
		m.left.Add(1)
		go func() { <-done; m.left.Add(-1) }()
		return "", errEndless
	}
}

func (m *jsonnetMapper) run(claims string) (string, error) {
	vm, ok := m.vms.Get().(*jsonnet.VM)
	if !ok {
		vm = newVM()
	}
	defer m.vms.Put(vm)
	vm.ExtCode("claims", claims)
	vm.ExtCode("identity", noIdentity)
	defer vm.ExtReset() // a VM in the pool must not keep claims
	return vm.Evaluate(m.node)
}

// noIdentity is the identity that Kratos passes for a user who has none.
const noIdentity = `{"traits": {}, "metadata_public": {}, "metadata_admin": {}}`

// The keys of identity in the result of a mapper.
const (
	keyTraits         = "traits"
	keyMetadataPublic = "metadata_public"
	keyMetadataAdmin  = "metadata_admin"
	keyVerified       = "verified_addresses"
)

// parseOutput reads the result of a mapper. Its errors contain no key and no value of it:
// both may come from the user's data.
func parseOutput(text []byte) (Identity, error) {
	if len(text) > maxOutput {
		return Identity{}, fmt.Errorf("the result has more than %d bytes", maxOutput)
	}
	// Kratos reads keys case-sensitively: traits may differ in case only.
	read, err := strictjson.Value(text, "identity")
	out, ok := read.(map[string]any)
	if err != nil || !ok {
		return Identity{}, errors.New("the result is not an object")
	}
	fields, ok := out["identity"].(map[string]any)
	if !ok {
		return Identity{}, errors.New("the result must be {identity: {traits: {…}}}")
	}
	identity, err := readIdentity(fields)
	if err != nil {
		return Identity{}, err
	}
	identity.Notes = append(notesBeside(out), identity.Notes...)
	return identity, nil
}

// notesBeside returns notes about keys beside identity, which Kratos ignores. Keys may
// come from the user's data, so a note names only those of identity.
func notesBeside(out map[string]any) []string {
	var notes []string
	for _, name := range [...]string{keyTraits, keyMetadataPublic, keyMetadataAdmin, keyVerified} {
		if _, misplaced := out[name]; misplaced {
			notes = append(notes, "the mapper's key "+name+" is ignored: it is beside identity and belongs inside it")
		}
	}
	if len(out) > 1+len(notes) {
		notes = append(notes, "the mapper returns keys beside identity, which are ignored")
	}
	return notes
}

func readIdentity(fields map[string]any) (Identity, error) {
	var identity Identity
	for name, value := range fields {
		into := map[string]*map[string]any{
			keyTraits: &identity.Traits, keyMetadataPublic: &identity.MetadataPublic, keyMetadataAdmin: &identity.MetadataAdmin,
		}[name]
		switch {
		case into != nil && value != nil:
			object, ok := value.(map[string]any)
			if !ok {
				return Identity{}, fmt.Errorf("identity.%s is not an object", name)
			}
			*into = object
		case into != nil: // null: as if absent
		case name == keyVerified:
			addresses, err := readAddresses(value)
			if err != nil {
				return Identity{}, err
			}
			identity.VerifiedAddresses = addresses
		default:
			identity.Notes = []string{"the mapper's identity has keys other than traits, metadata_public, metadata_admin and verified_addresses, which are ignored"}
		}
	}
	if identity.Traits == nil {
		return Identity{}, errors.New("identity.traits is missing")
	}
	if _, ok := identity.MetadataAdmin[provenance.Key]; ok {
		return Identity{}, errors.New("identity.metadata_admin.auth0 is reserved for ferry: use another key")
	}
	return identity, nil
}

func readAddresses(value any) ([]Address, error) {
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("identity.verified_addresses is not a list")
	}
	var addresses []Address
	for i, element := range list {
		object, _ := element.(map[string]any)
		text, hasValue := object["value"].(string)
		via, _ := object["via"].(string)
		if !hasValue || via != ViaEmail && via != ViaSMS {
			return nil, fmt.Errorf("identity.verified_addresses[%d] is not {value: …, via: 'email' or 'sms'}", i)
		}
		addresses = append(addresses, Address{Value: text, Via: via})
	}
	return addresses, nil
}
