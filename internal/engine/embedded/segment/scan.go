package segment

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/block"
	"pithos/internal/errs"
)

// scanWindow is how much of a pack is looked through at once for the next record.
const scanWindow = 1 << 20

// Gap is a range of a pack in which no record was found though it is not merely the zeros of a hole.
type Gap struct {
	Offset, Length int64
}

// Scan calls fn for every record of the pack whose header is intact, in order, whatever lies between them, until fn returns an error, and
// tells the damaged ranges between them. The data of the records is not read: use ReadAt. An active pack is scanned as far as
// it reached when Scan began; records that are being written may be missed.
func (s *Store) Scan(ctx context.Context, number uint64, fn func(Record) error) (gaps []Gap, err error) {
	p, err := s.acquire(number)
	if err != nil {
		return nil, err
	}
	defer p.release(s.fs)
	sc := scanner{file: p.file, pack: number, end: p.end.Load(), buf: make([]byte, scanWindow+maxHeaderLen)}
	header := make([]byte, packHeaderLen)
	if err := readFull(p.file, header, 0); err != nil && !errs.Is(err, errs.Corrupt) {
		return nil, err
	}
	if !validPackHeader(header, number) && sc.end > 0 {
		sc.gaps = append(sc.gaps, Gap{0, packHeaderLen})
	}
	for at := int64(packHeaderLen); ; {
		if err := ctx.Err(); err != nil {
			return nil, errs.Wrap("segment.Scan", errs.Canceled, err)
		}
		r, found, err := sc.next(at)
		if err != nil || !found {
			return sc.gaps, err
		}
		if err := fn(r); err != nil {
			return sc.gaps, err
		}
		at = r.Place.Offset + r.Place.RecordLen()
	}
}

type scanner struct {
	file vfs.File
	pack uint64
	end  int64
	buf  []byte
	gaps []Gap
}

// next finds the first record at or after from, which is a multiple of the alignment.
func (sc *scanner) next(from int64) (r Record, found bool, err error) {
	dirtyFrom := int64(-1) // start of the present gap
	note := func(to int64) {
		if dirtyFrom >= 0 && to > dirtyFrom {
			sc.gaps = append(sc.gaps, Gap{dirtyFrom, to - dirtyFrom})
		}
	}
	// Most records follow one another: look at one header first, and only behind damage at whole windows.
	size := int64(maxHeaderLen)
	for at := from; at < sc.end; {
		window, err := sc.fill(at, size)
		if err != nil {
			return r, false, err
		}
		i := 0
		for i < len(window) {
			if r, ok := parseRecordHeader(window[i:], sc.pack, at+int64(i)); ok {
				note(at + int64(i))
				return r, true, nil
			}
			j := nextMagic(window, i+alignment)
			if dirtyFrom < 0 && !zeros(window[i:min(j, len(window))]) {
				dirtyFrom = at + int64(i)
			}
			i = j
			if int64(len(window)-i) < maxHeaderLen && at+int64(len(window)) < sc.end {
				break // the header may reach beyond the window
			}
		}
		if at+int64(len(window)) >= sc.end || len(window) == 0 {
			break
		}
		at += int64(i)
		size = scanWindow + maxHeaderLen
	}
	note(sc.end)
	return r, false, nil
}

// fill reads a window. Sectors that cannot be read count as zeros that are damaged: they are left out piece by piece.
func (sc *scanner) fill(at, size int64) ([]byte, error) {
	window := sc.buf[:min(size, sc.end-at)]
	n, err := sc.file.ReadAt(window, at)
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return window[:n], nil
	case !isMediaError(err):
		return nil, errs.Wrap("segment.Scan", errs.Internal, err)
	}
	const sector = 4096
	for o := 0; o < len(window); o += sector {
		piece := window[o:min(o+sector, len(window))]
		if m, err := sc.file.ReadAt(piece, at+int64(o)); err != nil && m < len(piece) {
			for i := range piece[m:] {
				piece[m+i] = 0xff // neither a hole nor a record
			}
		}
	}
	return window, nil
}

// nextMagic is the first aligned position at or after i where a record's magic number stands, or the last position where one might
// begin that is not wholly inside window.
func nextMagic(window []byte, i int) int {
	for from := i; from < len(window); {
		j := bytes.Index(window[from:], []byte(recordMagic))
		if j < 0 {
			break
		}
		if (from+j)%alignment == 0 {
			return from + j
		}
		from += j + 1
	}
	return max(i, len(window)&^(alignment-1))
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// HasRecord tells whether the header of the block's record is intact and where place says.
func (s *Store) HasRecord(id block.ID, place Place) bool {
	p, err := s.acquire(place.Pack)
	if err != nil {
		return false
	}
	defer p.release(s.fs)
	header := make([]byte, headerLen(int64(place.Length)))
	if err := readFull(p.file, header, place.Offset); err != nil {
		return false
	}
	r, ok := parseRecordHeader(header, place.Pack, place.Offset)
	return ok && r.ID == id && bytes.Equal(r.Place.Sums, place.Sums)
}
