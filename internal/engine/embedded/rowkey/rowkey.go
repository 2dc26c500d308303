// Package rowkey has the parts that the keys of Pebble's rows are made of, where their byte order matters.
//
// A name that is not the last part of a key is written so that no name is the
// beginning of another and the order of names is kept: 0x00 becomes 0x00 0xff,
// and 0x00 0x01 ends it. docs/formats/keys.md draws it.
package rowkey

import "bytes"

const (
	escape     = 0x00
	escapedNUL = 0xff
	terminator = 0x01
)

// AppendName appends a name that other parts follow.
func AppendName[S ~string | ~[]byte](dst []byte, name S) []byte {
	for i := 0; i < len(name); i++ {
		dst = append(dst, name[i])
		if name[i] == escape {
			dst = append(dst, escapedNUL)
		}
	}
	return append(dst, escape, terminator)
}

// CutName reads what AppendName wrote and returns what follows it.
func CutName(src []byte) (name string, rest []byte, ok bool) {
	end := bytes.IndexByte(src, escape)
	if end >= 0 && end+1 < len(src) && src[end+1] == terminator { // the usual case: no NUL in the name
		return string(src[:end]), src[end+2:], true
	}
	var b []byte
	for i := 0; i+1 < len(src); i++ {
		if src[i] != escape {
			b = append(b, src[i])
			continue
		}
		i++
		switch src[i] {
		case terminator:
			return string(b), src[i+1:], true
		case escapedNUL:
			b = append(b, escape)
		default:
			return "", nil, false
		}
	}
	return "", nil, false
}

// After is the first key behind all keys that begin with prefix; nil when there is none.
func After(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
