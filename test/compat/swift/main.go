// Command swift runs the functional tests of OpenStack Swift against a Pithos that it starts, and counts beside what Swift itself makes of them.
//
//	go run ./test/compat/swift [-run EXPRESSION] [-json] [-keep] [-n 2] [-v] [-cassandra] [PART...]
//
// A part is a file of the suite ("test_slo", "tests.py"), "s3api" or "s3api/test_bucket" (the suite's S3 tests), "s3" or "s3/test_mpu" (Swift's second
// S3 suite, test/s3api), or "v3" or "v3/test_account" (with sign-in by Keystone v3). Without any, all run. Each part has a pytest of its own; -n parts run
// beside each other, each against a server of its own, because the tests of a part share accounts. test/compat/swift/setup installs the suite.
//
// counts.txt has the counts of Swift itself, skips.txt the tests that Swift skips too, and failures.txt those that may fail here, with the reason. The program exits with 1 if a
// test failed that is not listed, or was skipped that runs on Swift, or if no request reached the server. With -cassandra the
// servers keep containers, metadata and bytes on the nodes that PITHOS_TEST_CASSANDRA names, each in keyspaces of its own; test/cassandra/with starts some.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"pithos/test/nodes"
	"pithos/test/service"
)

type flags struct {
	run           string
	json, keep, v bool
	cassandra     bool
	workers       int
}

func main() {
	var f flags
	flag.StringVar(&f.run, "run", "", "only tests that fit this expression of pytest -k")
	flag.BoolVar(&f.json, "json", false, "print the results as JSON")
	flag.BoolVar(&f.keep, "keep", false, "keep servers' logs and pytest's output, and say where")
	flag.BoolVar(&f.v, "v", false, "print the whole of each failure")
	flag.IntVar(&f.workers, "n", 2, "parts that run beside each other")
	flag.BoolVar(&f.cassandra, "cassandra", false, "serve from the Cassandra nodes that PITHOS_TEST_CASSANDRA names")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	good, err := run(ctx, f, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "swift:", err)
		os.Exit(2)
	}
	if !good {
		os.Exit(1)
	}
}

// suite is where everything is.
type suite struct {
	f           flags
	dir         string // for what this run leaves behind
	home        string // this program's files
	source      string // the tests
	python      string
	binary      string
	skips, mays map[string]string
}

// outcome is what became of a part.
type outcome struct {
	part     part
	tests    []test
	requests int64 // that reached the server
	took     time.Duration
	err      error
}

// run reports whether all is as on Swift.
func run(ctx context.Context, f flags, names []string) (good bool, err error) {
	root, err := service.Root()
	if err != nil {
		return false, err
	}
	s := &suite{f: f, home: filepath.Join(root, "test/compat/swift")}
	s.source, s.python = filepath.Join(root, ".cache/swift-suite/source"), filepath.Join(root, ".cache/swift-suite/venv/bin/python")
	if out, err := exec.CommandContext(ctx, filepath.Join(s.home, "setup")).CombinedOutput(); err != nil {
		return false, fmt.Errorf("install the suite: %w\n%s", err, out)
	}
	counts, err := readCounts(filepath.Join(s.home, "counts.txt"))
	if err != nil {
		return false, err
	}
	if s.skips, err = readReasons(filepath.Join(s.home, "skips.txt")); err != nil {
		return false, err
	}
	if s.mays, err = readReasons(filepath.Join(s.home, "failures.txt")); err != nil {
		return false, err
	}
	parts, err := choose(counts, names)
	if err != nil {
		return false, err
	}
	if s.binary, err = service.Build(ctx); err != nil {
		return false, err
	}
	if s.dir, err = os.MkdirTemp("", "pithos-swift-"); err != nil {
		return false, err
	}
	if f.keep {
		fmt.Fprintln(os.Stderr, "everything is kept in", s.dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	}
	began := time.Now()
	outcomes := s.all(ctx, parts)
	r := s.judge(outcomes, f.run != "")
	r.Took = time.Since(began).Round(time.Second).String()
	if f.json {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		r.write(os.Stdout)
	}
	for _, o := range outcomes {
		err = errors.Join(err, o.err)
	}
	return r.Good, err
}

// all runs the parts, the longest first.
func (s *suite) all(ctx context.Context, parts []part) []outcome {
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return parts[order[a]].tests > parts[order[b]].tests })
	outcomes := make([]outcome, len(parts))
	next := make(chan int)
	var workers sync.WaitGroup
	for worker := range max(1, s.f.workers) {
		workers.Go(func() {
			for i := range next {
				began := time.Now()
				outcomes[i] = s.one(ctx, parts[i], worker)
				outcomes[i].part, outcomes[i].took = parts[i], time.Since(began)
				fmt.Fprintf(os.Stderr, "%s: %d tests, %v\n", parts[i].name, len(outcomes[i].tests), outcomes[i].took.Round(time.Second))
			}
		})
	}
	for _, i := range order {
		next <- i
	}
	close(next)
	workers.Wait()
	return outcomes
}

