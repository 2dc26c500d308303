// Command syncfigures measures what pithos sync --once needs, in time and in bytes on the wire, beside rsync and rclone: for a file of 1 GiB with nothing new, with one
// changed byte and with 1 MiB appended, and for a renamed folder of 10,000 files; and what pithos put needs for the same file. It writes Markdown, and each figure to
// standard error when it is known.
//
// Bytes are counted at a proxy that all traffic goes through, in both directions. rsync talks to its own daemon, rclone to the S3 API of the same server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"pithos/test/service"
)

var (
	size  = flag.Int64("size", 1<<30, "bytes of the large file")
	files = flag.Int("files", 10_000, "files in the folder that is renamed")
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "syncfigures:", err)
		os.Exit(1)
	}
}

// tool is a way to make a copy of a folder follow it.
type tool struct {
	name  string
	wire  *counter
	sync  func(ctx context.Context, dir string) error
	end   func()
	large bool // it is for the large file alone
}

// cells are the figures, by what was done and by tool.
type cells map[string]map[string]string

func run(ctx context.Context) (err error) {
	home, err := os.MkdirTemp("", "syncfigures-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	binary, err := service.Build(ctx)
	if err != nil {
		return err
	}
	s, err := service.Start(ctx, service.Options{Binary: binary, Data: filepath.Join(home, "data")})
	if err != nil {
		return err
	}
	defer func() { s.Kill(); err = errors.Join(err, s.Remove()) }()
	var tools []*tool
	for _, start := range []func(context.Context, *service.Service, string) (*tool, error){pithosTool, rsyncTool, rcloneTool, putTool} {
		t, err := start(ctx, s, home)
		if err != nil {
			return err
		}
		if t.end != nil {
			defer t.end()
		}
		tools = append(tools, t)
	}
	table := cells{}
	for _, t := range tools {
		if err := t.measure(ctx, filepath.Join(home, t.name), table); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	show(tools, table)
	return nil
}

// show writes the table.
func show(tools []*tool, table cells) {
	fmt.Print("| what |")
	for _, t := range tools {
		fmt.Printf(" %s |", t.name)
	}
	fmt.Println("\n|---|" + strings.Repeat("---|", len(tools)))
	for _, step := range steps("") {
		fmt.Printf("| %s |", step.what)
		for _, t := range tools {
			fmt.Printf(" %s |", table[step.what][t.name])
		}
		fmt.Println()
	}
}

// step is a change that is to be followed.
type step struct {
	what string
	do   func() error
	many bool // it is about many files
}

func steps(dir string) []step {
	large := filepath.Join(dir, "large")
	return []step{
		{what: fmt.Sprintf("first time, %d MiB", *size>>20), do: func() error { return makeLarge(large) }},
		{what: "nothing new", do: func() error { return nil }},
		{what: "one byte changed", do: func() error { return writeAt(large, *size/2+12345, []byte("x")) }},
		{what: "1 MiB appended", do: func() error { return writeAt(large, *size, random(1<<20, uint64(1000+len(dir)))) }},
		{what: fmt.Sprintf("%d new files", *files), do: func() error { return makeMany(filepath.Join(dir, "many")) }, many: true},
		{what: "their folder renamed", do: func() error { return os.Rename(filepath.Join(dir, "many"), filepath.Join(dir, "renamed")) }, many: true},
	}
}

// measure takes one tool through all changes.
func (t *tool) measure(ctx context.Context, dir string, table cells) error {
	for _, step := range steps(dir) {
		if t.large && step.many {
			continue
		}
		if err := step.do(); err != nil {
			return err
		}
		t.wire.n.Store(0)
		began := time.Now()
		if err := t.sync(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if table[step.what] == nil {
			table[step.what] = map[string]string{}
		}
		figure := fmt.Sprintf("%.2f s, %s", time.Since(began).Seconds(), count(t.wire.n.Load()))
		table[step.what][t.name] = figure
		fmt.Fprintf(os.Stderr, "%s, %s: %s\n", t.name, step.what, figure)
	}
	return os.RemoveAll(dir)
}

func count(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	case n >= 100<<10:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

func random(n int64, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

func makeLarge(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	var seed [32]byte
	copy(seed[:], filepath.Base(filepath.Dir(name))) // other bytes for each tool: equal ones would be there already
	_, err = io.CopyN(f, rand.NewChaCha8(seed), *size)
	return errors.Join(err, f.Close())
}

func writeAt(name string, at int64, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, at)
	return errors.Join(err, f.Close())
}

func makeMany(dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	for i := range *files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%05d", i)), random(200, uint64(i)), 0o666); err != nil {
			return err
		}
	}
	return nil
}

func pithosTool(ctx context.Context, s *service.Service, home string) (*tool, error) {
	wire, command, err := pithosCommand(ctx, s, home)
	if err != nil {
		return nil, err
	}
	return &tool{name: "pithos sync", wire: wire, sync: func(ctx context.Context, dir string) error { return command(ctx, "sync", "--once", dir, "figures") }}, nil
}

func putTool(ctx context.Context, s *service.Service, home string) (*tool, error) {
	wire, command, err := pithosCommand(ctx, s, filepath.Join(home, "put"))
	if err != nil {
		return nil, err
	}
	return &tool{name: "pithos put", wire: wire, large: true, sync: func(ctx context.Context, dir string) error {
		return command(ctx, "put", filepath.Join(dir, "large"), "put/")
	}}, nil
}

// pithosCommand is the command line, signed in.
func pithosCommand(ctx context.Context, s *service.Service, home string) (*counter, func(ctx context.Context, args ...string) error, error) {
	wire, err := newCounter(s.Swift)
	if err != nil {
		return nil, nil, err
	}
	command := func(ctx context.Context, args ...string) error {
		cmd := exec.CommandContext(ctx, s.Binary, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home+"/config", "XDG_STATE_HOME="+home+"/state", "PITHOS_SECRET="+service.Admin.Secret)
		return ran(cmd)
	}
	return wire, command, command(ctx, "login", "http://"+wire.addr, "--user", "admin:admin")
}

func rsyncTool(ctx context.Context, _ *service.Service, home string) (*tool, error) {
	addr, err := service.FreeAddress()
	if err != nil {
		return nil, err
	}
	target := filepath.Join(home, "rsync-target")
	if err := os.Mkdir(target, 0o777); err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(addr, ":")
	conf := filepath.Join(home, "rsyncd.conf")
	text := fmt.Sprintf("address = %s\nport = %s\nuse chroot = no\n[target]\npath = %s\nread only = no\nuid = %d\ngid = %d\n", host, port, target, os.Getuid(), os.Getgid())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	daemon := exec.CommandContext(ctx, "rsync", "--daemon", "--no-detach", "--config", conf)
	if err := daemon.Start(); err != nil {
		return nil, err
	}
	end := func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait() // it was killed
	}
	wire, err := newCounter(addr)
	if err != nil {
		end()
		return nil, err
	}
	return &tool{name: "rsync", wire: wire, end: end, sync: func(ctx context.Context, dir string) error {
		return ran(exec.CommandContext(ctx, "rsync", "-a", "--delete", dir+"/", "rsync://"+wire.addr+"/target/"))
	}}, nil
}

func rcloneTool(_ context.Context, s *service.Service, home string) (*tool, error) {
	wire, err := newCounter(s.Addr)
	if err != nil {
		return nil, err
	}
	return &tool{name: "rclone", wire: wire, sync: func(ctx context.Context, dir string) error {
		cmd := exec.CommandContext(ctx, "rclone", "sync", dir, "p:figures-rclone", "--config", filepath.Join(home, "no-rclone.conf"), "--fast-list", "--transfers", "4")
		cmd.Env = append(plainEnviron(), "RCLONE_CONFIG_P_TYPE=s3", "RCLONE_CONFIG_P_PROVIDER=Other", "RCLONE_CONFIG_P_ENDPOINT=http://"+wire.addr, "RCLONE_CONFIG_P_ACCESS_KEY_ID="+service.Admin.Access,
			"RCLONE_CONFIG_P_SECRET_ACCESS_KEY="+service.Admin.Secret, "RCLONE_CONFIG_P_REGION=us-east-1", "RCLONE_CONFIG_P_FORCE_PATH_STYLE=true")
		return ran(cmd)
	}}, nil
}

// plainEnviron is the environment without settings for AWS, which rclone would take for its own.
func plainEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
}

func ran(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out[max(0, len(out)-2000):])
	}
	return nil
}

// counter is a proxy that counts the bytes it passes on, in both directions.
type counter struct {
	addr string
	n    atomic.Int64
}

func newCounter(target string) (*counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{addr: l.Addr().String()}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.pass(in, target)
		}
	}()
	return c, nil
}

func (c *counter) pass(in net.Conn, target string) {
	out, err := net.Dial("tcp", target)
	if err != nil {
		_ = in.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(counted{out, &c.n}, in) // the other direction ends too
		_ = out.Close()
	}()
	_, _ = io.Copy(counted{in, &c.n}, out)
	_ = in.Close()
	<-done
}

type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}
