package backend_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/engine/embedded"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/key"
)

// newBenchBackend is a backend with default settings on the embedded engine, as a server has it.
func newBenchBackend(b *testing.B, change ...func(*backend.Options)) (*backend.Backend, backend.Caller) {
	b.Helper()
	e, err := embedded.Open(b.TempDir(), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	if _, err := e.Keys().CreateAccount(b.Context(), key.Account{ID: "a", Canonical: "c"}); err != nil {
		b.Fatal(err)
	}
	c := backend.Caller{Principal: access.Principal{Account: "a", User: "a:u", Canonical: "c", Admin: true}}
	o := backend.Options{KeepMax: embedded.KeepMax}
	for _, f := range change {
		f(&o)
	}
	be := backend.New(backend.Stores{Keys: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Blobs: e.Blobs()}, o)
	if _, _, err := be.CreateContainer(b.Context(), c, backend.NewContainer{Account: "a", Name: "box", Bucket: "box"}); err != nil {
		b.Fatal(err)
	}
	return be, c
}

// BenchmarkPut writes objects that all differ, durably, from 1 and 16 writers.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
		for _, writers := range []int{1, 16} {
			b.Run(fmt.Sprintf("size=%d/writers=%d", size, writers), func(b *testing.B) {
				be, c := newBenchBackend(b)
				data := random(1, size)
				var n atomic.Uint64
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				inParallel(b, writers, func() error {
					i := n.Add(1)
					r := put(fmt.Sprintf("%016x", i), nil)
					r.Container = ref("box")
					r.Body = backend.Body{Reader: &distinct{data: data, seed: i}, Size: int64(size), SHA256: true}
					_, err := be.Put(b.Context(), c, r)
					return err
				})
			})
		}
	}
}

// BenchmarkGet reads objects, the same hundred again and again.
func BenchmarkGet(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 16 << 20} {
		for _, readers := range []int{1, 16} {
			b.Run(fmt.Sprintf("size=%d/readers=%d", size, readers), func(b *testing.B) {
				be, c := newBenchBackend(b)
				const objects = 20
				data := random(1, size)
				for i := range objects {
					r := put(fmt.Sprint(i), nil)
					r.Container, r.Body = ref("box"), backend.Body{Reader: &distinct{data: data, seed: uint64(i)}, Size: int64(size)}
					if _, err := be.Put(b.Context(), c, r); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				inParallel(b, readers, func() error {
					ctx, done := context.WithCancel(b.Context()) // as a request has
					defer done()
					t := backend.Target{Container: ref("box"), Name: naming.ObjectName(fmt.Sprint(rand.IntN(objects)))}
					o, err := be.Open(ctx, c, t, object.Precondition{}, access.GetObject)
					if err != nil {
						return err
					}
					return o.CopyTo(ctx, io.Discard, 0, o.Size)
				})
			})
		}
	}
}

// inParallel runs f b.N times in n goroutines.
func inParallel(b *testing.B, n int, f func() error) {
	b.Helper()
	b.SetParallelism(max(n/2, 1)) // times GOMAXPROCS
	if n == 1 {
		for range b.N {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// distinct reads data with a number written over the beginning of every 64 KiB, so that no block is like another.
type distinct struct {
	data []byte
	seed uint64
	off  int
}

func (d *distinct) Read(p []byte) (int, error) {
	if d.off == len(d.data) {
		return 0, io.EOF
	}
	n := copy(p, d.data[d.off:])
	for at := (d.off + 65535) &^ 65535; at+8 <= d.off+n; at += 65536 {
		for i := range 8 {
			p[at-d.off+i] = byte(d.seed >> (8 * i))
		}
	}
	d.off += n
	return n, nil
}