// one runs a part against a server of its own. Of the parts of one worker only one runs at a time.
func (s *suite) one(ctx context.Context, p part, worker int) (o outcome) {
	dir := filepath.Join(s.dir, strings.ReplaceAll(p.name, "/", "-"))
	if o.err = os.Mkdir(dir, 0o700); o.err != nil {
		return o
	}
	serving := options(s.binary, filepath.Join(dir, "data"))
	if s.f.cassandra {
		if serving.Config, o.err = nodes.Fresh(ctx, "swift"+strconv.Itoa(worker)); o.err != nil {
			return o
		}
		// Several gateways may share such a store, so none makes a key ring by itself.
		ring := filepath.Join(dir, "keyring.json")
		if out, err := exec.CommandContext(ctx, s.binary, "keyring", "rotate", "--file", ring).CombinedOutput(); err != nil {
			o.err = fmt.Errorf("keyring: %w\n%s", err, out)
			return o
		}
		serving.Env = append(serving.Env, "PITHOS_ENCRYPTION_KEYRING="+ring)
	}
	server, err := service.Start(ctx, serving)
	if err != nil {
		o.err = err
		return o
	}
	o.tests, o.err = s.pytest(ctx, p, dir, server)
	requests, err := answered(ctx, server)
	o.requests, o.err = requests, errors.Join(o.err, err)
	if s.f.keep {
		if log, err := os.ReadFile(server.LogPath()); err == nil {
			o.err = errors.Join(o.err, os.WriteFile(filepath.Join(dir, "server.log"), log, 0o600))
		}
	}
	if err := errors.Join(server.Stop(), server.Remove()); err != nil {
		o.err = errors.Join(o.err, fmt.Errorf("%s: %w", p.name, err))
	}
	return o
}

// pytest runs the tests of a part.
func (s *suite) pytest(ctx context.Context, p part, dir string, server *service.Service) ([]test, error) {
	config, junit := filepath.Join(dir, "test.conf"), filepath.Join(dir, "results.xml")
	if err := os.WriteFile(config, []byte(suiteConfig(server, p.v3)), 0o600); err != nil {
		return nil, err
	}
	args := []string{
		"-m", "pytest", "-q", "-p", "old_boto", "-p", "no:requests_mock", "-p", "no:cacheprovider", "--timeout=300", "--tb=short",
		"--junitxml=" + junit,
	}
	if s.f.run != "" {
		args = append(args, "-k", s.f.run)
	}
	cmd := exec.CommandContext(ctx, s.python, append(args, p.path)...)
	cmd.Dir = s.source
	// Without the two variables the suite would start a Swift of its own and test that.
	cmd.Env = append(os.Environ(), "SWIFT_TEST_IN_PROCESS=0", "SWIFT_TEST_CONFIG_FILE="+config, "SWIFT_TEST_QUIET_BOTO_LOGS=1",
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+s.home, "AWS_EC2_METADATA_DISABLED=true", "HOME="+dir)
	out, err := os.Create(filepath.Join(dir, "pytest.log"))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	runErr := cmd.Run()
	if err := out.Close(); err != nil {
		return nil, err
	}
	f, err := os.Open(junit)
	if err != nil {
		log, _ := os.ReadFile(out.Name())
		return nil, fmt.Errorf("%s: pytest: %w\n%s", p.name, errors.Join(runErr, err), log[max(0, len(log)-3000):])
	}
	tests, err := parseJUnit(f)
	return tests, errors.Join(err, f.Close())
}
