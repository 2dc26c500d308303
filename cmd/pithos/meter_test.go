package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
)

// TestMeter: a terminal sees a bar with rate and remaining time, a file nothing, a script lines of JSON.
func TestMeter(t *testing.T) {
	run := func(term *terminal) (out, seen string) {
		var a, b bytes.Buffer
		term.out, term.err = &a, &b
		show, end := term.transfer("disk.img")
		for i := int64(1); show.Progress != nil && i <= 1000 && !strings.Contains(b.String(), "/s"); i++ { // the bar is drawn ten times a second
			show.Progress(i<<10, 4<<20, i<<10)
			if term.json {
				break
			}
			if err := clock.Wait(t.Context(), 10*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		if show.Progress != nil {
			show.Progress(4<<20, 4<<20, 3<<20)
		}
		end()
		return a.String(), b.String()
	}
	out, seen := run(&terminal{bars: true})
	if out != "" || !strings.Contains(seen, "disk.img") || !strings.Contains(seen, "/s") || !strings.Contains(seen, "iB") {
		t.Errorf("on a terminal: %q, %q", out, seen)
	}
	if out, seen = run(&terminal{}); out+seen != "" {
		t.Errorf("without a terminal: %q, %q", out, seen)
	}
	out, seen = run(&terminal{bars: true, json: true})
	want := `{"event":"progress","name":"disk.img","bytes":4194304,"done":4194304,"moved":3145728,"saved":0,"blocks":0,"sent":0}` + "\n"
	if seen != "" || !strings.HasSuffix(out, want) {
		t.Errorf("with --json: %q, %q", out, seen)
	}
	if onTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is no terminal")
	}
}
