// Package linear records histories of racing clients and checks that they are
// linearizable: there is an order of all operations, in keeping with real time,
// in which each got the answer that it got (I8).
package linear

import (
	"bytes"
	"context"
	"crypto/md5" // ETags are MD5
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
)

var (
	seed      = flag.Uint64("seed", 0, "seed of the first history; 0: drawn")
	rounds    = flag.Int("rounds", 40, "rounds in which 64 writers race to be the first")
	histories = flag.Int("histories", 4, "histories to record and check")
)

const (
	clients    = 16              // of a history
	operations = 40              // of each client in a history
	racers     = 64              // of a round
	keys       = 2               // names in a history
	patience   = 2 * time.Minute // that the checker has for one history
)

// doer does what a client wants. It is safe for concurrent use.
type doer interface {
	do(ctx context.Context, i input, body []byte) (output, error)
}

// services is a backend on each engine, and a whole server behind its S3 door.
func services(t *testing.T) map[string]doer {
	t.Helper()
	m := memory.New(clock.System{})
	e, err := embedded.Open(filepath.Join(t.TempDir(), "data"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]doer{
		"http":     newDoor(t),
		"memory":   newService(t, backend.Stores{Keys: m.Keys(), Buckets: m.Buckets(), Meta: m.Meta(), Blobs: m.Blobs()}, m.Keys()),
		"embedded": newService(t, backend.Stores{Keys: e.Keys(), Buckets: e.Buckets(), Meta: e.Meta(), Blobs: e.Blobs()}, e.Keys()),
	}
}

// service is a backend with one bucket and who uses it.
type service struct {
	*backend.Backend
	caller backend.Caller
	bucket backend.Ref
}

func newService(t *testing.T, s backend.Stores, store key.Writer) *service {
	t.Helper()
	a := key.Account{ID: "alice", Canonical: "canonical"}
	u := key.User{ID: naming.User(a.ID, "admin"), Account: a.ID, Roles: []string{key.RoleAdmin}}
	if _, err := store.CreateAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	svc := &service{
		Backend: backend.New(s, backend.Options{}),
		caller:  backend.Caller{Principal: access.Principal{Account: a.ID, User: u.ID, Canonical: a.Canonical, Admin: true}},
		bucket:  backend.Ref{Bucket: "races"},
	}
	_, _, err := svc.CreateContainer(t.Context(), svc.caller, backend.NewContainer{
		Account: a.ID, Name: "races", Bucket: "races", Config: bucket.Config{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

// kind is what a client does.
type kind uint8

const (
	get kind = iota
	put
	remove
)

// input is an operation on one name. Its condition is "" (none), "*" (If-None-Match: *) or the ETag that must stand there.
type input struct {
	kind  kind
	name  string
	value string // ETag of what is put
	cond  string
}

// output is its answer. unknown: nobody knows whether it took effect.
type output struct {
	outcome outcome
	value   string // ETag of what was got; "" when nothing stands there
}

type outcome uint8

const (
	done outcome = iota
	refused
	unknown
	gone // of a delete: nothing stands there now, and nobody says whether something did
)

// register is the model of one name: the ETag that stands there, "" for nothing.
var register = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, op := range history {
			n := op.Input.(input).name
			byName[n] = append(byName[n], op)
		}
		var parts [][]porcupine.Operation
		for _, p := range byName {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() []any { return []any{""} },
	Step: func(state, in, out any) []any {
		stands, i, o := state.(string), in.(input), out.(output)
		after, holds := i.apply(stands)
		switch {
		case i.kind == get:
			if o.outcome == unknown || o.value == stands {
				return []any{stands}
			}
		case o.outcome == done && holds, o.outcome == gone && holds:
			return []any{after}
		case o.outcome == refused && !holds:
			return []any{stands}
		case o.outcome == gone && stands == "":
			return []any{stands}
		case o.outcome == unknown:
			return []any{stands, after}
		}
		return nil
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// apply tells what stands there afterwards, and whether the condition holds.
func (i input) apply(stands string) (after string, holds bool) {
	switch {
	case i.cond == "*" && stands != "", i.cond != "" && i.cond != "*" && stands != i.cond:
		return stands, false
	case i.kind == put:
		return i.value, true
	case i.kind == remove:
		return "", true
	}
	return stands, true
}

// condition is the precondition that a client sends.
func (i input) condition() object.Precondition {
	switch i.cond {
	case "":
		return object.Precondition{}
	case "*":
		return object.Precondition{IfNoneMatch: []string{"*"}}
	}
	return object.Precondition{IfMatch: []string{i.cond}}
}

// do sends an operation.
func (s *service) do(ctx context.Context, i input, body []byte) (output, error) {
	target := backend.Target{Container: s.bucket, Name: naming.ObjectName(i.name)}
	var err error
	switch i.kind {
	case get:
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		o, err := s.Open(ctx, s.caller, target, object.Precondition{}, access.GetObject)
		if errs.IsThing(err, errs.NotFound, errs.Object) {
			return output{}, nil
		}
		if err != nil {
			return output{}, err
		}
		var b bytes.Buffer
		if err := o.CopyTo(ctx, &b, 0, o.Size); err != nil {
			return output{}, err
		}
		if tag := etag(b.Bytes()); tag != o.ETag {
			return output{}, fmt.Errorf("the bytes have the ETag %s, the version %s", tag, o.ETag)
		}
		return output{value: o.ETag}, nil
	case put:
		_, err = s.Put(ctx, s.caller, backend.PutRequest{
			Container: s.bucket, Name: target.Name, If: i.condition(), Body: backend.Body{Reader: bytes.NewReader(body), Size: int64(len(body))},
		})
	case remove:
		var d backend.Deleted
		d, err = s.Delete(ctx, s.caller, backend.DeleteRequest{Target: target, If: i.condition()})
		if err == nil && d.Nothing && i.cond != "" {
			return output{}, errors.New("a conditional delete of nothing was answered as done")
		}
	}
	switch {
	case err == nil:
		return output{}, nil
	case errs.Is(err, errs.Precondition), errs.IsThing(err, errs.NotFound, errs.Object), errs.Is(err, errs.Conflict):
		return output{outcome: refused}, nil
	case errs.Is(err, errs.Ambiguous), errs.Is(err, errs.Busy):
		return output{outcome: unknown}, nil
	}
	return output{}, err
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

// record lets the clients work and tells their history.
func record(t *testing.T, s doer, seed uint64) []porcupine.Operation {
	t.Helper()
	began := time.Now()
	perClient := make([][]porcupine.Operation, clients)
	failed := make([]error, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(c)))
			seen := map[string]string{} // the last ETag of each name that this client knows of
			for n := range operations {
				i := input{name: fmt.Sprintf("%d/%d", seed, rng.IntN(keys))}
				body := fmt.Appendf(nil, "%d %d %d", seed, c, n)
				switch r := rng.IntN(10); {
				case r < 3:
					i.kind = get
				case r < 8:
					i.kind, i.value = put, etag(body)
				default:
					i.kind = remove
				}
				if i.kind != get {
					i.cond = []string{"", "*", seen[i.name], seen[i.name]}[rng.IntN(4)]
				}
				if i.kind == remove && i.cond == "*" {
					i.cond = ""
				}
				call := time.Since(began).Nanoseconds()
				out, err := s.do(t.Context(), i, body)
				if err != nil {
					failed[c] = fmt.Errorf("client %d, operation %d %+v: %w", c, n, i, err)
					return
				}
				perClient[c] = append(perClient[c], porcupine.Operation{
					ClientId: c, Input: i, Call: call, Output: out, Return: time.Since(began).Nanoseconds(),
				})
				if i.kind == get {
					seen[i.name] = out.value
				} else if i.kind == put && out.outcome == done {
					seen[i.name] = i.value
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	var all []porcupine.Operation
	for _, h := range perClient {
		all = append(all, h...)
	}
	return all
}

// TestHistories checks conditional puts and deletes, and gets, of 16 clients on few names.
func TestHistories(t *testing.T) {
	model := register.ToModel()
	for name, s := range services(t) {
		t.Run(name, func(t *testing.T) {
			first := *seed
			if first == 0 {
				first = rand.Uint64() >> 16
			}
			t.Logf("seed %d", first)
			count := map[outcome]int{}
			for h := first; h < first+uint64(*histories); h++ {
				history := record(t, s, h)
				for _, op := range history {
					count[op.Output.(output).outcome]++
				}
				result, info := porcupine.CheckOperationsVerbose(model, history, patience)
				if result == porcupine.Ok {
					continue
				}
				file := filepath.Join(t.ArtifactDir(), "history.html")
				if err := porcupine.VisualizePath(model, info, file); err != nil {
					t.Error(err)
				}
				t.Fatalf("history of seed %d is %s; see %s", h, result, file)
			}
			t.Logf("%d histories of %d clients: %d operations done, %d refused, %d of unknown outcome",
				*histories, clients, count[done]+count[gone], count[refused], count[unknown])
		})
	}
}

// TestCheckerFindsFaults shows that the model refuses what must not happen.
func TestCheckerFindsFaults(t *testing.T) {
	model := register.ToModel()
	op := func(client int, call, back int64, i input, o output) porcupine.Operation {
		i.name = "a"
		return porcupine.Operation{ClientId: client, Input: i, Call: call, Output: o, Return: back}
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"two winners": {[]porcupine.Operation{
			op(0, 0, 10, input{kind: put, value: "x", cond: "*"}, output{}), op(1, 5, 15, input{kind: put, value: "y", cond: "*"}, output{}),
		}, false},
		"one winner": {[]porcupine.Operation{
			op(0, 0, 10, input{kind: put, value: "x", cond: "*"}, output{}), op(1, 5, 15, input{kind: put, value: "y", cond: "*"}, output{outcome: refused}),
		}, true},
		"a stale read": {[]porcupine.Operation{
			op(0, 0, 10, input{kind: put, value: "x"}, output{}), op(1, 11, 15, input{kind: get}, output{}),
		}, false},
		"a lost update": {[]porcupine.Operation{
			op(0, 0, 1, input{kind: put, value: "x"}, output{}), op(0, 2, 9, input{kind: put, value: "y", cond: "x"}, output{}),
			op(1, 3, 8, input{kind: put, value: "z", cond: "x"}, output{}),
		}, false},
		"an unknown outcome, either way": {[]porcupine.Operation{
			op(0, 0, 1, input{kind: put, value: "x"}, output{outcome: unknown}), op(1, 2, 3, input{kind: get}, output{value: "x"}),
			op(2, 4, 5, input{kind: put, value: "y"}, output{outcome: unknown}), op(1, 6, 7, input{kind: get}, output{value: "x"}),
		}, true},
		"a delete of another's": {[]porcupine.Operation{
			op(0, 0, 1, input{kind: put, value: "x"}, output{}), op(0, 2, 3, input{kind: remove, cond: "y"}, output{outcome: gone}),
		}, false},
		"a delete of nothing": {[]porcupine.Operation{op(0, 0, 1, input{kind: remove, cond: "y"}, output{outcome: gone})}, true},
	} {
		if got := porcupine.CheckOperations(model, c.history); got != c.want {
			t.Errorf("%s: linearizable %v, want %v", name, got, c.want)
		}
	}
}

// TestFirstWriterWins races 64 writers that demand absence: one wins, and what stands there is the winner's.
func TestFirstWriterWins(t *testing.T) {
	for name, s := range services(t) {
		t.Run(name, func(t *testing.T) {
			for round := range *rounds {
				var wins atomic.Int64
				var winner atomic.Value
				failed := make([]error, racers)
				start := make(chan struct{})
				var wg sync.WaitGroup
				for r := range racers {
					wg.Go(func() {
						body := fmt.Appendf(nil, "round %d, racer %d", round, r)
						i := input{kind: put, name: fmt.Sprintf("round/%d", round), value: etag(body), cond: "*"}
						<-start
						out, err := s.do(t.Context(), i, body)
						if failed[r] = err; err == nil && out.outcome == done {
							wins.Add(1)
							winner.Store(i.value)
						}
					})
				}
				close(start)
				wg.Wait()
				if err := errors.Join(failed...); err != nil {
					t.Fatal(err)
				}
				got, err := s.do(t.Context(), input{kind: get, name: fmt.Sprintf("round/%d", round)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if wins.Load() != 1 || got.value != winner.Load() {
					t.Fatalf("round %d: %d winners; %v stands, %v won", round, wins.Load(), got.value, winner.Load())
				}
			}
			t.Logf("%d rounds of %d writers, one winner each", *rounds, racers)
		})
	}
}
