package cluster_test

import (
	"crypto/md5" // ETags are MD5
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"pithos/internal/clock"
	"pithos/test/service"
	"pithos/test/thin"
)

const (
	racers    = 5 // clients that share names
	shared    = 4 // names in use at once
	racePace  = 30 * time.Millisecond
	patience  = 2 * time.Minute // that the checker has for the history of one name
	nameSteps = 120             // operations after which a name gives way to a fresh one: histories stay short
)

// action is an operation on one name. Its condition is "" (none), "*" (If-None-Match: *) or the ETag that must stand there.
type action struct {
	method string // GET, PUT, DELETE
	name   string
	value  string // ETag of what is put
	cond   string
}

// outcome is the answer.
type outcome struct {
	status int    // 0: unknown
	value  string // ETag of what was got; "" when nothing stands there
}

// register is the model of one name: the ETag that stands there, "" for nothing.
var register = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, op := range history {
			n := op.Input.(action).name
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
		stands, a, o := state.(string), in.(action), out.(outcome)
		after, holds := a.apply(stands)
		switch {
		case a.method == http.MethodGet:
			if o.value == stands {
				return []any{stands}
			}
		case o.status == 0 && holds:
			return []any{stands, after}
		case o.status == 0:
			return []any{stands}
		case o.status < 300 && holds:
			return []any{after}
		case o.status < 300 && a.method == http.MethodDelete && stands == "": // a delete of nothing is answered as done
			return []any{stands}
		case o.status >= 300 && !holds:
			return []any{stands}
		}
		return nil
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// apply tells what stands there afterwards, and whether the condition holds.
func (a action) apply(stands string) (after string, holds bool) {
	switch {
	case a.cond == "*" && stands != "", a.cond != "" && a.cond != "*" && stands != a.cond:
		return stands, false
	case a.method == http.MethodPut:
		return a.value, true
	case a.method == http.MethodDelete:
		return "", true
	}
	return stands, true
}

// race is a group of clients that read and write the same names, with conditions and without, and record what they see.
type race struct {
	t      *testing.T
	g      *gateways
	p      *pauses
	bucket string
	began  time.Time

	mu      sync.Mutex
	history []porcupine.Operation
	names   [shared]atomic.Int64 // which name stands for each of those in use
	used    [shared]atomic.Int64

	done, refused, unknown int
}

// run lets a client work until stop is closed.
func (r *race) run(client int, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(*seed, uint64(1000+client)))
	m := meter{p: r.p}
	c := r.g.client(service.Admin)
	defer func() { c.Close() }()
	seen := map[string]string{}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		slot := random.IntN(shared)
		generation := r.names[slot].Load()
		a := action{method: http.MethodGet, name: fmt.Sprintf("race/%d-%d", slot, generation)}
		content := fmt.Appendf(nil, "%d %d %d", *seed, client, n)
		switch k := random.IntN(10); {
		case k < 4:
		case k < 8:
			sum := md5.Sum(content)
			a.method, a.value = http.MethodPut, hex.EncodeToString(sum[:])
			a.cond = []string{"", "*", seen[a.name], seen[a.name]}[random.IntN(4)]
		default:
			a.method = http.MethodDelete
			a.cond = []string{"", seen[a.name]}[random.IntN(2)]
		}
		if r.used[slot].Add(1)%nameSteps == 0 {
			r.names[slot].CompareAndSwap(generation, generation+1)
		}
		call := time.Since(r.began)
		o := r.send(c, a, content)
		r.note(client, a, o, call)
		if o.status == 0 {
			// It may take effect at any later time. A name gets few of these, so that the checker ends.
			if a.method != http.MethodGet {
				r.names[slot].CompareAndSwap(generation, generation+1)
			}
			c.Close()
			c = r.g.client(service.Admin)
		} else {
			m.success()
		}
		switch {
		case a.method == http.MethodGet && o.status != 0:
			seen[a.name] = o.value
		case a.method == http.MethodPut && o.status == http.StatusOK:
			seen[a.name] = a.value
		}
		if clock.Wait(r.t.Context(), racePace) != nil {
			return
		}
	}
}

