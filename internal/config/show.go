package config

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Setting describes one row of the table for flags and documentation.
type Setting struct {
	Key      string
	Kind     string // what its values look like
	Doc      string
	Variable string
	Flag     string
	Default  string
}

// Settings lists every setting, in the order of the documentation.
func Settings() []Setting {
	var list []Setting
	for _, r := range Default().settings() {
		list = append(list, Setting{r.key, r.kind, r.doc, Variable(r.key), Flag(r.key), strings.Join(r.get(), ", ")})
	}
	return list
}

// Hidden stands in for a secret.
const Hidden = "(hidden)"

// YAML writes the configuration as a file that Load reads back. Secrets and passwords are hidden.
func (c *Config) YAML() []byte {
	root := mapping()
	for _, r := range c.settings() {
		values := r.get()
		if !r.list && values[0] == "" || r.list && len(values) == 0 {
			continue
		}
		put(root, strings.Split(r.key, "."), valueNode(r.list, values))
	}
	if len(c.Keystore.Users) > 0 {
		users := &yaml.Node{Kind: yaml.SequenceNode}
		for _, u := range c.Keystore.Users {
			users.Content = append(users.Content, userNode(u))
		}
		put(root, strings.Split(usersKey, "."), users)
	}
	if len(c.Keystore.Groups) > 0 {
		groups := &yaml.Node{Kind: yaml.SequenceNode}
		for _, g := range c.Keystore.Groups {
			n := mapping()
			put(n, []string{"name"}, valueNode(false, []string{g.Name}))
			put(n, []string{"account"}, valueNode(false, []string{string(g.Account)}))
			putPolicies(n, g.Policies)
			groups.Content = append(groups.Content, n)
		}
		put(root, strings.Split(groupsKey, "."), groups)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return fmt.Appendf(nil, "# %v\n", err) // cannot happen: the tree is made of plain nodes
	}
	return out.Bytes()
}

func userNode(u User) *yaml.Node {
	n := mapping()
	add := func(name string, values ...string) {
		if len(values) == 1 && values[0] != "" {
			put(n, []string{name}, valueNode(false, values))
		}
	}
	add("name", u.Name)
	add("account", string(u.Account))
	add("domain", u.Domain)
	add("project", u.Project)
	if u.Password != "" {
		add("password", Hidden)
	}
	add("display_name", u.DisplayName)
	add("canonical_id", u.Canonical)
	add("email", u.Email)
	if u.Roles != nil {
		put(n, []string{"roles"}, valueNode(true, u.Roles))
	}
	if len(u.Groups) > 0 {
		put(n, []string{"groups"}, valueNode(true, u.Groups))
	}
	keys := &yaml.Node{Kind: yaml.SequenceNode}
	for _, k := range u.Keys {
		kn := mapping()
		put(kn, []string{"access_key"}, valueNode(false, []string{k.AccessKey}))
		put(kn, []string{"secret_key"}, valueNode(false, []string{Hidden}))
		if !k.Expires.IsZero() {
			put(kn, []string{"expires"}, valueNode(false, []string{k.Expires.Format(time.RFC3339)}))
		}
		if k.Policy != "" {
			put(kn, []string{"policy"}, valueNode(false, []string{k.Policy}))
		}
		keys.Content = append(keys.Content, kn)
	}
	if len(keys.Content) > 0 {
		put(n, []string{"keys"}, keys)
	}
	putPolicies(n, u.Policies)
	return n
}

func putPolicies(n *yaml.Node, policies map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		put(n, []string{"policies", name}, valueNode(false, []string{policies[name]}))
	}
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func valueNode(list bool, values []string) *yaml.Node {
	if !list {
		n := &yaml.Node{}
		n.SetString(values[0])
		if n.Style == 0 && needsQuotes(values[0]) {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		n.Content = append(n.Content, valueNode(false, []string{v}))
	}
	return n
}

// needsQuotes is about the one plain text that the loader reads as "nothing here".
func needsQuotes(s string) bool {
	switch strings.ToLower(s) {
	case "", "~", "null":
		return true
	}
	return false
}

// put sets the value at a path below n, making the sections on the way.
func put(n *yaml.Node, path []string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			put(n.Content[i+1], path[1:], value)
			return
		}
	}
	name := &yaml.Node{Kind: yaml.ScalarNode, Value: path[0]}
	if len(path) == 1 {
		n.Content = append(n.Content, name, value)
		return
	}
	section := mapping()
	n.Content = append(n.Content, name, section)
	put(section, path[1:], value)
}
