package wire

import (
	"fmt"
	"testing"
	"time"

	"pithos/internal/clock"
)

func TestDamper(t *testing.T) {
	c := clock.NewManual(time.Unix(1e9, 0))
	d := NewDamper(3, 10*time.Second, c)
	for i := range 3 {
		if wait := d.Wait("a"); wait != 0 {
			t.Fatalf("after %d failures: wait %v", i, wait)
		}
		d.Failed("a")
	}
	if wait := d.Wait("a"); wait != 10*time.Second {
		t.Errorf("after 3 failures: wait %v", wait)
	}
	if wait := d.Wait("b"); wait != 0 {
		t.Errorf("another name waits %v", wait)
	}
	c.Advance(10 * time.Second)
	if wait := d.Wait("a"); wait != 0 {
		t.Errorf("after the wait: %v more", wait)
	}
	for range 100 {
		d.Failed("a")
	}
	if wait := d.Wait("a"); wait > 40*time.Second {
		t.Errorf("the wait grows without end: %v", wait)
	}
	for i := range metersMax + 1 {
		d.Failed(fmt.Sprint(i))
	}
	if wait := d.Wait("a"); wait == 0 {
		t.Error("forgotten too early")
	}
	for i := range 2 * metersMax {
		d.Failed(fmt.Sprint("more", i))
	}
	if n := len(d.young) + len(d.old); n > 2*metersMax {
		t.Errorf("%d names are remembered", n)
	}
}
