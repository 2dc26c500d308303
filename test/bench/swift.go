package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

// swiftObjects is how many objects of a size GETs through Swift choose from.
var swiftObjects = map[int]int{4 << 10: 512, mib: 64}

// swiftSide is one of the two services that speak Swift.
type swiftSide struct {
	addr string
	keys thin.Keys
	path string // of the account
}

// swift compares PUT and GET through the Swift API with OpenStack Swift, both in one run and by the same clients.
func (b *bench) swift() error {
	dir, err := os.MkdirTemp(b.dir, "swift-")
	if err != nil {
		return err
	}
	real, err := startSwift(b.ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, real.stop(), os.RemoveAll(dir))
	}()
	err = b.with(func(s *service.Service) error {
		var sides []swiftSide
		for _, each := range [][3]string{{strings.TrimPrefix(s.SwiftURL(), "http://"), "admin:admin", service.Admin.Secret}, {real.addr(), "bench:bench", "bench"}} {
			token, path, err := signInto(b.ctx, "http://"+each[0], each[1], each[2])
			if err != nil {
				return err
			}
			side := swiftSide{addr: each[0], keys: thin.Keys{Token: token}, path: path}
			if err := side.prepare(); err != nil {
				return fmt.Errorf("%s: %w", side.addr, err)
			}
			sides = append(sides, side)
		}
		fmt.Printf("\nLoad before: %s.\n\n| through Swift: operation, size, clients | Pithos | OpenStack Swift | Pithos / Swift | Pithos p50, p99 | Swift p50, p99 |\n|---|---|---|---|---|---|\n", loadNow())
		var fresh numbers
		for _, c := range b.swiftCells() {
			if err := b.swiftRow(sides, c, &fresh); err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
		}
		return nil
	})
	return err
}

func (b *bench) swiftCells() []cell {
	var cells []cell
	for _, op := range []string{"GET", "PUT"} {
		for _, size := range []int{4 << 10, mib} {
			for _, clients := range []int{1, 16} {
				if c := (cell{op: op, payload: thin.Unsigned, size: size, clients: clients}); strings.Contains(c.name(), b.cell) {
					cells = append(cells, c)
				}
			}
		}
	}
	return cells
}

// prepare makes the containers and stores the objects to GET, and reads some back.
func (s *swiftSide) prepare() error {
	c := thin.New(s.addr, s.keys, requestMax)
	defer c.Close()
	for _, container := range []string{kept, written} {
		if _, err := do(c, &thin.Request{Method: "PUT", Path: s.path + "/" + container}); err != nil {
			return err
		}
	}
	for size, count := range swiftObjects {
		err := parallel(8, func(client int) error {
			c := thin.New(s.addr, s.keys, requestMax)
			defer c.Close()
			data := newBody(size)
			for i := client; i < count; i += 8 {
				data.stamp(uint64(size)<<32 + uint64(i))
				if _, err := do(c, &thin.Request{Method: "PUT", Path: s.path + keptPath(size, i), Body: data}); err != nil {
					return err
				}
				if i >= 16 {
					continue
				}
				answer, err := do(c, &thin.Request{Method: "GET", Path: s.path + keptPath(size, i)})
				if err != nil {
					return err
				}
				if !bytes.Equal(answer.Body, data) {
					return fmt.Errorf("object %d of %d bytes came back with other bytes", i, size)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// swiftRow measures a cell: the services take turns.
func (b *bench) swiftRow(sides []swiftSide, c cell, fresh *numbers) error {
	got := make([][]sample, len(sides))
	for range b.rounds {
		for i := range sides {
			s, err := b.swiftMeasure(&sides[i], c, fresh)
			if err != nil {
				return fmt.Errorf("%s: %w", sides[i].addr, err)
			}
			got[i] = append(got[i], s)
		}
	}
	rate := func(i int) float64 { return medianOf(got[i], func(s sample) float64 { return s.rate }) }
	shown := func(rate float64) string {
		if c.size >= mib {
			return fmt.Sprintf("%.0f MB/s", rate*float64(c.size)/1e6)
		}
		return fmt.Sprintf("%.0f/s", rate)
	}
	times := func(i int) string {
		at := func(p float64) time.Duration {
			return time.Duration(medianOf(got[i], func(s sample) float64 { return float64(s.times[int(float64(len(s.times)-1)*p)]) })).Round(10 * time.Microsecond)
		}
		return fmt.Sprintf("%v, %v", at(0.5), at(0.99))
	}
	fmt.Printf("| %s | %s | %s | %.1f | %s | %s |\n", c.name(), shown(rate(0)), shown(rate(1)), rate(0)/rate(1), times(0), times(1))
	return nil
}

// swiftMeasure lets clients make the same kind of request for a while.
func (b *bench) swiftMeasure(to *swiftSide, c cell, fresh *numbers) (sample, error) {
	times := make([][]time.Duration, c.clients)
	clients := make([]*thin.Client, c.clients)
	bodies := make([]body, c.clients)
	for i := range clients {
		clients[i] = thin.New(to.addr, to.keys, requestMax)
		defer clients[i].Close()
		if c.op == "PUT" {
			bodies[i] = newBody(c.size)
		}
		// One request before the clock runs, so that connecting is not measured.
		if err := to.request(clients[i], c, bodies[i], fresh, 0); err != nil {
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
			if err := to.request(clients[i], c, bodies[i], fresh, random.IntN(swiftObjects[c.size])); err != nil {
				return err
			}
			times[i] = append(times[i], time.Since(at))
		}
	})
	took := time.Since(began)
	all := slices.Concat(times...)
	slices.Sort(all)
	return sample{rate: float64(len(all)) / took.Seconds(), times: all}, err
}

func (s *swiftSide) request(client *thin.Client, c cell, data body, fresh *numbers, which int) error {
	if c.op == "PUT" {
		number := fresh.next()
		data.stamp(number)
		_, err := do(client, &thin.Request{Method: "PUT", Path: fmt.Sprintf("%s/%s/%d-%d", s.path, written, c.size, number), Body: data})
		return err
	}
	answer, err := client.Do(&thin.Request{Method: "GET", Path: s.path + keptPath(c.size, which)}, func([]byte) {})
	if err == nil {
		err = answer.Err()
	}
	if err == nil && answer.Length != int64(c.size) {
		err = fmt.Errorf("%d bytes of %d", answer.Length, c.size)
	}
	return err
}

// loadNow is the machine's load, for who reads the figures.
func loadNow() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], ", ")
}
