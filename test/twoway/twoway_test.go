// Package twoway_test tortures pithos sync: two real clients keep two folders equal through a real server, while users change both at random and everything is
// killed and cut.
//
// Each thing that a user writes is a token that is written once. At the end both trees must be equal, and every token must be found, in the trees, conflict
// copies included, or in a version on the server, but for those that a user destroyed who had them before his eyes.
//
//	go test -count=1 -v -run TestTorture ./test/twoway -steps 5000 [-seed N]
package twoway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/client"
	"pithos/internal/clock"
	"pithos/test/service"
)

var (
	steps = flag.Int("steps", 120, "changes that users make")
	seed  = flag.Uint64("seed", 0, "seed of the run; 0 draws one")
)

const (
	container = "shared"
	patience  = 5 * time.Minute // for what takes a moment
	endRounds = 40              // of --once at the end
)

// machine is a client with its folder.
type machine struct {
	t      *testing.T
	name   string
	binary string
	home   string
	dir    string
	proxy  *proxy

	mu  sync.Mutex
	cmd *exec.Cmd
	out bytes.Buffer
	end chan struct{} // closed when cmd has ended
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.binary, args...)
	cmd.Dir = m.home
	cmd.Env = append(os.Environ(), "HOME="+m.home, "XDG_CONFIG_HOME="+m.home+"/config", "XDG_STATE_HOME="+m.home+"/state", "PITHOS_SECRET="+service.Admin.Secret)
	return cmd
}

func newMachine(t *testing.T, s *service.Service, name string) *machine {
	t.Helper()
	m := &machine{t: t, name: name, binary: s.Binary, home: t.TempDir(), proxy: newProxy(t, s.Swift)}
	m.dir = filepath.Join(m.home, "tree")
	if err := os.Mkdir(m.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := m.command(t.Context(), "login", m.proxy.url(), "--user", "admin:admin").CombinedOutput(); err != nil {
		t.Fatalf("login: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		m.kill(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s wrote at the end:\n%s", m.name, tail(m.out.String()))
		}
	})
	return m
}

func tail(text string) string { return text[max(0, len(text)-6000):] }

// start begins to synchronise continuously.
func (m *machine) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil {
		return
	}
	m.cmd = m.command(context.WithoutCancel(m.t.Context()), "sync", "--as", m.name, m.dir, container)
	m.cmd.Stdout, m.cmd.Stderr = &m.out, &m.out
	if err := m.cmd.Start(); err != nil {
		m.t.Error(err)
		m.cmd = nil
		return
	}
	cmd, end := m.cmd, make(chan struct{})
	m.end = end
	go func() {
		defer close(end)
		_ = cmd.Wait() // it was killed, or says in its output what happened
	}()
}

// kill ends the client, however far it is.
func (m *machine) kill(sig syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Signal(sig)
	<-m.end
	m.cmd = nil
}

// once makes the two sides equal; it reports whether there was nothing to do.
func (m *machine) once() (quiet bool) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	var out, problems bytes.Buffer
	cmd := m.command(ctx, "sync", "--once", "--json", "--as", m.name, m.dir, container)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		m.t.Logf("%s: %v\n%s%s", m.name, err, tail(out.String()), problems.String())
		return false
	}
	var end struct {
		Do      string `json:"do"`
		Done    int    `json:"done"`
		Skipped []any  `json:"skipped"`
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || end.Do != "end" {
		m.t.Fatalf("%s: %v in %s", m.name, err, lines[len(lines)-1])
	}
	if len(end.Skipped) > 0 {
		m.t.Logf("%s skips %v", m.name, end.Skipped)
	}
	return end.Done == 0
}

// tree reads a folder: contents by name. What the synchronisation made for itself must be gone.
func (m *machine) tree() map[string]string {
	m.t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(m.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == m.dir {
			return err
		}
		name, err := filepath.Rel(m.dir, p)
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".pithos-sync") {
			if d.Name() != ".pithos-sync" {
				m.t.Errorf("%s holds %s", m.name, name)
			}
			return nil
		}
		if d.IsDir() {
			tree[name] = "folder"
			return nil
		}
		raw, err := os.ReadFile(p)
		tree[name] = fmt.Sprintf("%d bytes with %v", len(raw), tokenForm.FindAllString(string(raw), -1))
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return tree
}

