package wire

import (
	"crypto/rand"
	"encoding/hex"
	"io"
)

// Byteranges is a body of several ranges of an object, as multipart/byteranges (RFC 9110, 14.6).
type Byteranges struct {
	ContentType string
	Heads       []string // before each range
	Ranges      []Range
	End         string
	Length      int64 // of the whole body
}

// NewByteranges prepares the ranges of an object of a type and size, with a boundary drawn at random.
func NewByteranges(ranges []Range, contentType string, size int64) *Byteranges {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	boundary := hex.EncodeToString(raw[:])
	b := &Byteranges{ContentType: "multipart/byteranges;boundary=" + boundary, Ranges: ranges, End: "--" + boundary + "--"}
	b.Length = int64(len(b.End))
	separator := ""
	for _, r := range ranges {
		head := separator + "--" + boundary + "\r\nContent-Type: " + contentType + "\r\nContent-Range: " + r.ContentRange(size) + "\r\n\r\n"
		b.Heads = append(b.Heads, head)
		b.Length += int64(len(head)) + r.Length
		separator = "\r\n"
	}
	b.End = separator + b.End
	b.Length += int64(len(separator))
	return b
}

// Write writes the body; send writes the bytes of one range to the same writer.
func (b *Byteranges) Write(w io.Writer, send func(Range) error) error {
	for i, r := range b.Ranges {
		if _, err := io.WriteString(w, b.Heads[i]); err != nil {
			return err
		}
		if err := send(r); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.End)
	return err
}
