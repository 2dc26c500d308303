// Command compat runs ceph/s3-tests against a Pithos that it starts, and counts by group.
//
//	go run ./test/compat -suite CHECKOUT [-core] [-group NAME] [-run TEXT] [-n 4] [-cassandra [-gateways 2]]
//
// The suite is not part of this repository. s3-tests.txt, beside this file, lists the tests that apply, in groups; "core" groups need only
// objects, buckets, versions, uploads, conditions and signatures. It makes a Python environment in .cache, a configuration with the users that
// the suite expects, and prints a Markdown table and each failure with the first line of its cause. It exits with 1 if a test failed. With -cassandra the
// server keeps buckets, metadata and bytes on the nodes that PITHOS_TEST_CASSANDRA names, in keyspaces of its own; test/cassandra/with starts some. With
// -gateways there are several servers on them, and each connection of the suite goes to the next one.
package main

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pithos/test/nodes"
	"pithos/test/service"
)

type flags struct {
	suite, group, run, list string
	core, keep, cassandra   bool
	processes, gateways     int
}

func main() {
	var f flags
	flag.StringVar(&f.suite, "suite", "", "checkout of ceph/s3-tests")
	flag.StringVar(&f.list, "list", "test/compat/s3-tests.txt", "tests to run, by group")
	flag.BoolVar(&f.core, "core", false, "only the core groups")
	flag.StringVar(&f.group, "group", "", "only this group")
	flag.StringVar(&f.run, "run", "", "only tests whose name contains this")
	flag.IntVar(&f.processes, "n", 4, "processes of pytest; 0 runs in one, in order")
	flag.BoolVar(&f.keep, "keep", false, "keep the data directory, the server's log and pytest's output, and say where")
	flag.BoolVar(&f.cassandra, "cassandra", false, "serve from the Cassandra nodes that PITHOS_TEST_CASSANDRA names")
	flag.IntVar(&f.gateways, "gateways", 1, "with -cassandra: servers that share the nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	failed, err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// run returns how many tests failed.
func run(ctx context.Context, f flags) (failed int, err error) {
	if f.gateways > 1 && !f.cassandra {
		return 0, errors.New("-gateways needs -cassandra: servers share nothing else")
	}
	if f.suite == "" {
		return 0, errors.New("say where the suite is: -suite CHECKOUT, or make s3-tests S3TESTS=CHECKOUT")
	}
	text, err := os.ReadFile(f.list)
	if err != nil {
		return 0, err
	}
	groups, err := parseList(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.list, err)
	}
	groups = choose(groups, f)
	python, err := environment(ctx)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "pithos-compat-")
	if err != nil {
		return 0, err
	}
	if f.keep {
		fmt.Println("everything is kept in", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	s, err := start(ctx, dir, f)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	results, err := runAll(ctx, f, python, dir, s.addr, groups)
	err = errors.Join(err, s.stop(dir, f.keep))
	if len(results) == 0 {
		return 0, errors.Join(err, errors.New("pytest reported no test"))
	}
	failed = report(os.Stdout, groups, results)
	fmt.Printf("\ntook %v in %d processes\n", time.Since(began).Round(time.Second), max(1, f.processes))
	return failed, err
}

func choose(groups []group, f flags) []group {
	var chosen []group
	for _, g := range groups {
		if f.core && !g.core || f.group != "" && g.name != f.group {
			continue
		}
		g.tests = slices.DeleteFunc(slices.Clone(g.tests), func(name string) bool { return !strings.Contains(name, f.run) })
		if len(g.tests) > 0 {
			chosen = append(chosen, g)
		}
	}
	return chosen
}

// environment makes the Python environment, once for each version of requirements.txt, and returns the interpreter's path.
func environment(ctx context.Context) (string, error) {
	root, err := service.Root()
	if err != nil {
		return "", err
	}
	requirements := filepath.Join(root, "test/compat/requirements.txt")
	want, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	venv := filepath.Join(root, ".cache/compat")
	python, stamp := filepath.Join(venv, "bin/python"), filepath.Join(venv, "requirements.done")
	if done, err := os.ReadFile(stamp); err == nil && string(done) == string(want) {
		return python, nil
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", venv},
		{python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return python, os.WriteFile(stamp, want, 0o600)
}

// kmsKeys are the keys of the key service that the suite uses.
var kmsKeys = [...]string{"pithos-test-key-1", "pithos-test-key-2"}

// The users that the suite wants, by section of its configuration.
var users = []struct {
	section string
	extra   string // more lines of the section
	user    service.User
}{
	{"s3 main", "api_name = us-east-1\nlc_debug_interval = 2\nkms_keyid = " + kmsKeys[0] + "\nkms_keyid2 = " + kmsKeys[1] + "\n", service.User{
		Name: "main", Access: "COMPATMAIN0000000001", Secret: "main/secret00000000000000000000000000001",
		Display: "M. Tester", Canonical: strings.Repeat("1a", 32), Email: "tester@example.com",
	}},
	{"s3 alt", "", service.User{
		Name: "alt", Access: "COMPATALT00000000001", Secret: "alt/secret000000000000000000000000000001",
		Display: "john.doe", Canonical: strings.Repeat("2b", 32), Email: "john.doe@example.com",
	}},
	{"s3 tenant", "tenant = testx\n", service.User{
		Name: "tenant", Access: "COMPATTENANT00000001", Secret: "tenant/secret000000000000000000000000001",
		Display: "testx-tenant", Canonical: strings.Repeat("3c", 32), Email: "tenant@example.com",
	}},
	{"iam", "", service.User{
		Name: "iam", Access: "COMPATIAM00000000001", Secret: "iam/secret000000000000000000000000000001",
		Display: "iam-user", Canonical: strings.Repeat("4d", 32), Email: "iam@example.com",
	}},
	{"iam root", "", service.User{
		Name: "root", Access: "COMPATROOT0000000001", Secret: "root/secret00000000000000000000000000001",
		Display: "iam-root", Canonical: strings.Repeat("5e", 32), Email: "root@example.com",
	}},
	{"iam alt root", "", service.User{
		Name: "altroot", Access: "COMPATALTROOT0000001", Secret: "altroot/secret00000000000000000000000001",
		Display: "iam-alt-root", Canonical: strings.Repeat("6f", 32), Email: "altroot@example.com",
	}},
}

// servers are what the suite runs against.
type servers struct {
	addr  string
	all   []*service.Service
	front *service.Front // nil: there is one
}

// stop ends them; with keep their logs stay.
func (s *servers) stop(dir string, keep bool) (err error) {
	if s.front != nil {
		err = s.front.Close()
	}
	for i, each := range s.all {
		if keep {
			if log, readErr := os.ReadFile(each.LogPath()); readErr == nil {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("server%d.log", i)), log, 0o600))
			}
		}
		err = errors.Join(err, each.Stop(), each.Remove())
	}
	return err
}

func start(ctx context.Context, dir string, f flags) (*servers, error) {
	o, err := options(ctx, dir, f.cassandra)
	if err != nil {
		return nil, err
	}
	s := &servers{}
	var addrs []string
	for i := range max(1, f.gateways) {
		o.Data = filepath.Join(dir, fmt.Sprintf("data%d", i))
		one, err := service.Start(ctx, o)
		if err != nil {
			return nil, errors.Join(err, s.stop(dir, f.keep))
		}
		s.all, addrs = append(s.all, one), append(addrs, one.Addr)
	}
	if s.addr = addrs[0]; len(addrs) > 1 {
		if s.front, err = service.NewFront(addrs...); err != nil {
			return nil, errors.Join(err, s.stop(dir, f.keep))
		}
		s.addr = s.front.Addr()
	}
	return s, nil
}

// options are those of a server for the suite, without its data directory.
func options(ctx context.Context, dir string, cassandra bool) (o service.Options, err error) {
	binary, err := service.Build(ctx)
	if err != nil {
		return o, err
	}
	keys := filepath.Join(dir, "kms.json")
	for _, name := range kmsKeys {
		if out, err := exec.CommandContext(ctx, binary, "keyring", "add", name, "--file", keys).CombinedOutput(); err != nil {
			return o, fmt.Errorf("keyring: %w\n%s", err, out)
		}
	}
	o = service.Options{Binary: binary, Env: []string{
		"PITHOS_TESTING_LIFECYCLE_DAY=2s", // as lc_debug_interval
		"PITHOS_TESTING_SSE_OVER_HTTP=true", "PITHOS_ENCRYPTION_KMS_KIND=file", "PITHOS_ENCRYPTION_KMS_FILE=" + keys,
	}}
	for _, each := range users {
		o.Users = append(o.Users, each.user)
	}
	if cassandra {
		if o.Config, err = nodes.Fresh(ctx, "compat"); err != nil {
			return o, err
		}
		ring := filepath.Join(dir, "keyring.json") // several gateways may share such a store, so none makes a ring by itself
		if out, err := exec.CommandContext(ctx, binary, "keyring", "rotate", "--file", ring).CombinedOutput(); err != nil {
			return o, fmt.Errorf("keyring: %w\n%s", err, out)
		}
		o.Env = append(o.Env, "PITHOS_ENCRYPTION_KEYRING="+ring)
	}
	return o, nil
}

// suiteConfig writes the suite's configuration.
func suiteConfig(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[DEFAULT]\nhost = %s\nport = %s\nis_secure = False\nssl_verify = False\n\n", host, port)
	b.WriteString("[fixtures]\nbucket prefix = compat-{random}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/\n\n")
	for _, each := range users {
		u := each.user
		fmt.Fprintf(&b, "[%s]\ndisplay_name = %s\nuser_id = %s\nemail = %s\naccess_key = %s\nsecret_key = %s\n%s\n",
			each.section, u.Display, u.Canonical, u.Email, u.Access, u.Secret, each.extra)
	}
	b.WriteString("[webidentity]\ntoken = none\naud = none\nsub = none\nazp = none\nuser_token = none\nthumbprint = none\nKC_REALM = none\n")
	return b.String(), nil
}

// runAll runs the chosen tests, at first those that may run beside each other, and returns their results by name, "file.py::test".
func runAll(ctx context.Context, f flags, python, dir, addr string, groups []group) (map[string]result, error) {
	var together, alone []string
	for _, g := range groups {
		for _, name := range g.tests {
			if g.alone[name] {
				alone = append(alone, name)
			} else {
				together = append(together, name)
			}
		}
	}
	results := map[string]result{}
	for _, names := range [][]string{together, alone} {
		if len(names) == 0 {
			continue
		}
		part, err := pytest(ctx, f, python, dir, addr, names)
		if err != nil {
			return results, err
		}
		maps.Copy(results, part)
		f.processes = 0
	}
	return results, nil
}

// pytest runs tests by name.
func pytest(ctx context.Context, f flags, python, dir, addr string, tests []string) (map[string]result, error) {
	config, err := suiteConfig(addr)
	if err != nil {
		return nil, err
	}
	var names strings.Builder
	for _, name := range tests {
		fmt.Fprintf(&names, "s3tests/functional/%s\n", name)
	}
	files := map[string]string{"suite.conf": config, "names": names.String()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	junit := filepath.Join(dir, "results.xml")
	limit := "180" // seconds for one test
	if f.cassandra {
		limit = "1800" // some put a thousand objects, and the nodes share the machine with the suite
	}
	args := []string{
		"-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=" + limit, "--tb=short",
		"--junitxml=" + junit, "@" + filepath.Join(dir, "names"),
	}
	if f.processes > 0 {
		args = append(args, "-n", strconv.Itoa(f.processes))
	}
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Dir = f.suite
	cmd.Env = append(os.Environ(), "S3TEST_CONF="+filepath.Join(dir, "suite.conf"), "PYTHONDONTWRITEBYTECODE=1",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true")
	out, err := os.OpenFile(filepath.Join(dir, "pytest.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	runErr := cmd.Run()
	if err := out.Close(); err != nil {
		return nil, err
	}
	xmlFile, err := os.Open(junit)
	if err != nil {
		log, _ := os.ReadFile(out.Name())
		return nil, fmt.Errorf("pytest: %w\n%s", errors.Join(runErr, err), log[max(0, len(log)-3000):])
	}
	results, err := parseJUnit(xmlFile)
	return results, errors.Join(err, xmlFile.Close())
}

// result is what became of a test.
type result struct {
	passed bool
	cause  string // first line of the failure, or why it was skipped
}

func parseJUnit(in io.Reader) (map[string]result, error) {
	type outcome struct {
		Message string `xml:"message,attr"`
	}
	var suites struct {
		Cases []struct {
			Class   string   `xml:"classname,attr"`
			Name    string   `xml:"name,attr"`
			Failure *outcome `xml:"failure"`
			Error   *outcome `xml:"error"`
			Skipped *outcome `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.NewDecoder(in).Decode(&suites); err != nil {
		return nil, fmt.Errorf("results of pytest: %w", err)
	}
	results := map[string]result{}
	for _, c := range suites.Cases {
		name := c.Class[strings.LastIndexByte(c.Class, '.')+1:] + ".py::" + c.Name
		r := result{passed: true}
		for what, o := range map[string]*outcome{"": c.Failure, "error around the test: ": c.Error, "skipped: ": c.Skipped} {
			if o != nil {
				line, _, _ := strings.Cut(strings.TrimSpace(o.Message), "\n")
				r = result{cause: what + line}
			}
		}
		// A test that passed may be listed again because its clean-up failed.
		if old, ok := results[name]; !ok || old.passed {
			results[name] = r
		}
	}
	return results, nil
}
