package main

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"pithos/client"
)

// anyFolders is the segment of a pattern that stands for any number of folders.
const anyFolders = "**"

// isPattern tells whether a name has a character of patterns that no backslash stands before.
func isPattern(text string) bool { return literalEnd(text) < len(text) }

// literalEnd is where the first special character of a pattern stands.
func literalEnd(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return i
		}
	}
	return len(text)
}

// plain takes the backslashes out of a name that is no pattern. One that stands before an ordinary character is part of the name.
func plain(text string) string {
	return strings.NewReplacer(`\*`, "*", `\?`, "?", `\[`, "[", `\\`, `\`).Replace(text)
}

// wanted says what a pattern may mean.
type wanted struct {
	at      time.Time
	folders bool // folders too, not objects alone
}

// expand gives what a name means: the place itself, or all that match a pattern, in order. Errors: nothing matches; a pattern that cannot be read.
func expand(ctx context.Context, c *client.Client, text string, w wanted) ([]place, error) {
	if !isPattern(text) {
		p, err := at(c, plain(text))
		return []place{p}, err
	}
	first, rest := "", strings.TrimPrefix(text, "/")
	if strings.HasPrefix(text, "@") {
		account, path, _ := strings.Cut(text, "/")
		first, rest = account+"/", path
	}
	container, pattern, _ := strings.Cut(rest, "/")
	p, err := at(c, plain(first))
	if first == "" {
		p, err = place{c: c, all: true}, nil
	}
	if err != nil {
		return nil, err
	}
	if isPattern(first) || container == "" {
		return nil, usage(fmt.Sprintf("%q: the account cannot be a pattern, and a container must be named", text))
	}
	containers := []string{plain(container)}
	if isPattern(container) {
		if containers, err = matchContainers(ctx, p.c, container); err != nil {
			return nil, err
		}
	}
	var all []place
	for _, name := range containers {
		k := place{Container: p.c.Container(name), c: p.c, shown: plain(first) + name}
		if pattern == "" {
			all = append(all, k)
			continue
		}
		matches, err := k.match(ctx, pattern, w)
		if err != nil {
			return nil, err
		}
		all = append(all, matches...)
	}
	if len(all) == 0 {
		return nil, &failure{exitNotFound, fmt.Errorf("nothing matches %s", printable(text))}
	}
	return all, nil
}

// expandAll is expand for several names.
func expandAll(ctx context.Context, c *client.Client, texts []string, w wanted) ([]place, error) {
	var all []place
	for _, text := range texts {
		matches, err := expand(ctx, c, text, w)
		if err != nil {
			return nil, err
		}
		all = append(all, matches...)
	}
	return all, nil
}

// expandObjects is expandAll for commands that work on objects; what names none is wrong use.
func expandObjects(ctx context.Context, c *client.Client, texts []string, w wanted) ([]place, error) {
	all, err := expandAll(ctx, c, texts, w)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.name == "" {
			return nil, usage(fmt.Sprintf("%q names no object: write CONTAINER/PATH", p.String()))
		}
	}
	return all, nil
}

func matchContainers(ctx context.Context, c *client.Client, pattern string) (names []string, err error) {
	list, err := c.Containers(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		ok, err := path.Match(pattern, k.Name)
		if err != nil {
			return nil, badPattern(pattern)
		}
		if ok {
			names = append(names, k.Name)
		}
	}
	return names, nil
}

func badPattern(pattern string) error { return usage(fmt.Sprintf("%q is no pattern", pattern)) }

// match lists what of a container a pattern means. Only what lies below the part of it that is plain is asked for, and one level if it is for one.
func (p place) match(ctx context.Context, pattern string, w wanted) ([]place, error) {
	onlyFolders := strings.HasSuffix(pattern, "/")
	segments := strings.Split(strings.TrimSuffix(pattern, "/"), "/")
	if _, err := matches(segments, nil); err != nil {
		return nil, badPattern(pattern)
	}
	literal := plain(pattern[:literalEnd(pattern)])
	o := client.ListOptions{Prefix: literal, At: w.at}
	folder := literal[:strings.LastIndexByte(literal, '/')+1]
	if len(segments) == strings.Count(folder, "/")+1 && segments[len(segments)-1] != anyFolders {
		o.Prefix, o.Delimiter = folder, "/"
	}
	deep := strings.Contains("/"+pattern+"/", "/"+anyFolders+"/")
	seen := map[string]bool{}
	var all []place
	add := func(name string, isFolder bool) {
		if name != "" && !seen[name] && (isFolder && w.folders || !isFolder && !onlyFolders) {
			seen[name] = true
			next := p
			next.name, next.folder = name, isFolder
			all = append(all, next)
		}
	}
	for e, err := range p.List(ctx, o) {
		if err != nil {
			return nil, err
		}
		name := strings.Split(e.Name+e.Prefix, "/")
		if e.Prefix == "" {
			if ok, err := matches(segments, name); err != nil {
				return nil, badPattern(pattern)
			} else if ok {
				add(e.Name, e.Folder())
				continue
			}
		}
		if !deep && len(name) > len(segments) {
			if ok, _ := matches(segments, name[:len(segments)]); ok { // the pattern was tried above
				add(strings.Join(name[:len(segments)], "/"), true)
			}
		}
	}
	return all, nil
}

// matches tells whether a name matches a pattern, both cut at slashes.
func matches(pattern, name []string) (bool, error) {
	if len(pattern) == 0 {
		return len(name) == 0, nil
	}
	if pattern[0] == anyFolders {
		for i := 0; i <= len(name); i++ {
			if ok, err := matches(pattern[1:], name[i:]); ok || err != nil {
				return ok && (len(pattern) > 1 || len(name) > 0), err
			}
		}
		return false, nil
	}
	if len(name) == 0 {
		for _, p := range pattern { // all of it is tried, so that a wrong one is found
			if _, err := path.Match(p, ""); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	if ok, err := path.Match(pattern[0], name[0]); !ok || err != nil {
		return false, err
	}
	return matches(pattern[1:], name[1:])
}
