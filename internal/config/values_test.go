package config

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1024": 1024, "1KiB": 1024, "1 kib": 1024, "10GB": 10e9, "50TiB": 50 << 40, "7B": 7, " 3MiB ": 3 << 20,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1.5GiB", "1XB", "9223372036854775808", "8388608TiB", "1 1", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	for _, n := range []int64{0, 1, 1000, 1024, 1 << 20, 5 << 30, 50 << 40, 1<<40 + 1} {
		if got, err := ParseSize(showSize(n)); err != nil || got != n {
			t.Errorf("%d is shown as %s and read as %d", n, showSize(n), got)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"0s": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "-1s", "1.5d", "d", "99999d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 24 * time.Hour: "24h", 15 * time.Minute: "15m", 90 * time.Second: "1m30s", 10 * time.Hour: "10h"} {
		if got := showDuration(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}
