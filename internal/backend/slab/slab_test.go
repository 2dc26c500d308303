package slab_test

import (
	"context"
	"testing"
	"testing/synctest"

	"pithos/internal/backend/slab"
	"pithos/internal/errs"
)

func get(t *testing.T, p *slab.Pool, n int) *slab.Slab {
	t.Helper()
	s, err := p.Get(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Bytes()) < n {
		t.Fatalf("a slab of %d bytes for %d", len(s.Bytes()), n)
	}
	for _, i := range []int{0, n / 2, n - 1} {
		s.Bytes()[i] = 1
	}
	return s
}

func TestSlabsStayWithinTheBudget(t *testing.T) {
	p := slab.New(1 << 20)
	a, b := get(t, p, 512<<10), get(t, p, 300<<10)
	if got := p.Lent(); got != 1<<20 {
		t.Errorf("lent %d", got)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Get(done, 1); !errs.Is(err, errs.Canceled) {
		t.Errorf("over the budget: %v", err)
	}
	a.Free()
	b.Free()
	get(t, p, 1<<20).Free()
	if got := p.Lent(); got != 0 {
		t.Errorf("lent %d after everything was freed", got)
	}
}

func TestALargeSlabWaitsForTheWholeBudget(t *testing.T) {
	p := slab.New(256 << 10)
	get(t, p, 4<<20).Free()
	if got := p.Lent(); got != 0 {
		t.Errorf("lent %d", got)
	}
}

func TestGetWaitsUntilAnotherOwnerFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := slab.New(64 << 10)
		first := get(t, p, 1)
		got := make(chan struct{})
		go func() {
			defer close(got)
			s, err := p.Get(t.Context(), 1)
			if err != nil {
				t.Error(err)
				return
			}
			s.Free()
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("two owners under a budget for one")
		default:
		}
		first.Free()
		<-got
	})
}
