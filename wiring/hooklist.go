package wiring

import (
	"strings"

	"ferry/wire"
)

// registrationFlow is the flow of sign-ups in Kratos' configuration.
const registrationFlow = "registration"

// flows are the flows that have hooks of ferry's.
func flows() []string { return []string{"login", registrationFlow} }

// hookList is the list of hooks after a flow with one method, which replaces the global list
// of the flow. Without a method, it is the global list.
type hookList struct{ flow, method string }

// loginList is the list that has ferry's after-login hook.
func loginList() hookList { return hookList{"login", "password"} }

// registrationLists are the lists that have ferry's after-registration hook.
func registrationLists() []hookList {
	return []hookList{{registrationFlow, "password"}, {registrationFlow, "code"}, {registrationFlow, "oidc"}}
}

// lists returns the lists that get ferry's hook.
func (o Options) lists() []hookList {
	if o.SignUp {
		return append([]hookList{loginList()}, registrationLists()...)
	}
	return []hookList{loginList()}
}

// hookPaths returns the paths of all lists that may have ferry's hook.
func hookPaths() [][]string {
	paths := [][]string{loginList().path(), loginList().global()}
	for _, l := range registrationLists() {
		paths = append(paths, l.path())
	}
	return append(paths, hookList{flow: registrationFlow}.path())
}

// wiredSignUps returns the lists of registrations for which ferry's hook runs.
func wiredSignUps(values map[string]any) []hookList {
	hooksAt := func(path []string) []any {
		list, _ := Lookup(values, path...)
		hooks, _ := list.([]any)
		return hooks
	}
	var wired []hookList
	for _, l := range registrationLists() {
		hooks := hooksAt(l.path())
		if len(hooks) == 0 {
			hooks = hooksAt(l.global())
		}
		if len(indexes(hooks)) > 0 {
			wired = append(wired, l)
		}
	}
	return wired
}

// AfterRegistrationKeys returns a path below the settings after a registration in Kratos'
// configuration.
func AfterRegistrationKeys(below ...string) []string { return afterKeys(registrationFlow, below...) }

// afterKeys returns a path below the settings after a flow.
func afterKeys(flow string, below ...string) []string {
	return append([]string{"selfservice", "flows", flow, "after"}, below...)
}

func (l hookList) path() []string {
	if l.method == "" {
		return l.global()
	}
	return afterKeys(l.flow, l.method, "hooks")
}

func (l hookList) global() []string { return afterKeys(l.flow, "hooks") }

// name and globalName are the lists' names in notes and comments.
func (l hookList) name() string       { return strings.Join(l.path()[2:], ".") }
func (l hookList) globalName() string { return l.flow + ".after.hooks" }

// what is the flow with the method in notes.
func (l hookList) what() string {
	if l == loginList() {
		return "logins with a password"
	}
	return "sign-ups by " + l.method
}

// url returns the address of ferry's hook in the list.
func (l hookList) url(o Options) string {
	if l.flow == registrationFlow {
		return strings.TrimRight(o.URL, "/") + wire.AfterRegistrationPath
	}
	return o.afterLoginURL()
}

// item returns ferry's hook as an item of the list.
func (l hookList) item(o Options) node {
	if l.flow == registrationFlow {
		return o.afterRegistrationNode(l)
	}
	return o.afterLoginNode()
}
