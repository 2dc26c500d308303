package main

import (
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.pdf", "a.pdf", true},
		{"*.pdf", "b/a.pdf", false},
		{"**", "a", true},
		{"**", "a/b/c", true},
		{"**/*.pdf", "a.pdf", true},
		{"**/*.pdf", "a/b/c.pdf", true},
		{"a/**", "a/b/c", true},
		{"a/**", "b/a/c", false},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/b/b/c", true},
		{"a/**/c", "a/b/d", false},
		{"a?c", "abc", true},
		{"a?c", "a/c", false},
		{"[ab]*", "bcd", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{"é*", "éa", true},
		{"*", "", true},
	} {
		got, err := matches(strings.Split(c.pattern, "/"), strings.Split(c.name, "/"))
		if err != nil || got != c.want {
			t.Errorf("%s on %s: %v, %v; want %v", c.pattern, c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{"[a", "a/[", "**/[x"} {
		if _, err := matches(strings.Split(bad, "/"), nil); err == nil {
			t.Errorf("%s is taken for a pattern", bad)
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{"a": "a", `a\*b`: "a*b", `\[1\]`: `[1\]`, `a\b`: `a\b`, `a\\b`: `a\b`, "a*": "a*"} {
		if got := plain(text); got != want {
			t.Errorf("plain(%s) = %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]bool{"a": false, "a*": true, `a\*`: false, `a\\*`: true, "[": true, "a?b": true} {
		if got := isPattern(text); got != want {
			t.Errorf("isPattern(%s) = %v, want %v", text, got, want)
		}
	}
}
