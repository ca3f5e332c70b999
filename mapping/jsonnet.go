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

// maxStack is how deep a mapper may call itself; a deeper one is an error.
const maxStack = 500

// maxTime is how long a mapper may take, some hundred microseconds as a rule: somebody
// may be waiting to be logged in. One that loops cannot be ended: it is left behind,
// and while maxLeft of them still run, no other begins.
const (
	maxTime = 5 * time.Second
	maxLeft = 4
)

// maxOutput is the most that a mapper may answer, in bytes.
const maxOutput = 1 << 20

// Jsonnet is a mapper in the convention of Kratos' OIDC mappers: the program reads
// std.extVar('claims') and answers {identity: {traits, metadata_public,
// metadata_admin, verified_addresses}}; other keys are ignored, with a note. The claims
// are those that Kratos gives, empty ones and false left out as it does; raw_claims has
// everything, app_metadata and user_metadata too. std.extVar('identity') has empty
// traits and metadata, as Kratos gives it for somebody who has no identity yet.
//
// The program is compiled once. It imports nothing, and what it traces is dropped. One
// that does not end within five seconds is an error.
// The name stands for it in errors. One that fails gives a [MapperError].
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
	left    atomic.Int32 // of the calls that nobody waits for any more, those that run
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
	return jsonnet.Contents{}, "", errors.New("a mapper imports nothing")
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
	errClaims  = errors.New("the claims are no JSON")
	errEndless = errors.New("it does not end in time")
)

// bounded runs the program, as long as it may take.
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
	defer vm.ExtReset() // a VM in the pool keeps nobody's claims
	return vm.Evaluate(m.node)
}

// noIdentity is what Kratos tells a mapper about a person who has no identity yet.
const noIdentity = `{"traits": {}, "metadata_public": {}, "metadata_admin": {}}`

// The keys of what a mapper answers below identity.
const (
	keyTraits         = "traits"
	keyMetadataPublic = "metadata_public"
	keyMetadataAdmin  = "metadata_admin"
	keyVerified       = "verified_addresses"
)

// parseOutput reads what a mapper answered. Its errors name no key and no value of
// the answer: both may come from the person's data.
func parseOutput(text []byte) (Identity, error) {
	if len(text) > maxOutput {
		return Identity{}, fmt.Errorf("it answered more than %d bytes", maxOutput)
	}
	// Kratos reads these answers with keys as they are: traits may differ in case.
	read, err := strictjson.Value(text, "identity")
	out, ok := read.(map[string]any)
	if err != nil || !ok {
		return Identity{}, errors.New("it answered no object")
	}
	fields, ok := out["identity"].(map[string]any)
	if !ok {
		return Identity{}, errors.New("it must answer {identity: {traits: {…}}}")
	}
	identity, err := readIdentity(fields)
	if err != nil {
		return Identity{}, err
	}
	identity.Notes = append(notesBeside(out), identity.Notes...)
	return identity, nil
}

// notesBeside are about keys beside identity, which Kratos ignores. Keys may come from
// the person's data, so only those are named that belong elsewhere.
func notesBeside(out map[string]any) []string {
	var notes []string
	for _, name := range [...]string{keyTraits, keyMetadataPublic, keyMetadataAdmin, keyVerified} {
		if _, misplaced := out[name]; misplaced {
			notes = append(notes, "the mapper's key "+name+" is ignored: it stands beside identity and belongs within")
		}
	}
	if len(out) > 1+len(notes) {
		notes = append(notes, "the mapper answers keys beside identity, which are ignored")
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
				return Identity{}, fmt.Errorf("identity.%s is no object", name)
			}
			*into = object
		case into != nil: // null: as if it were not there
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
		return Identity{}, errors.New("identity.metadata_admin.auth0 is ferry's own: take another key")
	}
	return identity, nil
}

func readAddresses(value any) ([]Address, error) {
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("identity.verified_addresses is no list")
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
