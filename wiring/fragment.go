package wiring

import (
	"strconv"
	"strings"
)

// node is YAML that ferry writes: an entry of a mapping, an item of a list (without a key,
// with children), or only comments.
type node struct {
	comments []string // the lines above
	key      string
	value    string // a scalar, quoted if necessary
	remark   string // a comment after the value
	children []node
	raw      []string // lines of list items, from column 0; excludes all other fields
}

// isItem reports whether n is an item of a list, or several.
func (n node) isItem() bool { return n.key == "" && (len(n.children) > 0 || n.raw != nil) }

// style is the indentation of a file, in columns.
type style struct {
	step int // from a key to the keys below it
	list int // from a key to the dashes below it
	item int // from a dash to the keys of its item
}

// plain returns the style without an example in the file.
func plain() style { return style{step: 2, list: 2, item: 2} }

// lines returns the lines of n at a column.
func (s style) lines(n node, column int) []string {
	pad := strings.Repeat(" ", column)
	var out []string
	for _, line := range n.raw {
		out = append(out, shifted(line, column))
	}
	if n.raw != nil {
		return out
	}
	for _, comment := range n.comments {
		out = append(out, pad+"# "+comment)
	}
	if n.key == "" {
		return append(out, s.itemLines(n, column)...)
	}
	line := pad + n.key + ":"
	if n.value != "" {
		line += " " + n.value
	}
	if n.remark != "" {
		line += " # " + n.remark
	}
	out = append(out, line)
	for _, child := range n.children {
		below := column + s.step
		if child.isItem() {
			below = column + s.list
		}
		out = append(out, s.lines(child, below)...)
	}
	return out
}

// itemLines returns the lines of an item of a list.
func (s style) itemLines(n node, column int) []string {
	var out []string
	for _, child := range n.children {
		out = append(out, s.lines(child, column+s.item)...)
	}
	if len(out) > 0 {
		out[0] = strings.Repeat(" ", column) + "-" + out[0][column+1:]
	}
	return out
}

// within nests n in the keys of a path.
func within(path []string, n node) node {
	for i := len(path) - 1; i >= 0; i-- {
		n = node{key: path[i], children: []node{n}}
	}
	return n
}

func (o Options) migrateNode() node {
	return node{
		comments: []string{
			"Kratos asks ferry, once for each identity whose password is still at Auth0.",
			"Keep it enabled while any user is pending: without it, their logins fail.",
		},
		key:      "migrate_hook",
		children: []node{{key: "enabled", value: "true"}, o.migrateConfig()},
	}
}

func (o Options) migrateConfig() node {
	config := node{key: "config", children: []node{
		{key: "url", value: o.migrateURL()},
		{key: "method", value: "POST"},
	}}
	template := node{key: "body", value: Base64(MigrateJsonnet(o.ClientIPHeader)), remark: "wiring/migrate.jsonnet"}
	takes, known := o.template()
	if takes {
		config.children = append(config.children, template)
	}
	config.children = append(config.children, o.authNode(MigrateHookKeys("config", "auth")...))
	if !known {
		config.children = append(config.children, node{comments: []string{
			"Kratos 25.4 and later: uncomment, so that ferry knows which identity asks, and",
			"from where. Kratos 1.3.1 refuses to start with this line.",
			"body: " + template.value,
		}})
	}
	return config
}

// authNode returns the auth block at a path.
func (o Options) authNode(path ...string) node {
	return node{key: "auth", children: []node{
		{key: "type", value: "api_key"},
		{key: "config", children: []node{
			{key: "name", value: "Authorization", remark: "no other name: Kratos logs every other header in clear text"},
			{key: "value", value: strconv.Quote(o.keyValue(path...))},
			{key: "in", value: "header"},
		}},
	}}
}

// afterRegistrationNode returns the first hook after a registration with a method.
func (o Options) afterRegistrationNode(l hookList) node {
	return node{
		comments: afterRegistrationComments(),
		children: []node{
			{key: "hook", value: webHook},
			{key: "config", children: []node{
				{key: "url", value: l.url(o)},
				{key: "method", value: "POST"},
				{key: "body", value: Base64(AfterRegistrationJsonnet()), remark: "wiring/after-registration.jsonnet"},
				parseNode(),
				o.authNode(append(l.path(), "0", "config", "auth")...),
			}},
		},
	}
}

// afterRegistrationComments are the comments above that hook.
func afterRegistrationComments() []string {
	return []string{
		"Before Kratos stores a new identity, it asks ferry whether Auth0 has the user.",
	}
}

// parseNode makes Kratos read the answer.
func parseNode() node {
	return node{key: "response", children: []node{{key: Parse, value: "true", remark: "the sign-up waits for ferry, and fails without it"}}}
}

// afterLoginNode returns the first hook after a login with a password.
func (o Options) afterLoginNode() node {
	return node{
		comments: []string{
			"Kratos tells ferry who logged in; ferry writes the user's Auth0 profile, once.",
			"Keep it first: if require_verified_address runs before it, a user who has",
			"verified their address at Auth0 since the import is refused at every login.",
		},
		children: []node{
			{key: "hook", value: webHook},
			{key: "config", children: []node{
				{key: "url", value: o.afterLoginURL()},
				{key: "method", value: "POST"},
				{key: "body", value: Base64(AfterLoginJsonnet(o.Response)), remark: "wiring/after-login.jsonnet"},
				o.responseNode(),
				o.authNode(AfterLoginKeys("password", "hooks", "0", "config", "auth")...),
			}},
		},
	}
}

// hooksComments are the comments above a list that has only ferry's hook.
func hooksComments() []string {
	return []string{
		"This list replaces login.after.hooks for logins with a password: copy what you",
		"have there to its end (require_verified_address, ...), behind ferry's hook.",
	}
}

// registrationComments are the comments above the lists after a registration.
func registrationComments() []string {
	return []string{
		"These lists replace registration.after.hooks for their methods: copy what you have",
		"there to their ends, behind ferry's hook.",
	}
}

const webHook = "web_hook"

func (o Options) responseNode() node {
	if o.Response == Parse {
		return node{key: "response", children: []node{{key: Parse, value: "true", remark: "the login waits for ferry, and fails without it"}}}
	}
	return node{key: "response", children: []node{{key: Ignore, value: "true", remark: "users can log in even if ferry is slow or down"}}}
}

// Fragment returns the part of kratos.yml that ferry needs, as YAML with comments. It
// contains the key. The options must pass Check.
func Fragment(o Options) string {
	methods := node{key: "methods", children: []node{
		within([]string{"password"}, node{key: "config", children: []node{o.migrateNode()}}),
	}}
	if o.Bridge.ID != "" {
		list := node{key: "providers", children: []node{o.bridgeNode(0)}}
		methods.children = append(methods.children, node{key: "oidc", children: []node{enabledNode(), {key: "config", children: []node{list}}}})
	}
	selfservice := node{key: "selfservice", children: []node{
		methods,
		within([]string{"flows", "login", "after", "password"}, node{
			comments: hooksComments(),
			key:      "hooks",
			children: []node{o.afterLoginNode()},
		}),
	}}
	if o.SignUp {
		after := node{key: "after", comments: registrationComments()}
		for _, l := range registrationLists() {
			after.children = append(after.children, within([]string{l.method}, node{key: "hooks", children: []node{l.item(o)}}))
		}
		flows := &selfservice.children[1]
		flows.children = append(flows.children, node{key: registrationFlow, children: []node{after}})
	}
	return strings.Join(plain().lines(selfservice, 0), "\n") + "\n"
}
