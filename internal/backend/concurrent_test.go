package backend_test

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

func TestOneOfManyConditionalWritersWins(t *testing.T) {
	w := newWorld(t)
	for round := range 50 {
		name := string(rune('a' + round))
		var won atomic.Int32
		var racing sync.WaitGroup
		for i := range 16 {
			racing.Go(func() {
				r := put(name, []byte{byte(i)})
				r.If = object.Precondition{IfNoneMatch: []string{"*"}}
				switch _, err := w.Put(t.Context(), w.alice, r); {
				case err == nil:
					won.Add(1)
				case !errs.Is(err, errs.Precondition):
					t.Error(err)
				}
			})
		}
		racing.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d has %d winners", round, won.Load())
		}
	}
	w.collect()
	w.wantNoLeaks()
}

func TestAQuotaIsExactUnderParallelWriters(t *testing.T) {
	const quota, each = 100_000, 3_001
	w := newWorld(t, func(_ *backend.Stores, o *backend.Options) { o.DefaultQuota = bucket.Limit{Bytes: quota} })
	var stored atomic.Int64
	var writing sync.WaitGroup
	for i := range 50 {
		writing.Go(func() {
			switch v, err := w.Put(t.Context(), w.alice, put(string(rune('a'+i)), random(uint64(i), each))); {
			case err == nil:
				stored.Add(v.Size)
			case !errs.Is(err, errs.Quota):
				t.Error(err)
			}
		})
	}
	writing.Wait()
	usage, err := w.AccountUsage(t.Context(), w.alice, "alice")
	if err != nil || usage.Bytes != stored.Load() || usage.Bytes != quota/each*each {
		t.Errorf("stored %d, counted %+v, %v", stored.Load(), usage, err)
	}
	w.delete(target("a"))
	u := w.begin("parts")
	if got := stored.Load(); got > quota-each {
		if _, _, err := w.PutPart(t.Context(), w.alice, partOf(u, 1, random(1, 2*each))); !errs.Is(err, errs.Quota) {
			t.Errorf("a part over the quota: %v", err)
		}
	}
}

// waiting is a client that sends some bytes and then nothing until it is told to go on.
type waiting struct {
	data *bytes.Reader
	n    int
	ctx  context.Context
	on   chan struct{}
}

func (s *waiting) Read(p []byte) (int, error) {
	if s.n == 0 {
		select {
		case <-s.on:
			s.n = -1
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
	if s.n > 0 {
		p = p[:min(len(p), s.n)]
		s.n -= len(p)
	}
	return s.data.Read(p)
}

// Writers for which there is no memory wait; those that have some come to their end, and then the others do.
func TestWritersWithoutMemoryWaitAndComeToTheirEnd(t *testing.T) {
	for _, sent := range []int{1, 1000, 64 << 10, 64<<10 + 1, 200 << 10} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(_ *backend.Stores, o *backend.Options) {
				o.BufferBytes, o.BlockSize = 1<<20, 256<<10 // four seats, three slabs
			})
			data := random(1, 1<<20)
			on := make(chan struct{})
			var writing sync.WaitGroup
			for i := range 12 {
				writing.Go(func() {
					r := put(string(rune('a'+i)), nil)
					r.Body = backend.Body{Reader: &waiting{bytes.NewReader(data), sent, t.Context(), on}, Size: int64(len(data))}
					if _, err := w.Put(t.Context(), w.alice, r); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait() // nobody moves
			impatient, giveUp := context.WithCancel(t.Context())
			left := make(chan error)
			go func() {
				_, err := w.Put(impatient, w.alice, put("z", data))
				left <- err
			}()
			synctest.Wait()
			giveUp()
			if err := <-left; !errs.Is(err, errs.Canceled) {
				t.Errorf("a client that left: %v", err)
			}
			close(on)
			writing.Wait()
		})
	}
}

func TestReadersAndWritersSeeWholeObjects(t *testing.T) {
	w := newWorld(t)
	versions := [][]byte{random(1, 1000), random(2, 3*blockSize), random(3, 0), random(4, 5*blockSize+1)}
	w.put("x", versions[0])
	ctx, stop := context.WithCancel(t.Context())
	var reading, writing sync.WaitGroup
	for range 3 {
		reading.Go(func() {
			for ctx.Err() == nil {
				data, err := w.tryRead(t.Context(), target("x"))
				if err != nil {
					t.Error(err)
					return
				}
				if !isOneOf(data, versions) {
					t.Errorf("%d bytes that nobody wrote", len(data))
				}
			}
		})
	}
	for i := range 2 {
		writing.Go(func() {
			for round := range 60 {
				w.put("x", versions[(round+i)%len(versions)])
			}
		})
	}
	writing.Wait()
	stop()
	reading.Wait()
	w.collect()
	w.wantNoLeaks()
}

func isOneOf(data []byte, versions [][]byte) bool {
	for _, v := range versions {
		if bytes.Equal(data, v) {
			return true
		}
	}
	return false
}

func TestCompleteAbortAndPartsRace(t *testing.T) {
	w := newWorld(t)
	for round := range 30 {
		name := naming.ObjectName(string(rune('a' + round)))
		u := w.begin(string(name))
		one := w.part(u, 1, random(uint64(round), 200))
		var racing sync.WaitGroup
		for range 2 {
			racing.Go(func() {
				if _, err := w.Complete(t.Context(), w.alice, completion(u, one)); err != nil && !errs.Is(err, errs.NotFound) && errs.ReasonOf(err) != errs.PartMissing {
					t.Error(err)
				}
			})
		}
		racing.Go(func() {
			if err := w.AbortUpload(t.Context(), w.alice, ref("photos"), name, u.ID); err != nil && !errs.Is(err, errs.NotFound) {
				t.Error(err)
			}
		})
		racing.Go(func() {
			if _, _, err := w.PutPart(t.Context(), w.alice, partOf(u, 1, random(uint64(round)+99, 300))); err != nil && !errs.Is(err, errs.NotFound) {
				t.Error(err)
			}
		})
		racing.Wait()
		if data, err := w.tryRead(t.Context(), target(string(name))); err == nil && len(data) != 200 {
			t.Errorf("%d bytes", len(data))
		} else if err != nil && !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	}
	w.collect()
	w.wantNoLeaks()
}
