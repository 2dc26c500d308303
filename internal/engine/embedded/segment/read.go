package segment

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/errs"
)

// scratchPool lends buffers for chunks that the caller wants only a part of.
type scratchPool struct{ pool sync.Pool }

func (s *scratchPool) get() *[ChunkSize]byte {
	if b, ok := s.pool.Get().(*[ChunkSize]byte); ok {
		return b
	}
	return new([ChunkSize]byte)
}

// ReadAt fills dst from byte off of the block's data as far as that goes, and returns how much that was. Only the chunks that are
// touched are read, and each is verified: whole ones in dst itself, partial ones in a borrowed buffer.
// Errors: ErrGone, Corrupt; what is in dst then is undefined.
func (s *Store) ReadAt(place Place, off int64, dst []byte) (int, error) {
	length := int64(place.Length)
	if off >= length || len(dst) == 0 {
		return 0, nil
	}
	dst = dst[:min(int64(len(dst)), length-off)]
	p, err := s.acquire(place.Pack)
	if err != nil {
		return 0, err
	}
	defer p.release(s.fs)
	for done := 0; done < len(dst); {
		at := off + int64(done)
		if whole := wholeChunks(at, int64(len(dst)-done), length); whole > 0 {
			part := dst[done : done+int(whole)]
			if err := readFull(p.file, part, place.dataAt()+at); err != nil {
				return 0, err
			}
			if !verify(place.Sums[4*(at/ChunkSize):], part) {
				return 0, errCorrupt()
			}
			done += int(whole)
			continue
		}
		n, err := s.readPartial(p.file, place, at, dst[done:])
		if err != nil {
			return 0, err
		}
		done += n
	}
	return len(dst), nil
}

// wholeChunks is how many of the n bytes at off make up whole chunks of a block with so many bytes; the last chunk may be short.
func wholeChunks(off, n, length int64) int64 {
	if off%ChunkSize != 0 {
		return 0
	}
	if off+n >= length {
		return length - off
	}
	return n - n%ChunkSize
}

// verify checks data, which begins at a chunk, against sums, which begin with that chunk's.
func verify(sums Sums, data []byte) bool {
	for i := 0; len(data) > 0; i++ {
		n := min(ChunkSize, len(data))
		if !sums.match(i, data[:n]) {
			return false
		}
		data = data[n:]
	}
	return true
}

// readPartial reads and verifies the chunk around byte at and copies what dst takes of it.
func (s *Store) readPartial(f vfs.File, place Place, at int64, dst []byte) (int, error) {
	buf := s.scratch.get()
	defer s.scratch.pool.Put(buf)
	start := at - at%ChunkSize
	chunk := buf[:min(ChunkSize, int64(place.Length)-start)]
	if err := readFull(f, chunk, place.dataAt()+start); err != nil {
		return 0, err
	}
	if !place.Sums.match(int(start/ChunkSize), chunk) {
		return 0, errCorrupt()
	}
	return copy(dst, chunk[at-start:]), nil
}

// readFull reads all of buf. A file that ends before is damaged, as is a sector that the disk cannot read: Corrupt.
func readFull(f vfs.File, buf []byte, off int64) error {
	n, err := f.ReadAt(buf, off)
	switch {
	case n == len(buf):
		return nil
	case errors.Is(err, io.EOF) || isMediaError(err):
		return errs.Wrap("segment.ReadAt", errs.Corrupt, err)
	default:
		return errs.Wrap("segment.ReadAt", errs.Internal, err)
	}
}

// isMediaError tells whether the disk could not give the bytes back.
func isMediaError(err error) bool { return errors.Is(err, syscall.EIO) }

func errCorrupt() error { return errs.E("segment.ReadAt", errs.Corrupt, errs.Block, "") }
