package main

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// stampEvery is the distance of the numbers that make bodies differ: no block of any size is the same in two objects.
const stampEvery = 4 << 10

// template is 16 MiB of noise that all bodies are made from.
var template = sync.OnceValue(func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 16*mib)
	for at := 0; at < len(noise); at += 8 {
		binary.LittleEndian.PutUint64(noise[at:], random.Uint64())
	}
	return noise
})

// body is a buffer that turns into a new object's bytes for a few cycles per block.
type body []byte

func newBody(size int) body {
	b := make(body, 0, size)
	for len(b) < size {
		b = append(b, template()[:min(size-len(b), 16*mib)]...)
	}
	return b
}

// stamp makes the bytes those of the object with this number.
func (b body) stamp(number uint64) {
	for at := 0; at+8 <= len(b); at += stampEvery {
		binary.LittleEndian.PutUint64(b[at:], number)
	}
}

// numbers gives each object of a run a number of its own.
type numbers struct{ last atomic.Uint64 }

func (n *numbers) next() uint64 { return n.last.Add(1) }

// streamed writes length bytes of a new object, without holding more than a piece of it.
func streamed(w io.Writer, length int64, number uint64) error {
	piece := newBody(64 << 10)
	for at := int64(0); at < length; at += int64(len(piece)) {
		piece.stamp(number + uint64(at)<<20)
		if _, err := w.Write(piece[:min(int64(len(piece)), length-at)]); err != nil {
			return err
		}
	}
	return nil
}
