package filesync

import (
	"strings"
	"testing"
	"time"

	"pithos/internal/block"
)

// TestIgnore follows the examples of gitignore(5).
func TestIgnore(t *testing.T) {
	ig := ParseIgnore(strings.Join([]string{
		"# a comment", "", "*.tmp", "!keep.tmp", "/top", "build/", "doc/*.txt", "logs/**", "**/cache", `\#odd`, "x?z", "[ab].c", "a/**/b", `end\ `, "{p,q}",
	}, "\n"))
	for _, c := range []struct {
		name   string
		folder bool
		want   bool
	}{
		{"a.tmp", false, true},
		{"deep/er/a.tmp", false, true},
		{"keep.tmp", false, false},
		{"top", false, true},
		{"sub/top", false, false},
		{"build", true, true},
		{"build", false, false},
		{"sub/build/out.o", false, true},
		{"doc/a.txt", false, true},
		{"doc/sub/a.txt", false, false},
		{"logs", true, false},
		{"logs/a/b", false, true},
		{"one/two/cache", true, true},
		{"#odd", false, true},
		{"xyz", false, true},
		{"xyyz", false, false},
		{"b.c", false, true},
		{"c.c", false, false},
		{"a/b", false, true},
		{"a/x/y/b", false, true},
		{"end ", false, true},
		{"p", false, false},
		{"{p,q}", false, true},
		{"plain", false, false},
	} {
		if got := ig.Match(c.name, c.folder); got != c.want {
			t.Errorf("Match(%q, folder %v) = %v", c.name, c.folder, got)
		}
	}
	if bad := ParseIgnore("[a").Bad(); len(bad) != 1 {
		t.Errorf("a line that is no pattern: %q", bad)
	}
}

// TestRefuse: names from the service that would leave the folder, or cannot be files, are never used.
func TestRefuse(t *testing.T) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../../b", "a/.", "a\x00b", "a/\xff", strings.Repeat("a", 256), strings.Repeat("a/", 2048) + "a",
		".pithos-sync", "a/.pithos-sync-new.1", ".pithos-sync-old/x",
	} {
		if (Rules{}).refuse(name) == "" {
			t.Errorf("%.40q is taken", name)
		}
	}
	for _, name := range []string{"a", "a/b", "...", "a/..b", " ", `a\b`, "CON", "a:b", strings.Repeat("a", 255), "ä/e\u0301"} {
		if why := (Rules{}).refuse(name); why != "" {
			t.Errorf("%.40q is refused: %s", name, why)
		}
	}
	for _, name := range []string{"CON", "con.txt", "a/nul", "COM1", "lpt9.x", "a:b", `a\b`, "a.", "a ", "a?", "a\x01"} {
		if (Rules{Windows: true}).refuse(name) == "" {
			t.Errorf("%q is taken on Windows", name)
		}
	}
}

func TestConflictName(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 30, 5, 0, time.UTC)
	for name, want := range map[string]string{
		"a/photo.jpg": "a/photo (conflict ann 2026-03-01 12.30.05).jpg",
		"notes":       "notes (conflict ann 2026-03-01 12.30.05)",
		".profile":    ".profile (conflict ann 2026-03-01 12.30.05)",
	} {
		if got := conflictName(name, "ann", at, 0); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := conflictName("a", "x/../y", at, 2); got != "a (conflict x-..-y 2026-03-01 12.30.05 b)" {
		t.Errorf("%q", got)
	}
	long := conflictName("d/"+strings.Repeat("ä", 127)+".jpeg", "ann", at, 0)
	if why := (Rules{}).refuse(long); why != "" || !strings.HasSuffix(long, ".jpeg") {
		t.Errorf("%q: %s", long, why)
	}
}

func file(n byte) Content { return Content{Kind: File, Size: 1, Root: block.ID{n}} }

