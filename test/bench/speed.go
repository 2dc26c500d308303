package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

// requestMax bounds one request.
const requestMax = 2 * time.Minute

// written is the bucket that PUTs go to.
const written = "written"

// cell is one row of the table: what to do, how large, how many at once.
type cell struct {
	op      string // "GET", or "PUT" with a payload mode
	payload string
	size    int
	clients int
}

func (c cell) name() string {
	name := c.op
	if c.op == "PUT" && c.payload == thin.Signed {
		name = "PUT signed"
	}
	return fmt.Sprintf("%s %s, %d", name, sizeName(c.size), c.clients)
}

func sizeName(size int) string {
	if size >= mib {
		return fmt.Sprint(size/mib, " MiB")
	}
	return fmt.Sprint(size>>10, " KiB")
}

// objectsOf is how many objects of a size GETs choose from.
var objectsOf = map[int]int{4 << 10: 4096, 64 << 10: 1024, mib: 256, 16 * mib: 32}

func (b *bench) cells() []cell {
	var cells []cell
	for _, kind := range []cell{{op: "GET"}, {op: "PUT", payload: thin.Unsigned}, {op: "PUT", payload: thin.Signed}} {
		for _, size := range []int{4 << 10, 64 << 10, mib, 16 * mib} {
			for _, clients := range []int{1, 16} {
				kind.size, kind.clients = size, clients
				if strings.Contains(kind.name(), b.cell) {
					cells = append(cells, kind)
				}
			}
		}
	}
	return cells
}

// speed compares PUT and GET with the bare server, the disk and the hashes.
func (b *bench) speed() error {
	if err := b.machine(); err != nil {
		return err
	}
	bare, endBare, err := startBare(b.ctx)
	if err != nil {
		return err
	}
	defer endBare()
	return b.with(func(s *service.Service) error {
		cells := b.cells()
		if err := prepare(s.Addr, bare.addr, cells); err != nil {
			return err
		}
		fmt.Println("| operation, size, clients | Pithos | bare | of bare | disk and hashes | of them | aim, share reached | CPU of a request, Pithos / bare | p50 | p99 |\n" +
			"|---|---|---|---|---|---|---|---|---|---|")
		var fresh numbers
		for _, c := range cells {
			if err := b.row(s, bare, c, &fresh); err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
		}
		return nil
	})
}

// row measures a cell: in each round first the service, then the bare server, then, for PUT, what disk and hashes allow.
func (b *bench) row(s *service.Service, bare target, c cell, fresh *numbers) error {
	var ours, theirs []sample
	var m machine
	profiled := b.profile(s, c)
	var files []string
	defer func() {
		for _, name := range files {
			_ = os.Remove(filepath.Join(b.dir, name)) // the whole folder goes in the end
		}
	}()
	for i := range b.rounds {
		for _, to := range []struct {
			target
			list *[]sample
		}{{target{s.Addr, s.PID()}, &ours}, {bare, &theirs}} {
			got, err := b.measure(to.target, c, fresh)
			if err != nil {
				return err
			}
			*to.list = append(*to.list, got)
		}
		if c.op == "PUT" {
			files = append(files, fmt.Sprint("limit-", i))
			if err := b.sample(&m, c.size, files[i]); err != nil {
				return err
			}
		}
	}
	if err := profiled(); err != nil {
		return err
	}
	fmt.Println(c.row(&m, ours, theirs))
	return nil
}

// prepare makes the buckets and stores the objects to GET, the same in both servers, and reads some back to see that the comparison is fair.
func prepare(pithos, bare string, cells []cell) error {
	for _, addr := range []string{pithos, bare} {
		c := thin.New(addr, service.Admin, requestMax)
		for _, bucket := range []string{kept, written} {
			if _, err := do(c, &thin.Request{Method: "PUT", Path: "/" + bucket}); err != nil {
				return err
			}
		}
		c.Close()
		for size, count := range objectsOf {
			if !slices.ContainsFunc(cells, func(c cell) bool { return c.op == "GET" && c.size == size }) {
				continue
			}
			if err := store(addr, size, count); err != nil {
				return fmt.Errorf("store objects of %s: %w", sizeName(size), err)
			}
		}
	}
	return nil
}

// do sends a request that must succeed.
func do(c *thin.Client, r *thin.Request) (thin.Response, error) {
	answer, err := c.Do(r, nil)
	if err == nil {
		err = answer.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	return answer, err
}

func keptPath(size, i int) string { return fmt.Sprintf("/%s/%d-%d", kept, size, i) }

func store(addr string, size, count int) error {
	return parallel(16, func(client int) error {
		c := thin.New(addr, service.Admin, requestMax)
		defer c.Close()
		data := newBody(size)
		for i := client; i < count; i += 16 {
			data.stamp(uint64(size)<<32 + uint64(i))
			if _, err := do(c, &thin.Request{Method: "PUT", Path: keptPath(size, i), Body: data, Payload: thin.Unsigned}); err != nil {
				return err
			}
			if i >= 32 {
				continue
			}
			answer, err := do(c, &thin.Request{Method: "GET", Path: keptPath(size, i)})
			if err != nil {
				return err
			}
			if !bytes.Equal(answer.Body, data) {
				return fmt.Errorf("object %d of %d bytes came back with other bytes", i, size)
			}
		}
		return nil
	})
}

// parallel runs n functions at once and returns their errors.
func parallel(n int, f func(client int) error) error {
	failed := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { failed[i] = f(i) })
	}
	group.Wait()
	return errors.Join(failed...)
}

