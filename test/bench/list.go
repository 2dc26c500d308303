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
		fmt.Println("| listing, one client | pages/s | time of a page |\n|---|---|---|")
		flat := func(l listed) func(*rand.Rand) string {
			return func(random *rand.Rand) string {
				after := l.name(random.IntN(l.each*prefixes - pageSize))
				return "list-type=2&max-keys=1000&start-after=" + thin.Escape(after, false)
			}
		}
		folders := func(*rand.Rand) string { return "delimiter=%2F&list-type=2&max-keys=1000" }
		var times []float64
		for _, row := range []struct {
			name  string
			l     listed
			query func(*rand.Rand) string
			want  string
			count int
		}{
			{fmt.Sprintf("1,000 names out of %d", large.each*prefixes), large, flat(large), "<Key>", pageSize},
			{fmt.Sprintf("1,000 names out of %d", small.each*prefixes), small, flat(small), "<Key>", pageSize},
			{fmt.Sprintf("100 folders with %d names each", large.each), large, folders, "<CommonPrefixes>", prefixes},
			{fmt.Sprintf("100 folders with %d names each", hundred.each), hundred, folders, "<CommonPrefixes>", prefixes},
		} {
			rate, err := b.pages(s, row.l.bucket, row.query, row.want, row.count)
			if err != nil {
				return fmt.Errorf("%s: %w", row.name, err)
			}
			times = append(times, 1/rate)
			fmt.Printf("| %s | %.0f | %v |\n", row.name, rate, time.Duration(float64(time.Second)/rate).Round(time.Microsecond))
		}
		fmt.Printf("\nA page out of the large bucket costs %.2f times one out of the small; folders with many names %.2f times folders with few.\n",
			times[0]/times[1], times[2]/times[3])
		return b.starts(s, total)
	})
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

// pages measures how many pages one client gets per second: the median over the rounds. Each page must have so many of an element.
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
	var rates []float64
	for range b.rounds {
		if err := page(); err != nil {
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
		rates = append(rates, float64(count)/time.Since(began).Seconds())
	}
	return median(rates), nil
}

// starts measures the time from starting the process to its first answer.
func (b *bench) starts(s *service.Service, total int) error {
	stop := func() error { return s.Stop() }
	kill := func() error { s.Kill(); return nil }
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
		fmt.Printf("\nStart with %d objects, after %s, to the first answer: %.0f ms.\n", total, end.name, 1000*median(times))
	}
	return nil
}
