package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// realSwift is OpenStack Swift from Debian on loopback: a proxy, an account, a container and an object server on one device with one replica, and
// memcached, which its proxy wants. Pipelines, workers and fsync are as the packages ship them; addresses, folders and the level of the log are not.
type realSwift struct {
	dir   string
	ports map[string]int
	ran   []*exec.Cmd
	log   *os.File
}

// swiftParts are the processes beside memcached, the proxy last.
var swiftParts = []string{"account", "container", "object", "proxy"}

// startMax bounds the start of all of it, and stopMax the end of one process.
const (
	swiftStartMax = 2 * time.Minute
	swiftStopMax  = 10 * time.Second
)

// startSwift starts it in a folder, which must lie on a file system with extended attributes.
func startSwift(ctx context.Context, dir string) (s *realSwift, err error) {
	s = &realSwift{dir: dir, ports: map[string]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w\n%s", err, s.tail()), s.stop())
		}
	}()
	for _, program := range append([]string{"/usr/bin/memcached", "/usr/bin/swift-ring-builder"}, s.programs()...) {
		if _, err := os.Stat(program); err != nil {
			return s, fmt.Errorf("%s is missing: test/bench/setup installs it", program)
		}
	}
	if err := s.configure(ctx); err != nil {
		return s, err
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return s, err
	}
	if err := s.run(ctx, "/usr/bin/memcached", "-l", "127.0.0.1", "-p", fmt.Sprint(s.ports["memcached"]), "-u", s.user()); err != nil {
		return s, err
	}
	for i, part := range swiftParts {
		if part == "proxy" { // which for a minute asks no server that did not answer it
			if err := s.listening(ctx); err != nil {
				return s, err
			}
		}
		if err := s.run(ctx, s.programs()[i], filepath.Join(dir, "etc", part+"-server.conf"), "--verbose"); err != nil {
			return s, err
		}
	}
	return s, s.wait(ctx)
}

func (s *realSwift) programs() []string {
	var list []string
	for _, part := range swiftParts {
		list = append(list, "/usr/bin/swift-"+part+"-server")
	}
	return list
}

func (s *realSwift) user() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

// addr is the address of the proxy.
func (s *realSwift) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.ports["proxy"]) }

// configure writes what the servers read.
func (s *realSwift) configure(ctx context.Context) error {
	for _, folder := range []string{"etc", "srv/d1"} {
		if err := os.MkdirAll(filepath.Join(s.dir, folder), 0o755); err != nil {
			return err
		}
	}
	for _, each := range append([]string{"memcached"}, swiftParts...) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.ports[each] = l.Addr().(*net.TCPAddr).Port
		defer l.Close() // all are drawn before one is given back
	}
	files := map[string]string{"swift.conf": "[swift-hash]\nswift_hash_path_prefix = bench\nswift_hash_path_suffix = bench\n"}
	for _, part := range swiftParts {
		// Pithos does not log single requests here either.
		text := fmt.Sprintf("[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = %d\nuser = %s\nswift_dir = %s/etc\ndevices = %s/srv\nmount_check = false\nlog_level = WARNING\n", s.ports[part], s.user(), s.dir, s.dir)
		if part == "proxy" {
			text += "workers = 20\n" + fmt.Sprintf(swiftProxy, s.ports["memcached"])
		} else {
			text += fmt.Sprintf("[pipeline:main]\npipeline = healthcheck recon %[1]s-server\n[app:%[1]s-server]\nuse = egg:swift#%[1]s\n[filter:healthcheck]\nuse = egg:swift#healthcheck\n[filter:recon]\nuse = egg:swift#recon\nrecon_cache_path = %[2]s\n", part, s.dir)
		}
		files[part+"-server.conf"] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, ring := range swiftParts[:3] {
		builder := filepath.Join(s.dir, "etc", ring+".builder")
		for _, args := range [][]string{{"create", "10", "1", "1"}, {"add", fmt.Sprintf("r1z1-127.0.0.1:%d/d1", s.ports[ring]), "100"}, {"rebalance"}} {
			if out, err := exec.CommandContext(ctx, "/usr/bin/swift-ring-builder", append([]string{builder}, args...)...).CombinedOutput(); err != nil {
				return fmt.Errorf("swift-ring-builder %v: %w\n%s", args, err, out)
			}
		}
	}
	return nil
}

// swiftProxy is the proxy's configuration as Debian ships it, but for users and the address of memcached.
const swiftProxy = `[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats container_sync bulk tempurl ratelimit tempauth copy container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_bench_bench = bench .admin
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:%d
[filter:ratelimit]
use = egg:swift#ratelimit
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:tempurl]
use = egg:swift#tempurl
[filter:proxy-logging]
use = egg:swift#proxy_logging
access_log_level = WARNING
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:account-quotas]
use = egg:swift#account_quotas
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:container_sync]
use = egg:swift#container_sync
[filter:versioned_writes]
use = egg:swift#versioned_writes
[filter:copy]
use = egg:swift#copy
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:symlink]
use = egg:swift#symlink
`

// run starts a process in a group of its own, so that its workers end with it.
func (s *realSwift) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	s.ran = append(s.ran, cmd)
	return nil
}

// listening returns when the servers behind the proxy take connections.
func (s *realSwift) listening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, swiftStartMax)
	defer cancel()
	for _, part := range swiftParts[:3] {
		for {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", s.ports[part]))
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the %s server of Swift does not answer", part)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// wait returns when the proxy has signed the user in: then memcached answers too.
func (s *realSwift) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, swiftStartMax)
	defer cancel()
	for {
		if _, _, err := signInto(ctx, "http://"+s.addr(), "bench:bench", "bench"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the proxy of Swift does not answer")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop ends all processes.
func (s *realSwift) stop() error {
	var failed error
	for i := len(s.ran) - 1; i >= 0; i-- {
		cmd := s.ran[i]
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		late := time.AfterFunc(swiftStopMax, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		_ = cmd.Wait()                                      // however it ended, it has
		late.Stop()                                         //
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // workers that outlived it
	}
	if s.log != nil {
		failed = s.log.Close()
	}
	return failed
}

func (s *realSwift) tail() []byte {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return nil
	}
	return text[max(0, len(text)-2000):]
}

// signInto signs a user in by TempAuth and tells the token and the path of the account.
func signInto(ctx context.Context, url, name, key string) (token, path string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/auth/v1.0", http.NoBody)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("X-Auth-User", name)
	req.Header.Set("X-Auth-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var text bytes.Buffer
		_, _ = text.ReadFrom(res.Body)
		return "", "", fmt.Errorf("sign-in: %s %.200s", res.Status, text.Bytes())
	}
	at := res.Header.Get("X-Storage-Url")
	_, rest, _ := strings.Cut(at, "://")
	_, path, _ = strings.Cut(rest, "/")
	return res.Header.Get("X-Auth-Token"), "/" + path, nil
}
