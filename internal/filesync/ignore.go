package filesync

import (
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Ignore is a list of patterns in the syntax of gitignore(5). What matches is neither sent, nor fetched, nor deleted.
type Ignore struct {
	patterns []pattern
	bad      []string // lines that are no pattern
}

type pattern struct {
	glob   string
	negate bool
	folder bool // matches folders alone
}

// ParseIgnore reads the text of an ignore file. Lines that are no pattern are left out, and told by Bad.
func ParseIgnore(text string) *Ignore {
	ig := &Ignore{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimRight(line, " \t")
		if strings.HasSuffix(trimmed, `\`) && len(trimmed) < len(line) {
			trimmed += " " // an escaped blank counts
		}
		line = trimmed
		if line == "" || line[0] == '#' {
			continue
		}
		var p pattern
		if p.negate = line[0] == '!'; p.negate {
			line = line[1:]
		}
		rest, folder := strings.CutSuffix(line, "/")
		p.folder = folder
		p.glob = strings.TrimPrefix(rest, "/")
		if !strings.Contains(rest, "/") { // without a slash it holds at every level
			p.glob = "**/" + p.glob
		}
		if strings.HasSuffix(p.glob, "/**") { // what is inside, not the folder itself
			p.glob += "/*"
		}
		if p.glob == "" || !doublestar.ValidatePattern(escapeBraces(p.glob)) {
			ig.bad = append(ig.bad, line)
			continue
		}
		p.glob = escapeBraces(p.glob)
		ig.patterns = append(ig.patterns, p)
	}
	return ig
}

// escapeBraces takes from braces the meaning that the library gives them and gitignore does not.
func escapeBraces(glob string) string {
	return strings.NewReplacer(`\{`, `\{`, `\}`, `\}`, "{", `\{`, "}", `\}`).Replace(glob)
}

// Bad are the lines that are no pattern.
func (ig *Ignore) Bad() []string { return ig.bad }

// Match reports whether a name is ignored, by itself or because a folder that it lies in is.
func (ig *Ignore) Match(name string, folder bool) bool {
	if ig == nil || len(ig.patterns) == 0 {
		return false
	}
	inside := false
	for i := strings.IndexByte(name, '/'); i >= 0 && !inside; {
		inside = ig.matchOne(name[:i], true)
		next := strings.IndexByte(name[i+1:], '/')
		if next < 0 {
			break
		}
		i += next + 1
	}
	return inside || ig.matchOne(name, folder)
}

// matchOne asks the patterns about the name alone: the last one that matches decides.
func (ig *Ignore) matchOne(name string, folder bool) bool {
	for i := len(ig.patterns) - 1; i >= 0; i-- {
		p := &ig.patterns[i]
		if p.folder && !folder {
			continue
		}
		if doublestar.MatchUnvalidated(p.glob, name) {
			return !p.negate
		}
	}
	return false
}
