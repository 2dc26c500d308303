package wire

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pithos/internal/clock"
)

func TestLimiterRate(t *testing.T) {
	c := clock.NewManual(time.Unix(1e9, 0))
	l := NewLimiter(Share{Rate: 2}, c)
	for i := range 4 {
		if _, _, ok := l.Enter("a"); !ok {
			t.Fatalf("request %d of 4 refused", i+1)
		}
	}
	if _, retry, ok := l.Enter("a"); ok || retry != 500*time.Millisecond {
		t.Errorf("let in %v, retry after %v", ok, retry)
	}
	if _, _, ok := l.Enter("b"); !ok {
		t.Error("another name is held to the first one's share")
	}
	c.Advance(500 * time.Millisecond)
	if _, _, ok := l.Enter("a"); !ok {
		t.Error("refused after the time that it was told")
	}
}

func TestLimiterAtOnce(t *testing.T) {
	l := NewLimiter(Share{AtOnce: 1}, clock.System{})
	p, _, _ := l.Enter("a")
	if _, retry, ok := l.Enter("a"); ok || retry <= 0 {
		t.Errorf("let in %v, retry after %v", ok, retry)
	}
	p.Leave()
	if _, _, ok := l.Enter("a"); !ok {
		t.Error("refused when nothing runs")
	}
}

func TestLimiterBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(Share{Bytes: 1 << 16}, clock.System{})
		p, _, _ := l.Enter("a")
		began := time.Now()
		if err := p.Bytes(t.Context(), 2<<16); err != nil { // the first 64 KiB are there, the second take a second
			t.Fatal(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("128 KiB passed in %v", took)
		}
	})
}

func TestLimiterForgets(t *testing.T) {
	l := NewLimiter(Share{AtOnce: 1}, clock.System{})
	for i := range 3 * metersMax {
		p, _, _ := l.Enter(fmt.Sprint(i))
		p.Leave()
	}
	if n := len(l.young) + len(l.old); n > 2*metersMax {
		t.Errorf("%d names are remembered", n)
	}
	var none *Limiter
	if p, _, ok := none.Enter("a"); !ok || p.Bytes(t.Context(), 1) != nil {
		t.Error("no limiter limits")
	}
}
