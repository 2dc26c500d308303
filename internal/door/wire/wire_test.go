package wire_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/clock"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
)

func TestParseRange(t *testing.T) {
	type rs = []wire.Range
	cases := []struct {
		header string
		size   int64
		want   rs
		fails  bool
	}{
		{"", 10, nil, false},
		{"bytes=0-0", 10, rs{{0, 1}}, false},
		{"bytes=0-", 10, rs{{0, 10}}, false},
		{"bytes=4-7", 10, rs{{4, 4}}, false},
		{"Bytes = 4-7", 10, rs{{4, 4}}, false},
		{"bytes=4-700", 10, rs{{4, 6}}, false},
		{"bytes=-3", 10, rs{{7, 3}}, false},
		{"bytes=-30", 10, rs{{0, 10}}, false},
		{"bytes=-0", 10, nil, true},
		{"bytes=10-", 10, nil, true},
		{"bytes=40-50", 5, nil, true},
		{"bytes=0-", 0, nil, true},
		{"bytes=-1", 0, nil, true},
		{"bytes=0-0,2-3,-1", 10, rs{{0, 1}, {2, 2}, {9, 1}}, false},
		{"bytes=0-0, ,2-3", 10, rs{{0, 1}, {2, 2}}, false},
		{"bytes=0-0,20-30", 10, rs{{0, 1}}, false},
		{"bytes=20-30,40-", 10, nil, true},
		{"bytes=0-,0-", 10, nil, false}, // more than the object in pieces
		{"bytes=5-4", 10, nil, false},
		{"bytes=a-b", 10, nil, false},
		{"bytes=1", 10, nil, false},
		{"bytes=+1-2", 10, nil, false},
		{"bytes=--1", 10, nil, false},
		{"bytes=", 10, nil, false},
		{"chars=1-2", 10, nil, false},
		{"bytes=0-99999999999999999999", 10, rs{{0, 10}}, false},
		{"bytes=99999999999999999999-", 10, nil, true},
		{"bytes=-99999999999999999999", 10, rs{{0, 10}}, false},
		{"bytes=0-0" + strings.Repeat(",1-1", 64), 100, nil, false},
	}
	for _, c := range cases {
		got, err := wire.ParseRange(c.header, c.size)
		if (err != nil) != c.fails || c.fails && !errs.Is(err, errs.Range) {
			t.Errorf("%q of %d: error %v", c.header, c.size, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q of %d: %s", c.header, c.size, d)
		}
	}
	if got := (wire.Range{Start: 4, Length: 4}).ContentRange(10); got != "bytes 4-7/10" {
		t.Errorf("Content-Range %q", got)
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5,3-", "bytes=9-2", "x"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		got, err := wire.ParseRange(header, size)
		if err != nil && len(got) > 0 {
			t.Error("ranges beside an error")
		}
		for _, r := range got {
			if r.Start < 0 || r.Length <= 0 || r.Start > size-r.Length {
				t.Errorf("%q of %d: %+v", header, size, r)
			}
		}
	})
}

func TestConditions(t *testing.T) {
	list := func(values ...string) []string { return values }
	cases := []struct {
		values      []string
		match, none []string
		fails       bool
	}{
		{nil, nil, nil, false},
		{list(`"a"`), list("a"), list("a"), false},
		{list(`a`), list("a"), list("a"), false},
		{list(`*`), list("*"), list("*"), false},
		{list(`"a", W/"b" ,"c,d"`), list("a", "W/b", "c,d"), list("a", "b", "c,d"), false},
		{list(`"*"`), list(`"*"`), list("*"), false},
		{list(`"a"`, `b,c`), list("a", "b", "c"), list("a", "b", "c"), false},
		{list(``), nil, nil, true},
		{list(`,`), nil, nil, true},
		{list(`"a`), nil, nil, true},
		{list(`""`), nil, nil, true},
		{list(`"a"b`), nil, nil, true},
	}
	for _, c := range cases {
		p, err := wire.Conditions(http.Header{"If-Match": c.values}, "")
		if (err != nil) != c.fails {
			t.Errorf("%q: %v", c.values, err)
		}
		q, err := wire.Conditions(http.Header{"X-Amz-Copy-Source-If-None-Match": c.values}, "X-Amz-Copy-Source-")
		if (err != nil) != c.fails {
			t.Errorf("%q: %v", c.values, err)
		}
		if c.fails {
			continue
		}
		if d := cmp.Diff(c.match, p.IfMatch) + cmp.Diff(c.none, q.IfNoneMatch); d != "" {
			t.Errorf("%q: %s", c.values, d)
		}
	}
}

