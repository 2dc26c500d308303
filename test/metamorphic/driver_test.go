package metamorphic

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of the first list; 0: drawn")
	lists = flag.Int("lists", 4, "lists of operations to run, each with the next seed")
	steps = flag.Int("steps", 200, "operations in a list")
	slow  = flag.Int("slow", 1, "lists that run on Cassandra too")
)

// step is one operation with numbers that it makes of what it needs. Its meaning depends on nothing but itself and what the
// steps before it left, so that a list stays meaningful when steps are taken out.
type step struct {
	n   int // stands for the step where fresh ids are made
	op  string
	arg [8]int
}

func (s step) String() string { return fmt.Sprintf("{%d, %q, %#v},", s.n, s.op, s.arg) }

type system interface {
	apply(ctx context.Context, s step) string
}

// weight says how often an operation comes.
type weight struct {
	op    string
	share int
}

// generate draws a list of steps.
func generate(rng *rand.Rand, weights []weight, n int) []step {
	var ops []string
	for _, w := range weights {
		for range w.share {
			ops = append(ops, w.op)
		}
	}
	var list []step
	for i := range n {
		s := step{n: i, op: ops[rng.IntN(len(ops))]}
		for k := range s.arg {
			s.arg[k] = rng.IntN(1 << 20)
		}
		list = append(list, s)
	}
	return append(list, step{n: n, op: "check"})
}

// compare runs a list on engines in turns and tells the first difference; "" when there is none.
func compare(t *testing.T, engines []made, list []step, open func(t *testing.T, e engine, c *clock.Manual) system) string {
	t.Helper()
	systems := make([]system, len(engines))
	for i, e := range engines {
		c := clock.NewManual(began)
		opened := e.open(t, c)
		defer func() {
			if err := opened.Close(); err != nil {
				t.Errorf("%s: close: %v", e.name, err)
			}
		}()
		systems[i] = open(t, opened, c)
	}
	for _, s := range list {
		var want string
		for i, sys := range systems {
			got := sys.apply(t.Context(), s)
			if i == 0 {
				want = got
			} else if got != want {
				return fmt.Sprintf("step %v\n%s:\n%s\n%s:\n%s", s, engines[0].name, want, engines[i].name, got)
			}
			if strings.HasPrefix(got, "BROKEN") {
				return fmt.Sprintf("step %v\n%s: %s", s, engines[i].name, got)
			}
		}
	}
	return ""
}

// shrink takes out steps as long as a difference stays.
func shrink(list []step, differs func([]step) bool) []step {
	runs := 0
	for size := len(list) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(list) && runs < 400; {
			runs++
			if shorter := slices.Delete(slices.Clone(list), i, i+size); differs(shorter) {
				list = shorter
			} else {
				i += size
			}
		}
	}
	return list
}

// runLists runs the lists that the flags ask for.
func runLists(t *testing.T, weights []weight, open func(t *testing.T, e engine, c *clock.Manual) system) {
	t.Helper()
	first := *seed
	if first == 0 {
		first = rand.Uint64() >> 16
	}
	t.Logf("seed %d", first)
	for s := first; s < first+uint64(*lists); s++ {
		engines := enginesOf(int(s - first))
		list := generate(rand.New(rand.NewPCG(s, 0)), weights, *steps)
		if engines[len(engines)-1].name == "cassandra" {
			moveOn(list)
		}
		difference := compare(t, engines, list, open)
		if difference == "" {
			continue
		}
		again := fmt.Sprintf("-seed %d -lists 1 -steps %d", s, *steps)
		if compare(t, engines, list, open) == "" {
			t.Fatalf("seed %d (%s) made a difference once, so that it depends on timing too:\n%s", s, again, difference)
		}
		t.Logf("seed %d (%s) makes a difference, to be shrunk:\n%s", s, again, difference)
		list = shrink(list, func(shorter []step) bool { return compare(t, engines, shorter, open) != "" })
		var text strings.Builder
		for _, one := range list {
			fmt.Fprintln(&text, "\t", one)
		}
		t.Fatalf("seed %d (%s), shrunk to:\n%s%s\nBefore that:\n%s", s, again, text.String(), compare(t, engines, list, open), difference)
	}
}

// moveOn lets the clock go on with every step. Cassandra keeps, of a name, the generation of its last change and not the highest id that was removed, so where the
// clock stands still a put right behind a removal gets an id that is higher than the specification's, as meta.State.Gone allows.
func moveOn(list []step) {
	for i := range list {
		if list[i].arg[7]%3 == 0 {
			list[i].arg[7]++
		}
	}
}

// show puts a result into words; an error by kind, thing and reason.
func show(err error, result string, args ...any) string {
	if err == nil {
		return fmt.Sprintf(result, args...)
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		return "error of no kind: " + err.Error()
	}
	return fmt.Sprintf("%v of %v (%s)", e.Kind, e.Thing, e.Reason)
}