// send does the operation.
func (r *race) send(c *thin.Client, a action, content []byte) outcome {
	request := thin.Request{Method: a.method, Path: "/" + r.bucket + "/" + thin.Escape(a.name, true)}
	switch {
	case a.cond == "*":
		request.Headers = []thin.Header{{Name: "if-none-match", Value: "*"}}
	case a.cond != "":
		request.Headers = []thin.Header{{Name: "if-match", Value: `"` + a.cond + `"`}}
	}
	if a.method == http.MethodPut {
		request.Body = content
	}
	answer, err := c.Do(&request, nil)
	switch {
	case err != nil, answer.Status >= 500:
		return outcome{}
	case a.method == http.MethodGet && answer.Status == http.StatusNotFound:
		return outcome{status: answer.Status}
	case a.method == http.MethodGet && answer.OK():
		sum := md5.Sum(answer.Body)
		if tag := hex.EncodeToString(sum[:]); tag != answer.ETag {
			r.t.Errorf("GET %s: the bytes have the ETag %s, the header says %s", a.name, tag, answer.ETag)
		}
		return outcome{answer.Status, answer.ETag}
	case answer.OK():
		return outcome{status: answer.Status}
	case a.cond != "" && (answer.Status == http.StatusPreconditionFailed || answer.Status == http.StatusConflict || answer.Status == http.StatusNotFound):
		return outcome{status: answer.Status}
	}
	r.t.Errorf("%s %s, condition %q: %v", a.method, a.name, a.cond, answer.Err())
	return outcome{}
}

// note records an operation. A read of which nothing is known says nothing.
func (r *race) note(client int, a action, o outcome, call time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	back := time.Since(r.began).Nanoseconds()
	switch {
	case o.status == 0:
		r.unknown++
		back = math.MaxInt64
		if a.method == http.MethodGet {
			return
		}
	case o.status >= 300 && a.method != http.MethodGet:
		r.refused++
	default:
		r.done++
	}
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: a, Call: call.Nanoseconds(), Output: o, Return: back})
}

// check wants the history to be linearizable.
func (r *race) check() {
	result, info := porcupine.CheckOperationsVerbose(register.ToModel(), r.history, patience)
	if result == porcupine.Unknown {
		r.t.Errorf("the checker did not come to an end with %d operations in %v", len(r.history), patience)
	}
	if result != porcupine.Illegal {
		return
	}
	file := filepath.Join(r.t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(register.ToModel(), info, file); err != nil {
		r.t.Error(err)
	}
	r.t.Errorf("the history is not linearizable; see %s", file)
	r.explain()
}

// explain writes out the histories of the names that are at fault.
func (r *race) explain() {
	model := register.ToModel()
	for _, part := range model.Partition(r.history) {
		if porcupine.CheckOperations(model, part) {
			continue
		}
		for _, op := range part {
			r.t.Logf("%9.3f %9.3f client %d %+v -> %+v", float64(op.Call)/1e9, float64(op.Return)/1e9, op.ClientId, op.Input, op.Output)
		}
	}
}

// TestRegisterFindsFaults shows that the model refuses what must not happen.
func TestRegisterFindsFaults(t *testing.T) {
	model := register.ToModel()
	op := func(client int, call, back int64, a action, o outcome) porcupine.Operation {
		a.name = "a"
		return porcupine.Operation{ClientId: client, Input: a, Call: call, Output: o, Return: back}
	}
	const put, get = http.MethodPut, http.MethodGet
	ok, lost := outcome{status: 200}, outcome{}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"two winners": {[]porcupine.Operation{
			op(0, 0, 10, action{method: put, value: "x", cond: "*"}, ok), op(1, 5, 15, action{method: put, value: "y", cond: "*"}, ok),
		}, false},
		"a stale read": {[]porcupine.Operation{
			op(0, 0, 10, action{method: put, value: "x"}, ok), op(1, 11, 15, action{method: get}, outcome{status: 404}),
		}, false},
		"an unknown change that comes late": {[]porcupine.Operation{
			op(0, 0, math.MaxInt64, action{method: put, value: "x"}, lost), op(1, 5, 6, action{method: put, value: "y"}, ok),
			op(1, 7, 8, action{method: get}, outcome{200, "y"}), op(1, 9, 10, action{method: get}, outcome{200, "x"}),
		}, true},
		"an unknown change that comes and goes": {[]porcupine.Operation{
			op(0, 0, math.MaxInt64, action{method: put, value: "x"}, lost), op(1, 5, 6, action{method: put, value: "y"}, ok),
			op(1, 7, 8, action{method: get}, outcome{200, "x"}), op(1, 9, 10, action{method: get}, outcome{200, "y"}),
		}, false},
		"refused without a cause": {[]porcupine.Operation{
			op(0, 0, 1, action{method: put, value: "x"}, ok), op(0, 2, 3, action{method: put, value: "y", cond: "x"}, outcome{status: 412}),
		}, false},
	} {
		if got := porcupine.CheckOperations(model, c.history); got != c.want {
			t.Errorf("%s: linearizable %v, want %v", name, got, c.want)
		}
	}
}