// sample is the result of one measurement.
type sample struct {
	rate  float64       // requests per second
	cpu   time.Duration // of the server, for each request
	times []time.Duration
}

// target is a server to measure.
type target struct {
	addr string
	pid  int
}

// measure lets clients make the same kind of request for a while. What was begun in time counts, and the time until the last answer.
func (b *bench) measure(to target, c cell, fresh *numbers) (sample, error) {
	times := make([][]time.Duration, c.clients)
	clients := make([]*thin.Client, c.clients)
	bodies := make([]body, c.clients)
	for i := range clients {
		clients[i] = thin.New(to.addr, service.Admin, requestMax)
		defer clients[i].Close()
		if c.op == "PUT" {
			bodies[i] = newBody(c.size)
		}
		// One request before the clock runs, so that connecting is not measured.
		if err := request(clients[i], c, bodies[i], fresh, 0); err != nil {
			return sample{}, err
		}
	}
	before, err := service.CPUTime(to.pid)
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	err = parallel(c.clients, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 7))
		for {
			at := time.Now()
			if at.Sub(began) >= b.span {
				return nil
			}
			if err := request(clients[i], c, bodies[i], fresh, random.IntN(objectsOf[c.size])); err != nil {
				return err
			}
			times[i] = append(times[i], time.Since(at))
		}
	})
	if err != nil {
		return sample{}, err
	}
	took := time.Since(began)
	after, err := service.CPUTime(to.pid)
	all := slices.Concat(times...)
	slices.Sort(all)
	return sample{float64(len(all)) / took.Seconds(), (after - before) / time.Duration(len(all)), all}, err
}

func request(client *thin.Client, c cell, data body, fresh *numbers, which int) error {
	if c.op == "PUT" {
		number := fresh.next()
		data.stamp(number)
		_, err := do(client, &thin.Request{Method: "PUT", Path: fmt.Sprintf("/%s/%d-%d", written, c.size, number), Body: data, Payload: c.payload})
		return err
	}
	answer, err := client.Do(&thin.Request{Method: "GET", Path: keptPath(c.size, which), Payload: thin.Unsigned}, func([]byte) {})
	if err == nil {
		err = answer.Err()
	}
	if err == nil && answer.Length != int64(c.size) {
		err = fmt.Errorf("%d bytes of %d", answer.Length, c.size)
	}
	return err
}

func (c cell) row(m *machine, ours, theirs []sample) string {
	rate := func(samples []sample) float64 {
		return medianOf(samples, func(s sample) float64 { return s.rate })
	}
	cpu := func(samples []sample) time.Duration {
		return time.Duration(medianOf(samples, func(s sample) float64 { return float64(s.cpu) })).Round(time.Microsecond)
	}
	percentile := func(p float64) time.Duration {
		at := func(s sample) float64 { return float64(s.times[int(float64(len(s.times)-1)*p)]) }
		return time.Duration(medianOf(ours, at)).Round(time.Microsecond)
	}
	show := func(rate float64) string {
		if c.size >= mib {
			return fmt.Sprintf("%.0f MB/s", rate*float64(c.size)/1e6)
		}
		return fmt.Sprintf("%.0f/s", rate)
	}
	mine, bare := rate(ours), rate(theirs)
	limit, ofLimit := "", ""
	share := 0.0
	if c.op == "PUT" {
		most := m.most(c.size)
		share = mine / most
		limit, ofLimit = show(most), percent(share)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %v / %v | %v | %v |", c.name(), show(mine), show(bare), percent(mine/bare),
		limit, ofLimit, c.aim(mine/bare, share), cpu(ours), cpu(theirs), percentile(0.5), percentile(0.99))
}

func percent(ratio float64) string { return fmt.Sprintf("%.0f %%", 100*ratio) }

// aim says what the row is to reach and what of that it does; nothing when no aim was set for it.
func (c cell) aim(ofBare, ofLimit float64) string {
	type key struct {
		op            string
		size, clients int
	}
	bare := map[key]float64{
		{"GET", 4 << 10, 1}: 0.60, {"GET", 4 << 10, 16}: 0.60, {"GET", mib, 16}: 0.70, {"GET", 16 * mib, 16}: 0.75, {"PUT", 4 << 10, 16}: 0.50,
	}
	limit := map[key]float64{{"PUT", mib, 16}: 0.80, {"PUT", 16 * mib, 16}: 0.80}
	if c.op == "PUT" && c.payload != thin.Unsigned {
		return ""
	}
	k := key{c.op, c.size, c.clients}
	if aim := bare[k]; aim > 0 {
		return reached(">= "+percent(aim)+" of bare", ofBare/aim)
	}
	if aim := limit[k]; aim > 0 {
		return reached(">= "+percent(aim)+" of disk and hashes", ofLimit/aim)
	}
	return ""
}

// reached is an aim, and how much of it there is: 1 or more is enough.
func reached(aim string, share float64) string {
	verdict := "met"
	if share < 1 {
		verdict = "missed"
	}
	return fmt.Sprintf("%s: %s, %.2f", aim, verdict, share)
}
