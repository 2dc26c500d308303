package backend

import (
	"net/url"
	"strconv"

	"pithos/internal/object"
)

// Keys of notes (object.Summary.Note), beside those of links.
const (
	noteSum    = "sum"    // of a static manifest: the MD5 of its document
	noteOf     = "of"     // the version that this one is a later state of
	noteGone   = "gone"   // of a delete marker: it is the trace of a deletion where no versions are kept
	noteHidden = "hidden" // of a delete marker: it only keeps an older version from being the newest
)

// NoteValue is a value in a note, "" when it has none of that name.
func NoteValue(note, name string) string {
	if note == "" {
		return ""
	}
	q, err := url.ParseQuery(note)
	if err != nil {
		return ""
	}
	return q.Get(name)
}

// withNote is a note with a value set.
func withNote(note, name, value string) string {
	q, err := url.ParseQuery(note)
	if err != nil {
		q = url.Values{}
	}
	q.Set(name, value)
	return q.Encode()
}

// ManifestNote is the note of a static manifest whose document has the MD5.
func ManifestNote(sum string) string { return withNote("", noteSum, sum) }

// HiddenNote is the note of a delete marker that only keeps an older version from being the newest.
func HiddenNote() string { return withNote("", noteHidden, "1") }

// Hidden reports whether a version is a delete marker that stands for no deletion of its own: one with HiddenNote, or the null marker of a
// container that has ceased to keep versions.
func Hidden(s *object.Summary) bool {
	return s.Kind == object.DeleteMarker && (s.Null || NoteValue(s.Note, noteHidden) != "")
}

// StateOf is the version that a version is a state of: another, when metadata was changed or an old version was made the newest again, or itself.
func StateOf(s *object.Summary) object.VersionID {
	if text := NoteValue(s.Note, noteOf); text != "" {
		if id, err := strconv.ParseUint(text, 10, 64); err == nil {
			return object.VersionID(id)
		}
	}
	return s.ID
}

// AsStateOf is a note that says which version a new one is a state of.
func AsStateOf(note string, id object.VersionID) string {
	return withNote(note, noteOf, strconv.FormatUint(uint64(id), 10))
}
