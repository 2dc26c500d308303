package filesync

import (
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"pithos/internal/naming"
)

// Limits of file names, in bytes, that hold on the usual file systems.
const (
	segmentMax = 255
	pathMax    = 4096 - 256 // room for the folder that is synchronised
)

// ownPrefix begins the names of files that the synchronisation makes for itself. They are never synchronised.
const ownPrefix = ".pithos-sync"

// Names of files that the synchronisation makes for itself.
const (
	markerFile = ownPrefix                // in the folder itself: its identity
	newPrefix  = ownPrefix + "-new."      // a download that is not complete
	oldFolder  = ownPrefix + "-old"       // what was replaced or deleted a moment ago
	probeFile  = ownPrefix + "-probe-aAé" // asks what the file system takes for equal
	ignoreFile = ".pithosignore"
)

// Rules say which names the file system can hold, and which it takes for the same.
type Rules struct {
	FoldCase bool // "A" and "a" are one file
	FoldForm bool // names that differ in their Unicode normal form are one file
	Windows  bool // the names that Windows reserves cannot be used
}

// fold gives the same text for names that the file system takes for the same.
func (r Rules) fold(name string) string {
	if r.FoldForm {
		name = norm.NFC.String(name)
	}
	if r.FoldCase {
		name = cases.Fold().String(name)
	}
	return name
}

func (r Rules) folds() bool { return r.FoldCase || r.FoldForm }

// refuse says why a name cannot be that of a local file; "" when it can. Names from the service are not to be trusted: those that it passes stay inside of the folder.
func (r Rules) refuse(name string) string {
	switch {
	case name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//"):
		return "the name has an empty part between slashes"
	case !utf8.ValidString(name):
		return "the name is not UTF-8"
	case strings.IndexByte(name, 0) >= 0:
		return "the name has a NUL"
	case len(name) > pathMax:
		return "the name is too long"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "." || part == "..":
			return `the name has the part "` + part + `"`
		case len(part) > segmentMax:
			return "a part of the name is longer than 255 bytes"
		case strings.HasPrefix(part, ownPrefix):
			return "the name is kept for the synchronisation"
		}
		if r.Windows {
			if why := refuseWindows(part); why != "" {
				return why
			}
		}
	}
	return ""
}

// refuseWindows knows the names of Microsoft's "Naming Files, Paths, and Namespaces".
func refuseWindows(part string) string {
	if strings.ContainsFunc(part, func(c rune) bool { return c < 0x20 || strings.ContainsRune(`<>:"\|?*`, c) }) {
		return "the name has a character that Windows does not allow"
	}
	if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
		return "the name ends in a dot or a blank"
	}
	stem, _, _ := strings.Cut(strings.ToUpper(part), ".")
	switch stem = strings.TrimRight(stem, " "); stem {
	case "CON", "PRN", "AUX", "NUL":
		return "Windows keeps the name for a device"
	}
	if len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '1' && stem[3] <= '9' {
		return "Windows keeps the name for a device"
	}
	return ""
}

// refuseUpload says why a local name cannot be that of an object behind the prefix.
func (r Rules) refuseUpload(prefix, name string) string {
	if len(prefix)+len(name) > naming.ObjectNameMax {
		return "the name is too long for an object: 1024 bytes at most"
	}
	return r.refuse(name)
}

// parents calls fn for the folders that a name lies in, the nearest first, until it returns false.
func parents(name string, fn func(string) bool) {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if !fn(name[:i]) {
			return
		}
	}
}

// parent is the folder that a name lies in; "." for the top.
func parent(name string) string { return path.Dir(name) }

func below(name, folder string) bool {
	return len(name) > len(folder) && name[len(folder)] == '/' && name[:len(folder)] == folder
}

const (
	conflictTime = "2006-01-02 15.04.05"
	conflictMax  = 64 // bytes of a user's name in the name of a conflict copy
)

// conflictName is the name of the copy that keeps user's version of a file from the moment at: "name (conflict USER YYYY-MM-DD HH.MM.SS).ext". try counts from 0;
// it makes another name when one is taken.
func conflictName(name, user string, at time.Time, try int) string {
	user = strings.Map(func(c rune) rune {
		if c == '/' || c == '\\' || c < 0x20 || strings.ContainsRune(`<>:"|?*`, c) {
			return '-'
		}
		return c
	}, user)
	user = cut(user, conflictMax)
	dir, base := path.Split(name)
	ext := path.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if stem == "" || len(ext) > 16 { // ".profile" has no extension
		stem, ext = base, ""
	}
	tag := " (conflict " + user + " " + at.UTC().Format(conflictTime)
	if try > 0 {
		tag += " " + string(rune('a'+try-1))
	}
	tag += ")"
	return dir + cut(stem, segmentMax-len(tag)-len(ext)) + tag + ext
}

// cut shortens text to at most n bytes, at the border of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
