// Package service builds and runs the real pithos program, for tests and measurements that look at it from outside.
package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pithos/test/thin"
)

const (
	startMax = 60 * time.Second // a start slower than this has failed
	stopMax  = 60 * time.Second // and so has a stop
	triesMax = 5                // ports tried: another process may take a free one before the service does
)

// User is a user of the file keystore.
type User struct {
	Name, Access, Secret      string
	Display, Canonical, Email string
	Account                   string

	Password string
	Roles    []string // nil: administrator of the account
	More     string   // further lines of the user, as YAML with its indentation of six
}

// Admin is the user that every service of this package has.
var Admin = thin.Keys{Access: "TESTACCESSKEY0000001", Secret: "test/secret+key000000000000000000000001", Region: "us-east-1"}

// Options say what to run.
type Options struct {
	Binary string // path of the program; see Build
	Data   string // data directory
	Users  []User // besides Admin
	Config string // more lines of configuration, as YAML
	// Keystore is the lines of the section keystore, with their indentation of two, in the place of a file with Admin and Users.
	Keystore string
	Domain   string // for virtual-host addressing; "" for none

	Host      string        // address on loopback to listen on; "": 127.0.0.1, where another test may take the port while the process is down
	Listen    string        // address of the S3 API; "" for a free one
	OpenStack string        // more lines of the section openstack, with their indentation of two
	Env       []string      // more variables
	StartMax  time.Duration // a start slower than this has failed; 0: a minute
	// Plain starts without a configuration file, as a new user does: users, keys and all but the addresses are what the program makes itself.
	Plain bool
}

// Service is a running pithos.
type Service struct {
	Options

	Addr  string // host:port of the S3 API
	Swift string // of the OpenStack API
	Admin string // of the admin API

	dir  string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when the process has ended
	err  error         // why; valid after done
}

// Root is the folder of the module that the working directory belongs to.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(text, []byte("module pithos\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the working directory is not inside the module")
		}
		dir = parent
	}
}

// Build compiles the program into .cache/bin and returns its path. PITHOS_BINARY names one to use instead.
func Build(ctx context.Context) (string, error) {
	if binary := os.Getenv("PITHOS_BINARY"); binary != "" {
		return binary, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".cache", "bin", "pithos")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/pithos")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pithos: %w\n%s", err, out)
	}
	return binary, nil
}

