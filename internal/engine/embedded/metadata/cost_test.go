package metadata

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// benchStore is a store with n small objects, without a disk below it.
func benchStore(b *testing.B, n int) *Store {
	b.Helper()
	db := openDB(b, vfs.NewMem())
	s, err := New(db, Options{SharedLog: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = s.Close()
		_ = db.Close()
	})
	for i := range n {
		benchPut(b, s, fmt.Sprintf("prefix/%08d", i), int64(i+1))
	}
	return s
}

func benchPut(b *testing.B, s *Store, name string, now int64) {
	b.Helper()
	h := block.NewHolder()
	id := block.Sum([]byte(name))
	v := &object.Version{
		Summary: object.Summary{
			Size: 4096, Null: true, ETag: "0123456789abcdef0123456789abcdef", ContentType: "application/octet-stream", Owner: account,
			StorageClass: "STANDARD", RootHash: id, UUID: [16]byte{1}, Checksums: []object.Checksum{{Algorithm: object.CRC64NVME, Value: "12345678"}},
			Author: "test:tester",
		},
		BlockSize: block.SizeDefault,
		Content:   object.Content{Holder: h, Map: block.Map{Refs: []block.Ref{{ID: id, Len: 4096}}}},
	}
	if err := s.Intend(b.Context(), h, meta.Intent{Account: account, Expires: at(1 << 50)}); err != nil {
		b.Fatal(err)
	}
	c := meta.Change{Container: box, Account: account, Name: naming.ObjectName(name), Now: at(now), Version: v}
	if _, err := s.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPut(b *testing.B) {
	s := benchStore(b, 0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		benchPut(b, s, fmt.Sprintf("prefix/%08d", i), int64(i))
	}
}

func BenchmarkGet(b *testing.B) {
	s := benchStore(b, 5000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := s.Get(b.Context(), box, naming.ObjectName(fmt.Sprintf("prefix/%08d", i%5000)), meta.Which{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPage reads pages of a thousand names.
func BenchmarkPage(b *testing.B) {
	for _, kind := range []meta.ViewKind{meta.ViewCurrent, meta.ViewAll} {
		b.Run(fmt.Sprint("view", kind), func(b *testing.B) {
			s := benchStore(b, 5000)
			b.ReportAllocs()
			for b.Loop() {
				cur := s.Scan(b.Context(), box, meta.View{Kind: kind})
				cur.Seek(meta.Position{Name: "prefix/00002000"})
				for range 1000 {
					if v, err := cur.Next(b.Context()); err != nil || v == nil {
						b.Fatal(err)
					}
				}
				cur.Close()
			}
		})
	}
}
