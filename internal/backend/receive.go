package backend

import (
	"context"
	"crypto/md5" // the ETag of S3 and Swift, not a protection
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/seal"
)

// inlineMax is the largest body, in bytes, that is hashed by the goroutine that reads it.
const inlineMax = 256 << 10

// received is a body that was taken in and proved.
type received struct {
	content   object.Content
	blockSize int64
	root      block.ID
	digests   object.Digests
	salt      []byte       // of the encrypted stream
	opaque    *seal.Object // whose key hides the MD5 that the ETag is not to tell; nil: it may
}

// etag is the MD5 of the bytes, or what stands for it where that must not be seen.
func (r *received) etag() string {
	sum := r.digests.MD5
	if r.opaque != nil {
		sum = r.opaque.Tag(sum)
	}
	return hex.EncodeToString(sum[:])
}

// receive takes a body in: cuts it into blocks, hashes and stores them, and has it proved. After an error the caller gives w up.
// A body of one small block is proved before anything is stored. limit is the largest size.
func (b *Backend) receive(ctx context.Context, w *writer, body Body, blockSize, limit int64) (received, error) {
	src := &source{r: body.Reader, declared: body.Size, limit: limit}
	if body.Size > limit {
		return received{}, tooLarge()
	}
	seat, err := b.lobby.enter(ctx)
	if err != nil {
		return received{}, err
	}
	defer b.lobby.leave(seat)
	first := seat[:min(lobbySize, blockSize)]
	n, err := src.fill(first)
	if err != nil {
		return received{}, err
	}
	var got received
	switch {
	case src.ended:
		return b.receiveOne(ctx, w, body, first[:n], blockSize)
	case body.Size >= 0 && body.Size <= min(inlineMax, blockSize):
		s, err := b.slabs.Get(ctx, int(body.Size))
		if err != nil {
			return received{}, err
		}
		defer s.Free()
		data := s.Bytes()[:body.Size]
		copy(data, first[:n])
		if _, err := src.fill(data[n:]); err != nil {
			return received{}, err
		}
		return b.receiveOne(ctx, w, body, data, blockSize)
	default:
		got, err = b.receiveStream(ctx, w, body, src, blockSize, first, n)
	}
	if err == nil && body.Prove != nil {
		err = body.Prove(got.digests)
	}
	return got, err
}

// receiveOne takes in a body that lies in memory as one block.
func (b *Backend) receiveOne(ctx context.Context, w *writer, body Body, data []byte, blockSize int64) (received, error) {
	got := received{blockSize: blockSize, root: block.Empty}
	stored := block.Strip(data)
	id := block.ID(sha256.Sum256(stored))
	d := object.Digests{Size: int64(len(data))}
	if !body.sealed {
		d.MD5 = md5.Sum(data)
	}
	if body.SHA256 || slices.Contains(body.Checksums, object.SHA256) {
		d.SHA256 = id
		if len(stored) < len(data) {
			d.SHA256 = sha256.Sum256(data)
		}
	}
	for _, a := range body.Checksums {
		if a == object.SHA256 {
			d.Checksums = append(d.Checksums, object.Checksum{Algorithm: a, Value: string(d.SHA256[:])})
			continue
		}
		h := a.New()
		if h == nil {
			return got, unknownChecksum(a)
		}
		_, _ = h.Write(data) // a hash never fails
		d.Checksums = append(d.Checksums, object.Checksum{Algorithm: a, Value: string(h.Sum(nil))})
	}
	got.digests = d
	if body.Prove != nil {
		if err := body.Prove(d); err != nil {
			return got, err
		}
	}
	if len(data) > 0 {
		got.root = id
		got.content.Map.Refs = []block.Ref{{ID: id, Len: int64(len(data))}}
	}
	if len(stored) > 0 && len(stored) <= w.keep {
		got.content.Map.Kept = slices.Clone(stored)
		return got, nil
	}
	if err := w.put(ctx, id, stored); err != nil {
		return got, err
	}
	got.content.Holder = w.holder
	return got, nil
}

// source reads a body to its end and holds it to its declared size.
type source struct {
	r        io.Reader
	declared int64 // -1: not declared
	limit    int64
	read     int64
	ended    bool
	probe    [1]byte
}

// idleReadsMax is how many reads in a row may bring neither bytes nor an error.
const idleReadsMax = 100

// fill reads until dst is full or the body has ended, and sets ended. When the declared size is reached it looks for the end at once, so
// that trailers are read and an excess is found.
func (s *source) fill(dst []byte) (n int, err error) {
	for n < len(dst) && !s.ended {
		m, err := s.next(dst[n:])
		if err != nil {
			return n, err
		}
		n += m
	}
	for !s.ended && s.declared >= 0 && s.read == s.declared {
		if _, err := s.next(s.probe[:]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// next reads once more, and checks what came against what may come.
func (s *source) next(dst []byte) (int, error) {
	var n int
	var err error
	for range idleReadsMax {
		if n, err = s.r.Read(dst); n > 0 || err != nil {
			break
		}
		err = io.ErrNoProgress
	}
	s.read += int64(n)
	switch {
	case s.declared >= 0 && s.read > s.declared:
		return n, errs.E("", errs.Invalid, errs.Request, "").
			Because(errs.ExcessBody, "the body has more bytes than were declared")
	case s.read > s.limit:
		return n, tooLarge()
	case errors.Is(err, io.EOF):
		s.ended = true
		if s.read < s.declared {
			return n, bodyFailed(io.ErrUnexpectedEOF)
		}
	case err != nil:
		return n, bodyFailed(err)
	}
	return n, nil
}

func tooLarge() error {
	return errs.E("", errs.TooLarge, errs.Object, "").Because(errs.EntityTooLarge, "the body is larger than allowed")
}

func unknownChecksum(a object.Algorithm) error {
	return errs.E("", errs.Invalid, errs.Request, string(a)).Because(errs.BadSyntax, "unknown checksum algorithm")
}
