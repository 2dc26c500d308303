package object

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Share is what hangs on a path and not on one version of it: who else may read or write what stands there, and under which public id
// everybody may (Pithos+ 1.8, 1.10). A new version takes it over from the one that it replaces; with a delete marker it ends.
type Share struct {
	Read   []string // members: a user id, "owner:group", or "*"
	Write  []string // members who may also read
	Public string   // id of the public link; "" none
}

// IsZero reports whether nothing is shared.
func (s Share) IsZero() bool { return !s.Listed() && s.Public == "" }

// Listed reports whether there is a list.
func (s Share) Listed() bool { return len(s.Read) > 0 || len(s.Write) > 0 }

// Equal reports whether both share the same.
func (s Share) Equal(o Share) bool {
	return s.Public == o.Public && slices.Equal(s.Read, o.Read) && slices.Equal(s.Write, o.Write)
}

// Clone is a copy that shares no memory.
func (s Share) Clone() Share {
	s.Read, s.Write = slices.Clone(s.Read), slices.Clone(s.Write)
	return s
}

// Numbers of the fields of a share's record. They are stored.
const (
	fieldShareRead   = 1
	fieldShareWrite  = 2
	fieldSharePublic = 3
)

func appendShare(dst []byte, s Share) []byte {
	if s.IsZero() {
		return dst
	}
	return appendMessage(dst, fieldShare, func(dst []byte) []byte {
		for _, member := range s.Read {
			dst = protowire.AppendString(protowire.AppendTag(dst, fieldShareRead, protowire.BytesType), member)
		}
		for _, member := range s.Write {
			dst = protowire.AppendString(protowire.AppendTag(dst, fieldShareWrite, protowire.BytesType), member)
		}
		return appendString(dst, fieldSharePublic, s.Public)
	})
}

func parseShare(s *Share, f field) error {
	switch f.number {
	case fieldShareRead:
		s.Read = append(s.Read, string(f.bytes))
	case fieldShareWrite:
		s.Write = append(s.Write, string(f.bytes))
	case fieldSharePublic:
		s.Public = string(f.bytes)
	}
	return nil
}
