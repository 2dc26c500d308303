package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

const (
	prefixes = 100 // folders of each bucket
	pageSize = 1000
	loaders  = 32 // clients that fill buckets
)

// listed is a bucket to list: names "pNN/nNNNNNN" in 100 folders.
type listed struct {
	bucket string
	each   int // names in each folder
}

func (l listed) name(i int) string { return fmt.Sprintf("p%02d/n%06d", i/l.each, i%l.each) }

// list compares pages out of a large bucket with the same pages out of small ones, and measures the start with that many objects.
func (b *bench) list() error {
	large, small, hundred := listed{"large", b.names / prefixes}, listed{"small", 20}, listed{"hundred", 100}
	return b.with(func(s *service.Service) error {
		began := time.Now()
		total := 0
		for _, l := range []listed{small, hundred, large} {
			if err := fill(s, l); err != nil {
				return err
			}
			total += l.each * prefixes
		}
		took := time.Since(began)
		fmt.Printf("\n%d objects were put by %d clients in %v, %.0f/s.\n\n", total, loaders, took.Round(time.Second), float64(total)/took.Seconds())
		if err := b.listings(s, large, small, hundred); err != nil {
			return err
		}
		return b.starts(s, total)
	})
}

// The aims of the section.
const (
	pagesAim = 400 // per second, of 1,000 names out of the large bucket
	slowAim  = 2   // times that a page out of the large bucket, or of larger folders, may take
	startAim = 1   // seconds
)

func (b *bench) listings(s *service.Service, large, small, hundred listed) error {
	flat := func(l listed) func(*rand.Rand) string {
		return func(random *rand.Rand) string {
			after := l.name(random.IntN(l.each*prefixes - pageSize))
			return "list-type=2&max-keys=1000&start-after=" + thin.Escape(after, false)
		}
	}
	folders := func(*rand.Rand) string { return "delimiter=%2F&list-type=2&max-keys=1000" }
	rows := []struct {
		name  string
		l     listed
		query func(*rand.Rand) string
		want  string
		count int
		rates []float64
	}{
		{fmt.Sprintf("1,000 names out of %d", small.each*prefixes), small, flat(small), "<Key>", pageSize, nil},
		{fmt.Sprintf("1,000 names out of %d", large.each*prefixes), large, flat(large), "<Key>", pageSize, nil},
		{fmt.Sprintf("100 folders with %d names each", hundred.each), hundred, folders, "<CommonPrefixes>", prefixes, nil},
		{fmt.Sprintf("100 folders with %d names each", large.each), large, folders, "<CommonPrefixes>", prefixes, nil},
	}
	for range b.rounds {
		for i := range rows {
			r := &rows[i]
			rate, err := b.pages(s, r.l.bucket, r.query, r.want, r.count)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			r.rates = append(r.rates, rate)
		}
	}
	fmt.Println("| listing, one client | pages/s | time of a page | aim, share reached |\n|---|---|---|---|")
	for i, r := range rows {
		rate, aim := median(r.rates), ""
		if i == 1 {
			aim = reached(fmt.Sprintf(">= %d pages/s", pagesAim), rate/pagesAim) + "; "
		}
		if i%2 == 1 {
			times := median(rows[i-1].rates) / rate
			aim += reached(fmt.Sprintf("<= %d times the row before (it takes %.2f)", slowAim, times), slowAim/times)
		}
		fmt.Printf("| %s | %.0f | %v | %s |\n", r.name, rate, time.Duration(float64(time.Second)/rate).Round(time.Microsecond), aim)
	}
	return nil
}

// fill makes a bucket and puts empty objects.
func fill(s *service.Service, l listed) error {
	c := s.Client(requestMax)
	defer c.Close()
	if _, err := do(c, &thin.Request{Method: "PUT", Path: "/" + l.bucket}); err != nil {
		return err
	}
	return parallel(loaders, func(loader int) error {
		c := s.Client(requestMax)
		defer c.Close()
		for i := loader; i < l.each*prefixes; i += loaders {
			if _, err := do(c, &thin.Request{Method: "PUT", Path: "/" + l.bucket + "/" + l.name(i), Payload: thin.Unsigned}); err != nil {
				return err
			}
		}
		return nil
	})
}

// pages measures how many pages one client gets per second. Each page must have so many of an element.
func (b *bench) pages(s *service.Service, bucket string, query func(*rand.Rand) string, element string, want int) (float64, error) {
	c := s.Client(requestMax)
	defer c.Close()
	random := rand.New(rand.NewPCG(3, 4))
	page := func() error {
		answer, err := do(c, &thin.Request{Method: "GET", Path: "/" + bucket, Query: query(random)})
		if err != nil {
			return err
		}
		if got := bytes.Count(answer.Body, []byte(element)); got != want {
			return fmt.Errorf("a page has %d of %s, want %d", got, element, want)
		}
		return nil
	}
	if err := page(); err != nil { // connecting is not measured
		return 0, err
	}
	count := 0
	began := time.Now()
	for time.Since(began) < b.span {
		if err := page(); err != nil {
			return 0, err
		}
		count++
	}
	return float64(count) / time.Since(began).Seconds(), nil
}

// starts measures the time from starting the process to its first answer.
func (b *bench) starts(s *service.Service, total int) error {
	stop := func() error { return s.Stop() }
	kill := func() error { s.Kill(); return nil }
	fmt.Println("\n| start | to the first answer | aim, share reached |\n|---|---|---|")
	for _, end := range []struct {
		name string
		do   func() error
	}{{"SIGTERM", stop}, {"SIGKILL", kill}} {
		var times []float64
		for range b.rounds {
			if err := end.do(); err != nil {
				return err
			}
			began := time.Now()
			if err := s.Restart(b.ctx); err != nil {
				return err
			}
			times = append(times, time.Since(began).Seconds())
		}
		took := median(times)
		fmt.Printf("| with %d objects, after %s | %.0f ms | %s |\n", total, end.name, 1000*took, reached(fmt.Sprintf("< %d s", startAim), startAim/took))
	}
	return nil
}