func start(t *testing.T) *service.Service {
	t.Helper()
	binary, err := service.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Start(context.WithoutCancel(t.Context()), service.Options{
		Binary: binary, Data: filepath.Join(t.TempDir(), "data"),
	})
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

func TestTorture(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d: repeat with -seed %d -steps %d", *seed, *seed, *steps)
	s := start(t)
	k := &tokens{written: map[string]string{}, destroyed: map[string]bool{}}
	machines := []*machine{newMachine(t, s, "anna"), newMachine(t, s, "bert")}
	for _, m := range machines {
		m.start()
	}
	var users sync.WaitGroup
	done := make(chan struct{})
	for i, m := range machines {
		u := &user{name: m.name, dir: m.dir, r: rand.New(rand.NewPCG(*seed, uint64(i))), k: k}
		users.Go(func() {
			for range *steps / len(machines) {
				u.step()
				pause(t, time.Duration(u.r.Int64N(int64(100*time.Millisecond))))
			}
		})
	}
	go func() {
		users.Wait()
		close(done)
	}()
	counts := trouble(t, s, machines, done)
	t.Logf("%d changes by users, %v", *steps, counts)
	settle(t, machines)
	check(t, machines, k, s)
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	if err := clock.Wait(t.Context(), d); err != nil {
		t.Error(err)
	}
}

// trouble kills and cuts until the users have done.
func trouble(t *testing.T, s *service.Service, machines []*machine, done <-chan struct{}) map[string]int {
	t.Helper()
	r := rand.New(rand.NewPCG(*seed, 99))
	counts := map[string]int{}
	for {
		select {
		case <-done:
			return counts
		default:
		}
		pause(t, time.Duration(r.Int64N(int64(1200*time.Millisecond))))
		m := machines[r.IntN(len(machines))]
		switch n := r.IntN(10); {
		case n < 4:
			counts["clients killed"]++
			m.kill(syscall.SIGKILL)
			pause(t, time.Duration(r.Int64N(int64(300*time.Millisecond))))
			m.start()
		case n < 5:
			counts["servers killed"]++
			s.Kill()
			pause(t, time.Duration(r.Int64N(int64(500*time.Millisecond))))
			if err := s.Restart(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
		case n < 8:
			counts["connections cut"]++
			m.proxy.cut(false)
		default:
			counts["networks down"]++
			m.proxy.cut(true)
			pause(t, time.Duration(r.Int64N(int64(time.Second))))
			m.proxy.up()
		}
	}
}

// settle lets both sides come to an end.
func settle(t *testing.T, machines []*machine) {
	t.Helper()
	for _, m := range machines {
		m.proxy.up()
		m.kill(syscall.SIGTERM)
	}
	quiet := 0
	for range endRounds {
		for _, m := range machines {
			if m.once() {
				quiet++
			} else {
				quiet = 0
			}
		}
		if quiet >= 2*len(machines) {
			return
		}
	}
	t.Error("the sides do not come to an end")
}

// check compares the trees and looks for every token.
func check(t *testing.T, machines []*machine, k *tokens, s *service.Service) {
	t.Helper()
	first := machines[0].tree()
	for _, m := range machines[1:] {
		if diff := cmp.Diff(first, m.tree()); diff != "" {
			t.Errorf("the trees of %s and %s differ (-%s +%s):\n%s", machines[0].name, m.name, machines[0].name, m.name, diff)
		}
	}
	found := map[string]bool{}
	for _, m := range machines {
		for _, token := range tokensIn(m.dir) {
			found[token] = true
		}
	}
	inTrees := len(found)
	versions := tokensOnServer(t, s, found)
	lost := 0
	for token, where := range k.written {
		if !found[token] && !k.destroyed[token] {
			lost++
			t.Errorf("%s, written as %s, is lost", token, where)
		}
	}
	conflicts := 0
	for name := range first {
		if strings.Contains(name, "(conflict ") {
			conflicts++
		}
	}
	t.Logf("%d files and folders, %d of them conflict copies; %d tokens written, %d in the trees, %d in %d versions beyond, %d destroyed by users, %d lost",
		len(first), conflicts, len(k.written), inTrees, len(found)-inTrees, versions, len(k.destroyed), lost)
}

// tokensOnServer adds the tokens of all versions of all objects, of those that are deleted too.
func tokensOnServer(t *testing.T, s *service.Service, found map[string]bool) (versions int) {
	t.Helper()
	c, err := client.SignIn(t.Context(), s.SwiftURL(), "admin:admin", service.Admin.Secret, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	box := c.Container(container)
	for point, more := "", true; more; {
		list, err := box.Changes(t.Context(), point, client.ChangesOptions{})
		if err != nil {
			t.Fatal(err)
		}
		more = list.More && list.Next != point
		point = list.Next
		for _, change := range list.Changes {
			if change.Deleted {
				continue
			}
			body, _, err := box.Open(t.Context(), change.Name, change.Version)
			if err != nil {
				t.Fatalf("version %d of %s: %v", change.Version, change.Name, err)
			}
			raw, err := io.ReadAll(body)
			if err != nil {
				t.Fatalf("version %d of %s: %v", change.Version, change.Name, err)
			}
			_ = body.Close()
			versions++
			for _, token := range tokenForm.FindAllString(string(raw), -1) {
				found[token] = true
			}
		}
	}
	return versions
}
