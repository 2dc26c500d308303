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
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/seal/sealtest"
)

// BenchmarkEncryption writes and reads objects of 1 MiB, plain and under a key of the ring (SSE-S3), on the embedded engine.
func BenchmarkEncryption(b *testing.B) {
	const size = 1 << 20
	for _, clients := range []int{1, 16} {
		for name, mode := range map[string]seal.Mode{"plain": seal.Plain, "sse-s3": seal.Service} {
			ring := new(sealtest.Ring)
			ring.Add("r1")
			be, c := newBenchBackend(b, func(o *backend.Options) { o.Keeper = seal.NewKeeper(seal.Options{Ring: ring}) })
			data := random(1, size)
			var n atomic.Uint64
			write := func() error {
				i := n.Add(1)
				r := put(fmt.Sprint(i), nil)
				r.Container, r.Attributes.Encryption.Mode = ref("box"), mode
				r.Body = backend.Body{Reader: &distinct{data: data, seed: i}, Size: size}
				_, err := be.Put(b.Context(), c, r)
				return err
			}
			b.Run(fmt.Sprintf("put/%s/clients=%d", name, clients), func(b *testing.B) {
				b.SetBytes(size)
				inParallel(b, clients, write)
			})
			b.Run(fmt.Sprintf("get/%s/clients=%d", name, clients), func(b *testing.B) {
				b.SetBytes(size)
				inParallel(b, clients, func() error {
					ctx, done := context.WithCancel(b.Context()) // as a request has
					defer done()
					t := backend.Target{Container: ref("box"), Name: naming.ObjectName(fmt.Sprint(1 + rand.Uint64N(min(n.Load(), 20))))}
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
