package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
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
	m, err := b.measureMachine()
	if err != nil {
		return err
	}
	fmt.Printf("\nOne writer appends 4 KiB and syncs %.0f times per second; appending 16 MiB and syncing gives %.0f MB/s. "+
		"On one core SHA-256 does %.0f MB/s and MD5 %.0f MB/s; all cores together pass %.0f MB/s through both.\n\n",
		m.syncs, m.stream/1e6, m.sha/1e6, m.md5s/1e6, m.hashes()/1e6)
	bare, endBare, err := startBare(b.ctx)
	if err != nil {
		return err
	}
	defer endBare()
	return b.with(func(s *service.Service) error {
		cells := b.cells()
		if err := prepare(s.Addr, bare, cells); err != nil {
			return err
		}
		fmt.Println("| operation, size, clients | Pithos | bare | of bare | of disk and hashes | Pithos p50 | p99 |\n|---|---|---|---|---|---|---|")
		var fresh numbers
		for _, c := range cells {
			var ours, theirs []sample
			profiled := b.profile(s, c)
			for range b.rounds {
				for _, to := range []struct {
					addr string
					list *[]sample
				}{{s.Addr, &ours}, {bare, &theirs}} {
					got, err := b.measure(to.addr, c, &fresh)
					if err != nil {
						return fmt.Errorf("%s: %w", c.name(), err)
					}
					*to.list = append(*to.list, got)
				}
			}
			if err := profiled(); err != nil {
				return err
			}
			fmt.Println(row(c, m, ours, theirs))
		}
		return nil
	})
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
	rate  float64 // requests per second
	times []time.Duration
}

// measure lets clients make the same kind of request for a while. What was begun in time counts, and the time until the last answer.
func (b *bench) measure(addr string, c cell, fresh *numbers) (sample, error) {
	times := make([][]time.Duration, c.clients)
	clients := make([]*thin.Client, c.clients)
	bodies := make([]body, c.clients)
	for i := range clients {
		clients[i] = thin.New(addr, service.Admin, requestMax)
		defer clients[i].Close()
		if c.op == "PUT" {
			bodies[i] = newBody(c.size)
		}
		// One request before the clock runs, so that connecting is not measured.
		if err := request(clients[i], c, bodies[i], fresh, 0); err != nil {
			return sample{}, err
		}
	}
	began := time.Now()
	err := parallel(c.clients, func(i int) error {
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
	took := time.Since(began)
	all := slices.Concat(times...)
	slices.Sort(all)
	return sample{float64(len(all)) / took.Seconds(), all}, err
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

func row(c cell, m machine, ours, theirs []sample) string {
	rate := func(samples []sample) float64 {
		var rates []float64
		for _, s := range samples {
			rates = append(rates, s.rate)
		}
		return median(rates)
	}
	percentile := func(p float64) time.Duration {
		var all []float64
		for _, s := range ours {
			all = append(all, float64(s.times[int(float64(len(s.times)-1)*p)]))
		}
		return time.Duration(median(all))
	}
	mine, bare := rate(ours), rate(theirs)
	show := func(rate float64) string {
		if c.size >= mib {
			return fmt.Sprintf("%.0f MB/s", rate*float64(c.size)/1e6)
		}
		return fmt.Sprintf("%.0f/s", rate)
	}
	limit := ""
	if c.op == "PUT" {
		limit = fmt.Sprintf("%.0f %%", 100*mine*float64(c.size)/min(m.stream, m.hashes()))
		if c.size < mib && c.clients == 1 {
			limit = fmt.Sprintf("%.0f %% of its syncs", 100*mine/m.syncs)
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %.0f %% | %s | %v | %v |", c.name(), show(mine), show(bare), 100*mine/bare, limit,
		percentile(0.5).Round(time.Microsecond), percentile(0.99).Round(time.Microsecond))
}
