package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on a file's tree, so that aliases cannot blow it up.
const (
	nodesMax = 200_000
	depthMax = 16
)

// yaml reads the file's text. It walks the tree itself, because every complaint has to name its line.
func (l *loader) yaml(path string, data []byte) {
	var doc yaml.Node
	if err := parseYAML(data, &doc); err != nil {
		l.problem(yamlPlace(path, err))
		return
	}
	if len(doc.Content) == 0 {
		return // an empty file is the defaults
	}
	w := &walker{loader: l, path: path}
	w.section(doc.Content[0], "")
}

// parseYAML turns a panic of the YAML library into an error: the text comes from outside.
func parseYAML(data []byte, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return yaml.Unmarshal(data, doc)
}

// yamlPlace moves the line out of the library's message ("yaml: line 3: ...").
func yamlPlace(path string, err error) (where, key, format string, message any) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		path, text = path+":"+m[1], m[2]
	}
	return path, "", "not valid YAML: %s", text
}

type walker struct {
	*loader
	path  string
	nodes int
	depth int
	bytes int // of policies
}

func (w *walker) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", w.path, n.Line) }

func (w *walker) bad(n *yaml.Node, key, format string, args ...any) {
	w.problem(w.at(n), key, format, args...)
}

// resolve follows an alias and counts; ok is false when the tree is too large.
func (w *walker) resolve(n *yaml.Node) (*yaml.Node, bool) {
	w.nodes++
	if w.nodes > nodesMax {
		if w.nodes == nodesMax+1 {
			w.bad(n, "", "more than %d values; aliases count each time", nodesMax)
		}
		return n, false
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias, true
	}
	return n, true
}

// entries calls fn for each key of a mapping. It complains about anything else, and about repeated keys.
func (w *walker) entries(n *yaml.Node, key string, fn func(name string, at, value *yaml.Node)) {
	n, ok := w.resolve(n)
	if !ok || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		w.bad(n, key, "write keys and values here, for example %s", exampleOf(key))
		return
	}
	if w.depth++; w.depth > depthMax {
		w.bad(n, key, "nested too deep")
		return
	}
	defer func() { w.depth-- }()
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, value := n.Content[i], n.Content[i+1]
		switch {
		case at.Kind != yaml.ScalarNode:
			w.bad(at, key, "a key must be a word")
		case seen[at.Value]:
			w.bad(at, join(key, clip(at.Value)), "given twice; remove one")
		default:
			seen[at.Value] = true
			fn(at.Value, at, value)
		}
	}
}

func exampleOf(key string) string {
	if key == "" {
		return "\"data: /var/lib/pithos\""
	}
	return fmt.Sprintf("%q on its own line and indented keys below", key[strings.LastIndex(key, ".")+1:]+":")
}

// section reads a mapping whose keys are settings or further sections.
func (w *walker) section(n *yaml.Node, prefix string) {
	w.entries(n, prefix, func(name string, at, value *yaml.Node) {
		key := join(prefix, name)
		if key == usersKey {
			w.origin[usersKey] = w.at(at)
			w.users(value)
			return
		}
		if key == groupsKey {
			w.origin[groupsKey] = w.at(at)
			w.groups(value)
			return
		}
		if key == regionsKey {
			w.regions(value)
			return
		}
		if r, ok := find(w.rows, key); ok && !strings.Contains(name, ".") {
			w.value(r, at, value)
			return
		}
		if !strings.Contains(name, ".") && slices.ContainsFunc(w.rows, func(r setting) bool { return strings.HasPrefix(r.key, key+".") }) {
			w.section(value, key)
			return
		}
		w.bad(at, join(prefix, clip(name)), "%s", unknown("key", name, w.known(prefix)))
	})
}

// known lists the keys directly below a section.
func (w *walker) known(prefix string) []string {
	var names []string
	if prefix == "keystore" {
		names = append(names, "users", "groups")
	}
	for _, r := range w.rows {
		rest := r.key
		if prefix != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(r.key, prefix+"."); !ok {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if prefix == "" {
		names = append(names, regionsKey)
	}
	return names
}

// value reads a setting.
func (w *walker) value(r setting, at, n *yaml.Node) {
	if r.pair {
		n = w.pairs(n, r.key)
	}
	if values, ok := w.scalars(at, n, r.key, r.list); ok {
		w.apply(w.at(at), r, values)
	}
}

// pairs makes each mapping of cert and key in a list what it is elsewhere, CERT:KEY.
func (w *walker) pairs(n *yaml.Node, key string) *yaml.Node {
	list, ok := w.resolve(n)
	if !ok || list.Kind != yaml.SequenceNode {
		return n
	}
	out := *list
	out.Content = nil
	for i, item := range list.Content {
		if item.Kind != yaml.MappingNode {
			out.Content = append(out.Content, item)
			continue
		}
		parts, at := map[string]string{}, fmt.Sprintf("%s[%d]", key, i)
		w.entries(item, at, func(name string, node, value *yaml.Node) {
			if name != "cert" && name != "key" {
				w.bad(node, join(at, clip(name)), "%s", unknown("key", name, []string{"cert", "key"}))
			} else if values, ok := w.scalars(node, value, join(at, name), false); ok {
				parts[name] = values[0]
			}
		})
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: parts["cert"] + ":" + parts["key"], Line: item.Line})
	}
	return &out
}

// scalars reads one value, or a list of them. Nothing at all leaves the default, and ok is false.
func (w *walker) scalars(at, n *yaml.Node, key string, list bool) (values []string, ok bool) {
	n, ok = w.resolve(n)
	switch {
	case !ok, isNull(n):
		return nil, false
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}, true
	case list && n.Kind == yaml.SequenceNode:
		values = []string{}
		for _, item := range n.Content {
			item, ok := w.resolve(item)
			if !ok {
				return nil, false
			}
			if item.Kind != yaml.ScalarNode || isNull(item) {
				w.bad(item, key, "write a plain value in the list")
				return nil, false
			}
			values = append(values, item.Value)
		}
		return values, true
	case list:
		w.bad(at, key, "write a list, for example [one, two]")
	default:
		w.bad(at, key, "write a single value here")
	}
	return nil, false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}
