package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"pithos/internal/access/policy"
	"pithos/internal/naming"
)

const groupsKey = "keystore.groups"

// policyBytesMax bounds the policies of a file together, so that aliases cannot blow them up.
const policyBytesMax = 2 * FileMax

// groups reads the list of groups that have policies.
func (w *walker) groups(n *yaml.Node) {
	n, ok := w.resolve(n)
	if !ok || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		w.bad(n, groupsKey, "write a list of groups, each beginning with \"- name: ...\"")
		return
	}
	for i, item := range n.Content {
		w.group(fmt.Sprintf("%s[%d]", groupsKey, i), item)
	}
}

// group reads one group and adds it to the configuration.
func (w *walker) group(path string, n *yaml.Node) {
	before := len(w.problems)
	var g Group
	var policies *yaml.Node // read when it is known whose they are
	w.entries(n, path, func(name string, at, value *yaml.Node) {
		if name == "policies" {
			policies = value
			return
		}
		if name != "name" && name != "account" {
			w.bad(at, path+"."+clip(name), "%s", unknown("key", name, firsts(groupFields())))
			return
		}
		values, ok := w.scalars(at, value, path+"."+name, false)
		if !ok {
			return
		}
		var err error
		if name == "name" {
			g.Name = values[0]
			err = checkName(g.Name)
		} else {
			g.Account, err = naming.ParseAccount(values[0])
		}
		if err != nil {
			w.bad(at, path+"."+name, "%s", publicMessage(err))
		}
	})
	if len(w.problems) > before {
		return
	}
	switch {
	case g.Name == "" || g.Account == "":
		w.bad(n, path, "a group needs name and account")
	case policies == nil:
		w.bad(n, path, "policies are missing; a group without them needs no mention here, only in groups of its users")
	default:
		g.Policies = w.policies(path+".policies", policies, "group "+g.Name+" of account "+string(g.Account))
	}
	if len(w.problems) == before {
		w.origin[fmt.Sprintf("%s[%d]", groupsKey, len(w.c.Keystore.Groups))] = w.at(n)
		w.c.Keystore.Groups = append(w.c.Keystore.Groups, g)
	}
}

// policies reads the policies of a user or group.
func (w *walker) policies(path string, n *yaml.Node, whose string) map[string]string {
	read := map[string]string{}
	w.entries(n, path, func(name string, at, value *yaml.Node) {
		if err := policy.CheckName(name); err != nil {
			w.bad(at, path, "%s: policy %q: %s", whose, clip(name), publicMessage(err))
			return
		}
		if text, ok := w.policy(path+"."+name, value, whose+": policy "+name); ok {
			read[name] = text
		}
	})
	if len(read) > policy.AttachedMax {
		w.bad(n, path, "%s has more than %d policies; put several rules into one", whose, policy.AttachedMax)
	}
	if len(read) == 0 {
		return nil
	}
	return read
}

// policy reads one policy, and tests it as one that an administrator attaches. One that is there and says nothing is a fault: it may have been meant to
// forbid something.
func (w *walker) policy(path string, n *yaml.Node, which string) (text string, ok bool) {
	at := n
	n, ok = w.resolve(n)
	if !ok {
		return "", false
	}
	switch {
	case isNull(n):
		w.bad(at, path, "%s: it is empty; write a policy, or leave the key out", which)
		return "", false
	case n.Kind == yaml.ScalarNode:
		text = n.Value
	default:
		var b bytes.Buffer
		if err := w.json(&b, n, 0); err != nil {
			w.bad(at, path, "%s: %s", which, err)
			return "", false
		}
		text = b.String()
	}
	if _, err := policy.Parse([]byte(text), policy.Identity); err != nil {
		w.bad(at, path, "%s: %s", which, publicMessage(err))
		return "", false
	}
	if w.bytes += len(text); w.bytes > policyBytesMax {
		w.bad(at, path, "the policies of the file have more than %d bytes together; aliases count each time", policyBytesMax)
		return "", false
	}
	return text, true
}

// json writes a tree of YAML as the JSON that it stands for. It stops when it is longer than a policy may be. Values that are no JSON, as dates are, become
// strings: an unquoted 2012-10-17 is the version of a policy.
func (w *walker) json(b *bytes.Buffer, n *yaml.Node, depth int) error {
	n, ok := w.resolve(n)
	if !ok || depth > depthMax {
		return fmt.Errorf("the policy is nested too deeply")
	}
	if b.Len() > policy.IdentityMax {
		return fmt.Errorf("the policy has more than %d bytes", policy.IdentityMax)
	}
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		brackets := "[]"
		if n.Kind == yaml.MappingNode {
			brackets = "{}"
		}
		b.WriteByte(brackets[0])
		for i, child := range n.Content {
			name := n.Kind == yaml.MappingNode && i%2 == 0
			switch {
			case name && child.Kind != yaml.ScalarNode:
				return fmt.Errorf("line %d: a key must be a word", child.Line)
			case n.Kind == yaml.MappingNode && !name:
				b.WriteByte(':')
			case i > 0:
				b.WriteByte(',')
			}
			if name {
				writeString(b, child.Value)
			} else if err := w.json(b, child, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(brackets[1])
	default:
		literal := slices.Contains([]string{"!!bool", "!!int", "!!float", "!!null"}, n.Tag) && json.Valid([]byte(n.Value))
		if literal {
			b.WriteString(n.Value)
		} else {
			writeString(b, n.Value)
		}
	}
	return nil
}

// writeString writes a string of JSON, with the characters of HTML as they are: what is written counts against the size of the policy.
func writeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // a string always can be
	b.Truncate(b.Len() - 1) // its end of line
}

// checkGroups checks groups against each other and against the users.
func (l *loader) checkGroups(k Keystore) {
	if k.Kind != File {
		if len(k.Groups) > 0 {
			l.problem(l.where(groupsKey, "keystore.kind"), groupsKey, "groups are read only with kind: file; write kind: file, or remove the groups")
		}
		return
	}
	accounts, bytesOf := map[naming.AccountID]bool{}, map[naming.AccountID]int{}
	for _, u := range k.Users {
		accounts[u.Account] = true
	}
	seen := map[[2]string]string{}
	for i, g := range k.Groups {
		path := fmt.Sprintf("%s[%d]", groupsKey, i)
		where, id := l.where(path), [2]string{string(g.Account), g.Name}
		total := bytesOf[g.Account]
		for _, text := range g.Policies {
			total += len(text)
		}
		switch first, twice := seen[id]; {
		case !accounts[g.Account]:
			l.problem(where, path, "group %s: no user has the account %s; write one of the users' accounts", g.Name, g.Account)
		case twice:
			l.problem(where, path, "group %s of account %s is already defined at %s; write its policies in one place", g.Name, g.Account, first)
		case total > policy.GroupsMax && bytesOf[g.Account] <= policy.GroupsMax:
			l.problem(where, path, "group %s: the policies of the groups of account %s have more than %d bytes together", g.Name, g.Account, policy.GroupsMax)
		}
		seen[id], bytesOf[g.Account] = where, total
	}
}
