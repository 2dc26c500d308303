// Package crash_test kills the real process under load, again and again, and wants everything that was answered to be there afterwards.
//
// Clients write, overwrite, delete, copy, upload in parts and make versions; at a random moment the process gets SIGKILL. Then pithos fsck must find the
// data directory sound, the process must start again, every object whose writing was answered must have exactly those bytes, every
// object whose deletion was answered must be gone, the listing must name just what is there, and uploads that were open go on. What was under way
// may have happened or not, but never in part.
//
//	go test -count=1 -v -run TestKill ./test/crash -kills 200 [-seed N] [-clients 8]
//
// It also asks the process to end (SIGTERM) under the same load, which must be over in half a minute: then every request was answered with a
// success, which holds, or with an error, which changed nothing.
//
//	go test -count=1 -v -run TestStop ./test/crash -stops 100 [-seed N] [-clients 8]
package crash_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pithos/test/service"
)

var (
	kills   = flag.Int("kills", 5, "how often to kill the process")
	seed    = flag.Uint64("seed", 0, "seed of the run; 0 draws one")
	clients = flag.Int("clients", 8, "clients at once")
)

// A load lasts this long before the kill.
const (
	loadMin = 50 * time.Millisecond
	loadMax = 1500 * time.Millisecond
)

func TestKill(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d: repeat with -seed %d -kills %d -clients %d", *seed, *seed, *kills, *clients)
	s := start(t, "")
	workers := newWorkers(t, s)
	random := rand.New(rand.NewPCG(*seed, 0))
	var total counts
	for round := 1; round <= *kills; round++ {
		load := loadMin + time.Duration(random.Int64N(int64(loadMax-loadMin)))
		kill(s, workers, load)
		fsck(t, s)
		if err := s.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatalf("after kill %d: %v", round, err)
		}
		verify(t, s, workers)
		if t.Failed() {
			t.Fatalf("kill %d of seed %d", round, *seed)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	fsck(t, s)
	for _, w := range workers {
		total.add(w.counts)
	}
	t.Logf("%d kills survived: %v", *kills, &total)
	if total.unanswered == 0 && *kills > 1 {
		t.Error("no kill met a request under way: the load is too light to show anything")
	}
}

// start runs the program, with more lines of configuration, on an empty data directory until the test ends.
func start(t *testing.T, more string) *service.Service {
	t.Helper()
	binary, err := service.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Start(context.WithoutCancel(t.Context()), service.Options{Binary: binary, Data: filepath.Join(t.TempDir(), "data"), Config: more})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", s.LogTail())
		}
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// kill lets the workers work for a while, then ends the process.
func kill(s *service.Service, workers []*worker, load time.Duration) {
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(w.work)
	}
	timer := time.NewTimer(load)
	defer timer.Stop()
	<-timer.C
	s.Kill()
	group.Wait()
}

func fsck(t *testing.T, s *service.Service) {
	t.Helper()
	if out, err := s.Run(context.WithoutCancel(t.Context()), "fsck"); err != nil {
		t.Fatalf("fsck of seed %d: %v\n%s", *seed, err, out)
	}
}

// verify compares what is stored with what every worker knows.
func verify(t *testing.T, s *service.Service, workers []*worker) {
	t.Helper()
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(w.verify)
	}
	group.Wait()
	want := map[string]bool{}
	for _, w := range workers {
		for name, e := range w.entries {
			if e.sure.exists {
				want[name] = true
			}
		}
	}
	c := s.Client(requestMax)
	defer c.Close()
	got, err := list(c, bucket)
	if err != nil {
		t.Errorf("list: %v", err)
		return
	}
	for _, name := range got {
		if !want[name] {
			t.Errorf("the listing names %q (again), which is not there", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("the listing lacks %q", name)
	}
}
