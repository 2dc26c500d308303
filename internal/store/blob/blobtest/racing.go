package blobtest

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/store/blob"
)

// readBack reads a block and compares it.
func (e *env) readBack(id block.ID, want []byte) error {
	dst := make([]byte, len(want)+1)
	n := 0
	err := errstest.Again(func() (err error) { n, err = e.store.Read(e.Context(), id, 0, dst); return err })
	if err == nil && !bytes.Equal(dst[:n], want) {
		err = fmt.Errorf("block %s: got %d bytes that differ from the %d stored", id, n, len(want))
	}
	return err
}

// putAgain, letGo and sweepAgain make calls that may be repeated until they are answered.
func (e *env) putAgain(h blob.Hold, id block.ID, data []byte) error {
	return errstest.Again(func() error { return e.store.Put(e.Context(), h, id, data) })
}

func (e *env) letGo(h blob.Hold) error {
	return errstest.Again(func() error { return e.store.Release(e.Context(), []block.Holder{h.Holder}) })
}

func (e *env) sweepAgain() error {
	return errstest.Again(func() error {
		_, _, err := e.store.Sweep(e.Context(), e.o.Clock.Now().Add(time.Hour), blob.Budget{}, nil)
		return err
	})
}

var racing = []sentence{
	{"Race/writers of the same blocks all succeed", func(e *env) {
		datas := make([][]byte, 10)
		for i := range datas {
			datas[i] = e.data(100 + 20_000*(i%2))
		}
		errstest.Together(e, 8, func(int) error {
			h := e.hold()
			for _, data := range datas {
				if err := e.putAgain(h, block.Sum(data), data); err != nil {
					return err
				}
				if err := e.readBack(block.Sum(data), data); err != nil {
					return err
				}
			}
			return e.store.Sync(e.Context())
		})
		for _, data := range datas {
			e.wantBytes(block.Sum(data), data)
		}
	}},
	{"Race/a held block is never lost to Sweep", func(e *env) {
		// Few blocks, many short-lived holders, a sweeper that never rests: whoever was told "present" must be able to read.
		datas := make([][]byte, 4)
		for i := range datas {
			datas[i] = e.data(64 + 30_000*(i%2))
		}
		rounds := e.count(150)
		done := make(chan struct{})
		var sweeper sync.WaitGroup
		sweeper.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := e.sweepAgain(); err != nil {
					e.Errorf("Sweep: %v", err)
					return
				}
			}
		})
		errstest.Together(e, 6, func(i int) error {
			for r := range rounds {
				data := datas[(i+r)%len(datas)]
				if err := e.holdAndLetGo(block.Sum(data), data, r%2 == 0); err != nil {
					return fmt.Errorf("writer %d, round %d: %w", i, r, err)
				}
			}
			return nil
		})
		close(done)
		sweeper.Wait()
		e.sweepAll()
		for _, data := range datas {
			e.wantStored([]block.ID{block.Sum(data)}, false)
		}
	}},
	{"Race/a block is read whole or not at all while it is swept", func(e *env) {
		data := e.data(200_000)
		id := block.Sum(data)
		rounds := e.count(40)
		errstest.Together(e, 4, func(i int) error {
			for range rounds {
				switch i {
				case 0:
					h := e.hold()
					if err := e.putAgain(h, id, data); err != nil {
						return err
					}
					if err := e.letGo(h); err != nil {
						return err
					}
				case 1:
					if err := e.sweepAgain(); err != nil {
						return err
					}
				default:
					if err := e.readBack(id, data); err != nil && !errs.IsThing(err, errs.NotFound, errs.Block) {
						return err
					}
				}
			}
			return nil
		})
	}},
	{"Race/compaction disturbs no reader and no writer", func(e *env) {
		c, ok := ability[blob.Compactor](e)
		if !ok {
			return
		}
		rounds := e.count(30)
		errstest.Together(e, 4, func(i int) error {
			for range rounds {
				if i == 0 {
					if _, err := c.Compact(e.Context()); err != nil {
						return err
					}
					if err := e.sweepAgain(); err != nil {
						return err
					}
					continue
				}
				data := bytes.Repeat([]byte(block.NewHolder().String()), 1000)
				if err := e.holdAndLetGo(block.Sum(data), data, false); err != nil {
					return err
				}
			}
			return nil
		})
	}},
}

// holdAndLetGo does as a writer does: hold the block, by its id alone if that is enough, prove that it can be read, let it go.
func (e *env) holdAndLetGo(id block.ID, data []byte, byID bool) error {
	h := e.hold()
	present := false
	if byID {
		var missing []block.ID
		err := errstest.Again(func() (err error) { missing, err = e.store.Hold(e.Context(), h, []block.ID{id}); return err })
		if err != nil {
			return err
		}
		present = len(missing) == 0
	}
	if !present {
		if err := e.putAgain(h, id, data); err != nil {
			return err
		}
	}
	for range 3 {
		if err := e.readBack(id, data); err != nil {
			return fmt.Errorf("held, told present: %v: %w", present, err)
		}
	}
	return e.letGo(h)
}
