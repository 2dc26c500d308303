package embedded_test

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"pithos/internal/block"
	"pithos/internal/engine/embedded"
	"pithos/internal/store/blob"
)

// fresh is a block that was never stored before.
func fresh(data []byte) block.ID {
	_, _ = rand.Read(data[:32]) // never fails
	data[len(data)-1] = 1
	return block.Sum(data)
}

// BenchmarkPut puts and syncs blocks of several sizes from 2 and 16 goroutines (on two processors), with one pack at a time and with two. Sums are part
// of it: use it to compare, not for absolute numbers.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10, 256 << 10, 4 << 20} {
		for _, writers := range []int{1, 2} {
			for _, clients := range []int{2, 16} {
				b.Run(fmt.Sprintf("%dKiB/packs=%d/clients=%d", size>>10, writers, clients), func(b *testing.B) {
					e, err := embedded.Open(b.TempDir(), embedded.Options{PackWriters: writers, ForeignMeta: true})
					if err != nil {
						b.Fatal(err)
					}
					defer func() { _ = e.Close() }()
					b.SetBytes(int64(size))
					b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
					b.RunParallel(func(pb *testing.PB) {
						data := make([]byte, size)
						h := blob.Hold{Holder: block.NewHolder(), Account: "a"}
						for pb.Next() {
							if err := e.Blobs().Put(b.Context(), h, fresh(data), data); err != nil {
								b.Error(err)
							}
							if err := e.Blobs().Sync(b.Context()); err != nil {
								b.Error(err)
							}
						}
					})
				})
			}
		}
	}
}

// BenchmarkRead reads whole blocks, inline and from packs.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			e, err := embedded.Open(b.TempDir(), embedded.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = e.Close() }()
			h := blob.Hold{Holder: block.NewHolder(), Account: "a"}
			var ids []block.ID
			data := make([]byte, size)
			for range 32 {
				id := fresh(data)
				ids = append(ids, id)
				if err := e.Blobs().Put(b.Context(), h, id, data); err != nil {
					b.Fatal(err)
				}
			}
			if err := e.Blobs().Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var next atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				dst := make([]byte, size)
				for pb.Next() {
					if _, err := e.Blobs().Read(b.Context(), ids[next.Add(1)%32], 0, dst); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