func TestDates(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 09:49:37 +0100", "1994-11-06T08:49:37Z", " 19941106T084937Z ",
	} {
		if got, ok := wire.ParseDate(s); !ok || !got.Equal(want) {
			t.Errorf("%q: %v %v", s, got, ok)
		}
	}
	p, err := wire.Conditions(http.Header{"If-Modified-Since": {"yesterday"}, "If-Unmodified-Since": {wire.FormatDate(want)}}, "")
	if err != nil || !p.IfModifiedSince.IsZero() || !p.IfUnmodifiedSince.Equal(want) {
		t.Errorf("%+v %v", p, err)
	}
}

// sent dials a server of h in memory and sends the begin of a request. It is for bubbles.
func sent(t *testing.T, h http.HandlerFunc, request string) net.Conn {
	t.Helper()
	s, p := unstarted(h)
	s.Start()
	t.Cleanup(s.Close)
	conn, err := p.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestSlowAndShortBodies(t *testing.T) {
	cases := map[string]struct {
		pace  wire.Pace
		drip  bool // go on sending, too slowly
		close bool
		want  errs.Reason
		after time.Duration
	}{
		"idle":  {pace: wire.Pace{Idle: 5 * time.Minute}, want: errs.SlowBody, after: 5 * time.Minute},
		"drip":  {pace: wire.Pace{Idle: time.Minute, Grace: time.Hour, RateMin: 1 << 20}, drip: true, want: errs.SlowBody, after: time.Hour},
		"short": {pace: wire.Pace{Idle: time.Minute}, close: true, want: errs.IncompleteBody},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, result := time.Now(), make(chan error, 1)
				conn := sent(t, func(w http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(io.Discard, wire.NewBody(w, r, clock.System{}, c.pace))
					result <- err
				}, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsome bytes")
				if c.close {
					_ = conn.Close()
				}
				if c.drip {
					go func() {
						for range 50_000 {
							if clock.Wait(t.Context(), 50*time.Second) != nil {
								return
							}
							if _, err := io.WriteString(conn, "."); err != nil {
								return
							}
						}
					}()
				}
				err := <-result
				if errs.ReasonOf(err) != c.want {
					t.Errorf("%v", err)
				}
				if took := time.Since(began).Round(time.Second); took != c.after {
					t.Errorf("it ended after %v, want %v", took, c.after)
				}
			})
		})
	}
}

// A deadline that outlived the body would cancel the request while it commits.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := make(chan error, 1)
		conn := sent(t, func(w http.ResponseWriter, r *http.Request) {
			b := wire.NewBody(w, r, clock.System{}, wire.Pace{Idle: time.Minute})
			_, err := io.Copy(io.Discard, b)
			waited := clock.Wait(r.Context(), 3*time.Minute)
			result <- errors.Join(err, waited, r.Context().Err())
		}, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		if err := <-result; err != nil {
			t.Error(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%v %v", resp, err)
		}
	})
}

func TestReadAll(t *testing.T) {
	for _, hint := range []int64{-1, 0, 4} {
		if got, err := wire.ReadAll(strings.NewReader("body"), hint, 4); err != nil || string(got) != "body" {
			t.Errorf("%q %v", got, err)
		}
		if _, err := wire.ReadAll(strings.NewReader("body!"), hint, 4); errs.ReasonOf(err) != errs.EntityTooLarge {
			t.Errorf("%v", err)
		}
	}
	if _, err := wire.ReadAll(strings.NewReader(""), 5, 4); errs.ReasonOf(err) != errs.EntityTooLarge {
		t.Errorf("%v", err)
	}
	if a, b := wire.RequestID(), wire.RequestID(); len(a) != 16 || a == b {
		t.Errorf("%q %q", a, b)
	}
}
