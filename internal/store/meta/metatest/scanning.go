package metatest

import (
	"fmt"
	"slices"
	"time"

	"pithos/internal/errs"
	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/naming/namingtest"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// fill commits several versions and markers under the hard names.
func (e *env) fill() {
	e.Helper()
	names := namingtest.Objects()
	for round := range 3 {
		for i, n := range names {
			switch (i + round) % 4 {
			case 0:
				e.put(n, null(e.data(int64(i))))
			case 1:
				e.put(n, marker())
			case 2:
				e.put(n, e.data(int64(round)))
			}
		}
	}
}

// next is the next entry's position; the end is the zero position.
func (e *env) next(c meta.Cursor) meta.Position {
	e.Helper()
	s, err := c.Next(e.Context())
	errstest.OK(e, err)
	if s == nil {
		return meta.Position{}
	}
	return meta.Position{Name: s.Name, ID: s.ID}
}

// at is where a seek to pos must come out.
func at(entries []object.Summary, pos meta.Position) meta.Position {
	for _, s := range entries {
		if s.Name > pos.Name || s.Name == pos.Name && (pos.ID == 0 || s.ID <= pos.ID) {
			return meta.Position{Name: s.Name, ID: s.ID}
		}
	}
	return meta.Position{}
}

var scanning = []sentence{
	{"Scan/of nothing ends at once, and the end stays", func(e *env) {
		c := e.s.Scan(e.Context(), e.newContainer(), meta.View{Kind: meta.ViewAll})
		defer c.Close()
		for range 3 {
			if got := e.next(c); got != (meta.Position{}) {
				e.Fatalf("got %+v", got)
			}
		}
	}},
	{"Scan/every view is in order and complete", func(e *env) {
		e.fill()
		e.checkWhole()
		names := map[naming.ObjectName]int{}
		for _, s := range e.scan(e.container, meta.View{Kind: meta.ViewAll}) {
			names[s.Name]++
		}
		for _, n := range namingtest.Objects() {
			if names[n] < 1 {
				e.Errorf("%q is missing", n)
			}
		}
	}},
	{"Scan/as of a time shows what stood then", func(e *env) {
		type moment struct {
			at   time.Time
			want []object.Summary
		}
		var moments []moment
		names := []naming.ObjectName{"a", "a/b", "b"}
		for i := range e.count(40) {
			n := names[e.rng.IntN(len(names))]
			v := e.data(int64(i))
			if e.rng.IntN(3) == 0 {
				v = marker()
			}
			e.put(n, v)
			moments = append(moments, moment{e.tick(), e.scan(e.container, meta.View{})})
		}
		for _, m := range moments {
			got := e.scan(e.container, meta.View{Kind: meta.ViewAsOf, At: m.at})
			e.wantSame("view as of "+m.at.String(), got, m.want, sameExceptLatest)
		}
		if got := e.scan(e.container, meta.View{Kind: meta.ViewAsOf}); len(got) != 0 {
			e.Errorf("before all time: %v", got)
		}
	}},
	{"Seek/goes forwards and backwards to the first entry at or after the position", func(e *env) {
		e.fill()
		for _, kind := range []meta.ViewKind{meta.ViewCurrent, meta.ViewAll, meta.ViewAsOf, meta.ViewDeleted} {
			view := meta.View{Kind: kind, At: far}
			entries := e.scan(e.container, view)
			var places []meta.Position
			for _, s := range entries {
				places = append(places, meta.Position{Name: s.Name}, meta.Position{Name: s.Name, ID: s.ID}, meta.Position{Name: s.Name, ID: s.ID - 1},
					meta.Position{Name: s.Name, ID: s.ID + 1}, meta.Position{Name: s.Name + "\x00"}, meta.Position{Name: s.Name + "\x00", ID: 7},
					meta.Position{Name: s.Name, ID: 1}, meta.Position{Name: s.Name, ID: 1<<64 - 1})
			}
			places = append(places, meta.Position{}, meta.Position{Name: "\xff"}, meta.Position{Name: "\x00"})
			e.rng.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
			c := e.s.Scan(e.Context(), e.container, view)
			for _, pos := range places[:min(len(places), e.count(500))] {
				c.Seek(pos)
				want := at(entries, pos)
				if got := e.next(c); got != want {
					e.Fatalf("view %d, seek to (%q, %d): got (%q, %d), want (%q, %d)", kind, pos.Name, pos.ID, got.Name, got.ID, want.Name, want.ID)
				}
				if e.rng.IntN(2) == 0 && want != (meta.Position{}) {
					i := slices.IndexFunc(entries, func(s object.Summary) bool { return s.Name == want.Name && s.ID == want.ID })
					behind := meta.Position{}
					if i+1 < len(entries) {
						behind = meta.Position{Name: entries[i+1].Name, ID: entries[i+1].ID}
					}
					if got := e.next(c); got != behind {
						e.Fatalf("view %d, behind (%q, %d): got (%q, %d), want (%q, %d)", kind, want.Name, want.ID, got.Name, got.ID, behind.Name, behind.ID)
					}
				}
			}
			c.Close()
		}
	}},
	{"Seek/after the end a scan goes on from where it is sent", func(e *env) {
		e.puts("a", "b")
		c := e.s.Scan(e.Context(), e.container, meta.View{})
		defer c.Close()
		e.rest(c)
		c.Seek(meta.Position{Name: "b"})
		if got := e.next(c); got.Name != "b" {
			e.Errorf("got %+v", got)
		}
		c.Seek(meta.Position{})
		if got := e.next(c); got.Name != "a" {
			e.Errorf("got %+v", got)
		}
	}},
	{"Before/goes back from any name, if the engine can", func(e *env) {
		e.fill()
		current := e.scan(e.container, meta.View{})
		c, ok := e.s.Scan(e.Context(), e.container, meta.View{}).(meta.Backward)
		if !ok {
			return
		}
		defer c.Close()
		before := func(name, want naming.ObjectName) {
			e.Helper()
			s, err := c.Before(e.Context(), meta.Position{Name: name})
			errstest.OK(e, err)
			if s == nil && want != "" || s != nil && s.Name != want {
				e.Fatalf("before %q: got %+v, want %q", name, s, want)
			}
		}
		var names []naming.ObjectName
		for _, s := range current {
			names = append(names, s.Name, s.Name+"\x00", s.Name[:len(s.Name)-1])
		}
		names = append(names, "", "\xff", "\x00")
		e.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for i, name := range names {
			end := len(current)
			if name != "" {
				end = slices.IndexFunc(append(slices.Clone(current), object.Summary{Name: "\xff\xff"}), func(s object.Summary) bool { return s.Name >= name })
			}
			var want naming.ObjectName
			if end > 0 {
				want = current[end-1].Name
			}
			before(name, want)
			if i%3 == 0 { // between, the cursor goes forwards
				c.Seek(meta.Position{Name: name})
				if got, to := e.next(c), at(current, meta.Position{Name: name}); got != to {
					e.Fatalf("seek to %q: got %+v, want %+v", name, got, to)
				}
			}
		}
		var back []object.Summary
		for name := naming.ObjectName(""); len(back) <= len(current); name = back[len(back)-1].Name {
			s, err := c.Before(e.Context(), meta.Position{Name: name})
			errstest.OK(e, err)
			if s == nil {
				break
			}
			back = append(back, *s)
		}
		slices.Reverse(back)
		e.wantSame("the way back", back, current)
		deleted := e.s.Scan(e.Context(), e.container, meta.View{Kind: meta.ViewDeleted})
		defer deleted.Close()
		_, err := deleted.(meta.Backward).Before(e.Context(), meta.Position{})
		errstest.Want(e, err, errs.Unsupported, errs.Request)
	}},
	{"Before/goes back through all versions from any of them, if the engine can", func(e *env) {
		e.fill()
		for i := range 130 { // more than an engine reads at once
			e.put("many", e.data(int64(i)))
		}
		all := e.scan(e.container, meta.View{Kind: meta.ViewAll})
		c, ok := e.s.Scan(e.Context(), e.container, meta.View{Kind: meta.ViewAll}).(meta.Backward)
		if !ok {
			return
		}
		defer c.Close()
		var back []object.Summary
		for pos := (meta.Position{}); len(back) <= len(all); {
			s, err := c.Before(e.Context(), pos)
			errstest.OK(e, err)
			if s == nil {
				break
			}
			back = append(back, *s)
			pos = meta.Position{Name: s.Name, ID: s.ID}
		}
		slices.Reverse(back)
		e.wantSame("the way back", back, all)
		for range e.count(100) {
			i := e.rng.IntN(len(all))
			pos := meta.Position{Name: all[i].Name, ID: all[i].ID}
			switch e.rng.IntN(4) {
			case 0:
				pos.ID = 0
			case 1:
				pos.ID = max(1, pos.ID-1)
			case 2:
				pos = meta.Position{Name: pos.Name + "\x00"}
			}
			end := slices.IndexFunc(all, func(s object.Summary) bool {
				return s.Name > pos.Name || s.Name == pos.Name && (pos.ID == 0 || s.ID <= pos.ID)
			})
			if end < 0 {
				end = len(all)
			}
			s, err := c.Before(e.Context(), pos)
			errstest.OK(e, err)
			if end == 0 {
				if s != nil {
					e.Fatalf("before %+v: got %+v, want nothing", pos, s)
				}
				continue
			}
			if s == nil {
				e.Fatalf("before %+v: got nothing, want (%q, %d)", pos, all[end-1].Name, all[end-1].ID)
			}
			e.wantSame(fmt.Sprintf("before %+v", pos), []object.Summary{*s}, all[end-1:end])
			if e.rng.IntN(3) == 0 { // between, the cursor goes forwards
				c.Seek(pos)
				if got, to := e.next(c), at(all, pos); got != to {
					e.Fatalf("seek to %+v: got %+v, want %+v", pos, got, to)
				}
			}
		}
	}},
	{"Next/the summary is the caller's", func(e *env) {
		v := e.data(1)
		v.Checksums = []object.Checksum{{Algorithm: object.CRC32, Value: "abcd"}}
		e.put("a", v)
		e.put("b", e.data(2))
		c := e.s.Scan(e.Context(), e.container, meta.View{})
		defer c.Close()
		first, err := c.Next(e.Context())
		errstest.OK(e, err)
		kept := *first
		if _, err := c.Next(e.Context()); err != nil || first.Name != kept.Name || first.ETag != kept.ETag {
			e.Errorf("the first summary changed under the second: %+v, %v", first, err)
		}
		first.Checksums[0].Value, first.Size = "changed", 99
		if got := e.get("a", meta.Which{}); got.Size != 1 || got.Checksums[0].Value != "abcd" {
			e.Errorf("the stored version changed: %+v", got.Summary)
		}
	}},
	{"Scan/many versions of a name", func(e *env) {
		n := e.count(400)
		for i := range n {
			e.put("a", e.data(int64(i)))
		}
		e.puts("b")
		if got := e.scan(e.container, meta.View{Kind: meta.ViewAll}); len(got) != n+1 {
			e.Errorf("got %d entries, want %d", len(got), n+1)
		}
		if got := e.scan(e.container, meta.View{}); len(got) != 2 || got[1].Name != "b" {
			e.Errorf("current: %+v", got)
		}
	}},
	{"Seek/does not pay for what it skips", func(e *env) {
		// The same jumps over a prefix with few names under it and over one with many.
		many, few := e.o.Names, 10
		for i := range few {
			e.put(naming.ObjectName(fmt.Sprintf("few/%09d", i)), dataOf(uint64(i), 0, [16]byte{}))
		}
		for i := range many {
			e.put(naming.ObjectName(fmt.Sprintf("many/%09d", i)), dataOf(uint64(i), 0, [16]byte{}))
		}
		e.puts("few0", "many0")
		jumps := e.count(200)
		cost := func(prefix string) time.Duration {
			c := e.s.Scan(e.Context(), e.container, meta.View{})
			defer c.Close()
			best := time.Duration(1 << 62)
			for range 3 {
				start := time.Now()
				for range jumps {
					c.Seek(meta.Position{Name: naming.ObjectName(prefix + "/")})
					e.next(c)
					c.Seek(meta.Position{Name: naming.ObjectName(prefix + "0")})
					if got := e.next(c); got.Name != naming.ObjectName(prefix+"0") {
						e.Fatalf("got %+v", got)
					}
				}
				best = min(best, time.Since(start))
			}
			return best / time.Duration(jumps)
		}
		small, large := cost("few"), cost("many")
		e.Logf("a jump over %d names takes %v, over %d names %v", few, small, many, large)
		if large > 20*small+time.Millisecond {
			e.Errorf("a jump over %d names takes %v, over %d names %v", few, small, many, large)
		}
	}},
	{"Scan/what does not change appears once while others come and go", func(e *env) {
		var steady []naming.ObjectName
		for i := range e.count(100) {
			steady = append(steady, naming.ObjectName(fmt.Sprintf("%04d", i)))
		}
		e.puts(steady...)
		moving := func(i int) naming.ObjectName { return naming.ObjectName(fmt.Sprintf("%04d+", i%100)) }
		for _, kind := range []meta.ViewKind{meta.ViewCurrent, meta.ViewAll} {
			c := e.s.Scan(e.Context(), e.container, meta.View{Kind: kind})
			var got []naming.ObjectName
			var last meta.Position
			for i := 0; ; i++ {
				pos := e.next(c)
				if pos == (meta.Position{}) {
					break
				}
				if pos.Name < last.Name || pos.Name == last.Name && pos.ID >= last.ID {
					e.Fatalf("(%q, %d) comes after (%q, %d)", pos.Name, pos.ID, last.Name, last.ID)
				}
				last = pos
				if len(pos.Name) == 4 {
					got = append(got, pos.Name)
				}
				e.put(moving(i*37), e.data(1))
				if v, err := e.s.Get(e.Context(), e.container, moving(i*31), meta.Which{}); err == nil {
					e.remove(moving(i*31), v.ID)
				}
			}
			c.Close()
			e.wantSame("names that did not change", got, steady)
		}
	}},
}