// plan is NewPlan with contents for trees. What is in the base is on both sides unless said otherwise.
func plan(rules Rules, force bool, base, local, remote map[string]Content) *Plan {
	v := View{Local: map[string]*Local{}, Remote: map[string]*Remote{}, Base: map[string]*Base{}}
	for n, c := range base {
		v.Base[n] = &Base{Content: c, UUID: n}
	}
	for n, c := range local {
		v.Local[n] = &Local{Content: c, Why: "odd"}
	}
	for n, c := range remote {
		v.Remote[n] = &Remote{Content: c, UUID: n}
	}
	return NewPlan(v, Limits{Rules: rules, Force: force})
}

// TestNamesThatAreOne: where the file system takes two names for one, one object is synchronised and the other told; nothing is overwritten by turns.
func TestNamesThatAreOne(t *testing.T) {
	for what, c := range map[string]struct {
		rules Rules
		names [2]string
	}{
		"case": {Rules{FoldCase: true}, [2]string{"Readme", "README"}},
		"form": {Rules{FoldForm: true}, [2]string{"\u00e9", "e\u0301"}},
		"both": {Rules{FoldForm: true, FoldCase: true}, [2]string{"\u00c9", "e\u0301"}},
	} {
		p := plan(c.rules, false, nil, nil, map[string]Content{c.names[0]: file(1), c.names[1]: file(2)})
		if p.Ops() != 1 || len(p.Skips) != 1 {
			t.Errorf("%s: %d steps, skipped %v", what, p.Ops(), p.Skips)
		}
		known := map[string]Content{c.names[1]: file(2)}
		p = plan(c.rules, false, known, known, map[string]Content{c.names[0]: file(1), c.names[1]: file(2)})
		if p.Ops() != 0 || len(p.Skips) != 1 || p.Skips[0].Name != c.names[0] {
			t.Errorf("%s: what is synchronised already stays: %d steps, skipped %v", what, p.Ops(), p.Skips)
		}
		p = plan(c.rules, false, known, map[string]Content{c.names[0]: file(2)}, known)
		if p.Ops() != 0 {
			t.Errorf("%s: a name that the file system spells in its way: %v", what, p.Stages)
		}
	}
	if p := plan(Rules{}, false, nil, nil, map[string]Content{"A": file(1), "a": file(2)}); p.Ops() != 2 || len(p.Skips) != 0 {
		t.Errorf("where they are two: %v %v", p.Stages, p.Skips)
	}
}

// TestMassDeletion: when everything is gone on one side, nothing is deleted on the other without Force.
func TestMassDeletion(t *testing.T) {
	all := map[string]Content{}
	for i := range massMin {
		all[string(rune('a'+i))] = file(byte(i))
	}
	if p := plan(Rules{}, false, all, nil, all); p.Ops() != 0 || p.HeldRemote != massMin {
		t.Errorf("gone here: %d steps, held %d", p.Ops(), p.HeldRemote)
	}
	if p := plan(Rules{}, false, all, all, nil); p.Ops() != 0 || p.HeldLocal != massMin {
		t.Errorf("gone there: %d steps, held %d", p.Ops(), p.HeldLocal)
	}
	if p := plan(Rules{}, true, all, nil, all); p.Ops() != massMin {
		t.Errorf("with force: %d steps", p.Ops())
	}
}

// TestOdd: what is not synchronised is in nobody's way, and nothing is deleted for it.
func TestOdd(t *testing.T) {
	odd := Content{Kind: Odd}
	known := map[string]Content{"a": {Kind: Folder}, "a/b": file(1), "c": file(2)}
	p := plan(Rules{}, false, known, map[string]Content{"a": odd, "c": odd}, known)
	if p.Ops() != 0 || len(p.Skips) != 2 {
		t.Errorf("%v, skipped %v", p.Stages, p.Skips)
	}
	// An object whose name is that of a folder, where it never was a file.
	p = plan(Rules{}, false, nil, nil, map[string]Content{"a": file(1), "a/b": file(2)})
	if len(p.Skips) != 1 || p.Skips[0].Name != "a" || p.Ops() != 2 {
		t.Errorf("%v, skipped %v", p.Stages, p.Skips)
	}
}