// Start runs the program and returns when it answers. The process ends with the context at the latest.
func Start(ctx context.Context, o Options) (*Service, error) {
	dir, err := os.MkdirTemp("", "pithos-service-")
	if err != nil {
		return nil, err
	}
	s := &Service{Options: o, dir: dir}
	for try := 1; ; try++ {
		if err = s.choosePorts(); err == nil {
			err = s.Restart(ctx)
		}
		if err == nil || try == triesMax || !strings.Contains(err.Error(), "address already in use") {
			break
		}
		if err := os.RemoveAll(s.LogPath()); err != nil { // the log tells of the start that went well alone
			return nil, errors.Join(err, s.Remove())
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// Restart runs the program again, with the same data and addresses, after it has ended.
func (s *Service) Restart(ctx context.Context) error {
	if err := os.WriteFile(s.configPath(), []byte(s.config()), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(s.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	args := []string{"serve", "--config", s.configPath(), "--data", s.Data}
	if s.Plain {
		args = []string{"serve", "--data", s.Data, "--s3-listen", s.Addr, "--openstack-listen", s.Swift, "--admin-listen", s.Admin}
	}
	s.cmd = exec.CommandContext(ctx, s.Binary, args...)
	s.cmd.Env = s.environment()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	s.log, s.done = log, make(chan struct{})
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	if err := s.ready(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("%w; its log ends:\n%s", err, s.LogTail())
	}
	return nil
}

// ready waits for an answer.
func (s *Service) ready(ctx context.Context) error {
	most := cmp.Or(s.StartMax, startMax)
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return fmt.Errorf("pithos ended: %w", s.err)
		case <-deadline.C:
			return fmt.Errorf("pithos does not answer after %v", most)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if answers(ctx, s.Addr) {
				return nil
			}
		}
	}
}

// answers reports whether a web server, of any opinion, is behind the address.
func answers(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", http.NoBody)
	if err != nil {
		return false
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil
}

func (s *Service) choosePorts() error {
	for _, addr := range []*string{&s.Addr, &s.Swift, &s.Admin} {
		var err error
		if *addr, err = freeAddress(s.Host); err != nil {
			return err
		}
	}
	if s.Listen != "" {
		s.Addr = s.Listen
	}
	return nil
}

// Ports of FreeAddress lie below those that the kernel gives to connections that leave (from 32768 on Linux): between the choice of such a port and its use
// any client of another test could take it.
const (
	portMin   = 10_000
	portMax   = 32_000
	portTries = 100
)

// FreeAddress is an address on loopback that nobody listened on a moment ago.
func FreeAddress() (string, error) { return freeAddress("") }

func freeAddress(host string) (string, error) {
	if host == "" {
		host = "127.0.0.1"
	}
	var err error
	for range portTries {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("%s:%d", host, portMin+rand.IntN(portMax-portMin))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// Signal sends a signal to the process: SIGSTOP halts it with its connections open, SIGCONT lets it go on.
func (s *Service) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// Reload writes the configuration file anew, from Options as they are now, and tells the process to read it again (SIGHUP).
func (s *Service) Reload() error {
	// As a careful administrator does: no half a file is ever seen.
	fresh := s.configPath() + ".new"
	if err := os.WriteFile(fresh, []byte(s.config()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.configPath()); err != nil {
		return err
	}
	return s.Signal(syscall.SIGHUP)
}

func (s *Service) configPath() string { return filepath.Join(s.dir, "config.yaml") }

// LogPath is the file that holds what the program wrote.
func (s *Service) LogPath() string { return filepath.Join(s.dir, "log") }

// LogTail is the end of it.
func (s *Service) LogTail() string {
	text, err := os.ReadFile(s.LogPath())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

func (s *Service) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "s3:\n  listen: %s\n", s.Addr)
	if s.Domain != "" {
		fmt.Fprintf(&b, "  domains: [%s]\n", s.Domain)
	}
	fmt.Fprintf(&b, "openstack:\n  listen: %s\n%s", s.Swift, s.OpenStack)
	fmt.Fprintf(&b, "admin:\n  listen: %s\nkeystore:\n", s.Admin)
	if s.Keystore != "" {
		return b.String() + s.Keystore + s.Options.Config
	}
	b.WriteString("  kind: file\n  users:\n")
	users := append([]User{{Name: "admin", Access: Admin.Access, Secret: Admin.Secret}}, s.Users...)
	for _, u := range users {
		fmt.Fprintf(&b, "    - name: %q\n", u.Name)
		for _, field := range [][2]string{
			{"account", u.Account},
			{"access_key", u.Access},
			{"secret_key", u.Secret},
			{"display_name", u.Display},
			{"canonical_id", u.Canonical},
			{"email", u.Email},
			{"password", u.Password},
		} {
			if field[1] != "" {
				fmt.Fprintf(&b, "      %s: %q\n", field[0], field[1])
			}
		}
		if u.Roles != nil {
			fmt.Fprintf(&b, "      roles: [%s]\n", strings.Join(u.Roles, ", "))
		}
		b.WriteString(u.More)
	}
	return b.String() + s.Options.Config
}

// URL is the end-point of the S3 API.
func (s *Service) URL() string { return "http://" + s.Addr }

// SwiftURL is the end-point of the OpenStack API.
func (s *Service) SwiftURL() string { return "http://" + s.Swift }

// PID is the process's id.
func (s *Service) PID() int { return s.cmd.Process.Pid }

// Client makes a thin client with the administrator's keys.
func (s *Service) Client(timeout time.Duration) *thin.Client { return thin.New(s.Addr, Admin, timeout) }

// Done is closed when the process has ended.
func (s *Service) Done() <-chan struct{} { return s.done }

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (s *Service) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
	_ = s.log.Close()
}

// Stop asks the process to end (SIGTERM), waits, and reports if it did not end well.
func (s *Service) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.done:
	case <-time.After(stopMax):
		s.Kill()
		return fmt.Errorf("pithos did not end %v after SIGTERM", stopMax)
	}
	if err := s.log.Close(); err != nil {
		return err
	}
	if s.err != nil {
		return fmt.Errorf("after SIGTERM: %w; its log ends:\n%s", s.err, s.LogTail())
	}
	return nil
}

// environment is the process's own without the variables that tests are told by, which the program would warn of as unknown settings.
func (s *Service) environment() []string {
	own := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PITHOS_TEST_") || strings.HasPrefix(v, "PITHOS_BINARY=")
	})
	return append(own, s.Env...)
}

// Remove deletes the log and the configuration, not the data.
func (s *Service) Remove() error { return os.RemoveAll(s.dir) }

// Run runs another command of the program on the data directory and returns what it printed. The error is an *exec.ExitError if it failed.
func (s *Service) Run(ctx context.Context, args ...string) (string, error) {
	args = append(args, "--data", s.Data)
	if !s.Plain {
		args = append(args, "--config", s.configPath())
	}
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	cmd.Env = s.environment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var peakRSS = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// PeakMemory is the largest resident set that the process ever had, bytes.
func (s *Service) PeakMemory() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	match := peakRSS.FindSubmatch(text)
	if match == nil {
		return 0, errors.New("the process has no VmHWM")
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	return kib << 10, err
}

// tick is what /proc counts processor time in (USER_HZ).
const tick = 10 * time.Millisecond

// CPUTime is the processor time, of user and system, that a process has used.
func CPUTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The fields behind the name, which stands in parentheses and may hold anything: utime and stime are numbers 14 and 15 of the line.
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}
