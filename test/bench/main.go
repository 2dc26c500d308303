// Command bench measures a running Pithos beside its limits and prints Markdown, as in docs/performance.md.
//
//	go run ./test/bench [-sections speed,list,memory,swift,cassandra] [-rounds 3] [-time 1s] [-names 1000000] [-dir DIR]
//
// Everything is measured in one run, on one machine, by one thin client over loopback: Pithos, with an fsync before each answer to a PUT; beside it
// a bare net/http server that drops what it gets and serves the same bytes from memory; the disk under the data directory; the two hashes that
// each stored byte passes. Rounds of Pithos and bare alternate, and the median counts. The section
// swift runs OpenStack Swift from Debian beside Pithos (test/bench/setup installs it). The whole takes about ten minutes and 15 GB of disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"pithos/test/service"
)

// bench is one run.
type bench struct {
	ctx    context.Context //nolint:containedctx // the program's, for the whole run
	dir    string          // for data directories; on the disk to measure
	binary string

	sections string
	rounds   int
	span     time.Duration // of one measurement
	names    int           // in the large bucket
	cell     string        // measure only cells whose name contains this
	profiles string        // folder for CPU profiles of the service, "" for none
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareArg {
		if err := serveBare(); err != nil {
			fmt.Fprintln(os.Stderr, "bare:", err)
			os.Exit(1)
		}
		return
	}
	var b bench
	dir := flag.String("dir", "", "folder for the data, on the disk to measure (default: the folder for temporary files)")
	flag.StringVar(&b.sections, "sections", "speed,list,memory,swift", "what to measure; also: cassandra, on the nodes that PITHOS_TEST_CASSANDRA names")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds of each measurement")
	flag.DurationVar(&b.span, "time", time.Second, "time of one measurement")
	flag.IntVar(&b.names, "names", 1_000_000, "names in the large bucket of the section list; a multiple of 100")
	flag.StringVar(&b.cell, "cell", "", "of the sections speed, swift and cassandra, only rows whose name contains this, as in \"GET 4 KiB\"")
	flag.StringVar(&b.profiles, "profiles", "", "of the section speed, folder for CPU profiles of the service, one per row")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := b.run(ctx, *dir)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, dir string) (err error) {
	b.ctx = ctx
	if b.binary, err = service.Build(ctx); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(dir, "pithos-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	began := time.Now()
	fmt.Printf("%s, %d cores, %s, %s\n", cpuName(), runtime.NumCPU(), runtime.Version(), began.UTC().Format(time.DateOnly))
	parts := map[string]func() error{"speed": b.speed, "list": b.list, "memory": b.memory, "swift": b.swift, "cassandra": b.cassandra}
	for name := range strings.SplitSeq(b.sections, ",") {
		part := parts[name]
		if part == nil {
			return fmt.Errorf("no section %q", name)
		}
		if err := part(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	fmt.Printf("\nThe run took %v.\n", time.Since(began).Round(time.Second))
	return nil
}

// with runs f beside a service with a data directory of its own, which is removed afterwards.
func (b *bench) with(f func(*service.Service) error) (err error) {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	// Logs of single requests would be measured too; operators who care about speed turn them off the same way.
	s, err := service.Start(b.ctx, service.Options{Binary: b.binary, Data: filepath.Join(data, "data"), Config: "log:\n  level: warn\n"})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; the server's log ends:\n%s", err, s.LogTail())
		}
		s.Kill()
		err = errors.Join(err, s.Remove())
	}()
	return f(s)
}

func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t: "))
		}
	}
	return "unknown processor"
}
