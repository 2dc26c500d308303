package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/key"
)

var errPower = errors.New("the power went")

// cutting is a keystore that fails from the n-th change on, as a crash would.
type cutting struct {
	key.Store
	left int
}

func (c *cutting) cut() error {
	if c.left--; c.left < 0 {
		return errPower
	}
	return nil
}

func (c *cutting) CreateAccount(ctx context.Context, a key.Account) (key.Account, error) {
	if err := c.cut(); err != nil {
		return a, err
	}
	return c.Store.CreateAccount(ctx, a)
}

func (c *cutting) CreateUser(ctx context.Context, u key.User) (key.User, error) {
	if err := c.cut(); err != nil {
		return u, err
	}
	return c.Store.CreateUser(ctx, u)
}

func (c *cutting) CreateKey(ctx context.Context, k key.Key) error {
	if err := c.cut(); err != nil {
		return err
	}
	return c.Store.CreateKey(ctx, k)
}

func TestInterruptedFirstStartIsFinishedWithTheSameSecret(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for left := range 4 {
		dir, keys := t.TempDir(), memory.New(clock.System{}).Keys()
		if _, err := administrator(t.Context(), dir, &cutting{keys, left}, now); left < 3 != errors.Is(err, errPower) {
			t.Fatalf("after %d changes: %v", left, err)
		}
		before, err := ReadCredentials(dir)
		if err != nil || before.Pending != (left < 3) {
			t.Fatalf("after %d changes: %v, %v", left, before.Pending, err)
		}
		made, err := administrator(t.Context(), dir, keys, now)
		if err != nil || (made != nil) != (left < 3) {
			t.Fatalf("after %d changes the second start makes %v, %v", left, made != nil, err)
		}
		id, err := keys.Lookup(t.Context(), before.AccessKey)
		if err != nil || id.Key.Secret != before.Secret || id.User.ID != "admin:admin" {
			t.Errorf("after %d changes: %v %v", left, id.User, err)
		}
	}
}

func TestNoAdministratorWhereThereAreAccounts(t *testing.T) {
	keys := memory.New(clock.System{}).Keys()
	if _, err := keys.CreateAccount(t.Context(), key.Account{ID: "a", Canonical: "a"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if c, err := administrator(t.Context(), dir, keys, time.Time{}); c != nil || err != nil {
		t.Errorf("%v %v", c != nil, err)
	}
	if _, err := keys.Account(t.Context(), naming.AccountID("admin")); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}

func TestDamagedCredentialsAreNotQuoted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, CredentialsFile), []byte(`{"secret_key": canary}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := administrator(t.Context(), dir, memory.New(clock.System{}).Keys(), time.Time{})
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "is damaged") {
		t.Error(err)
	}
}

func TestDrainLetsRunningRequestsFinishAndRefusesNew(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	g := &gate{next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	}), refuse: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })}
	srv, l, url := serveGate(t.Context(), t, g)
	answer := make(chan string, 1)
	go func() { answer <- fetch(t, url) }()
	<-entered
	drained := make(chan bool, 1)
	go func() {
		last, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		drained <- drain(last, last, srv, l, g, func() {})
	}()
	for !g.closing.Load() {
		if err := clock.Wait(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	w := &recorder{header: http.Header{}}
	g.ServeHTTP(w, nil)
	if w.status != http.StatusServiceUnavailable {
		t.Errorf("a new request gets %d", w.status)
	}
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("the running request got %q", got)
	}
	if !<-drained {
		t.Error("not drained")
	}
}

func TestDrainCutsWhatDoesNotEnd(t *testing.T) {
	entered := make(chan struct{})
	base, cut := context.WithCancel(context.Background())
	g := &gate{next: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})}
	srv, l, url := serveGate(base, t, g)
	go fetch(t, url)
	<-entered
	ended, cancel := context.WithCancel(context.Background())
	cancel() // the time is over
	last, cancelLast := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancelLast()
	if !drain(ended, last, srv, l, g, cut) {
		t.Error("the handler did not end although it was cut")
	}
}

func TestDrainGivesUpOnAHandlerThatHangs(t *testing.T) {
	hang, entered := make(chan struct{}), make(chan struct{})
	g := &gate{next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-hang })}
	go g.ServeHTTP(&recorder{header: http.Header{}}, nil)
	<-entered
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if drain(over, over, &http.Server{}, io.NopCloser(nil), g, func() {}) { //nolint:gosec // serves nothing
		t.Error("said to be drained")
	}
	close(hang)
}

// recorder is a response writer that keeps the status.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

func serveGate(base context.Context, t *testing.T, g *gate) (*http.Server, net.Listener, string) {
	t.Helper()
	l, err := listen(t.Context(), "s3.listen", "s3-listen", "127.0.0.1:0", 10)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler: g, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return base },
	}
	started := make(chan struct{})
	go func() {
		close(started)
		_ = srv.Serve(l)
	}()
	<-started
	t.Cleanup(func() { _ = srv.Close() })
	return srv, l, urlOf("http", l)
}

// fetch gives the body of an answer, or the error's text.
func fetch(t *testing.T, url string) string {
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func TestListenerHoldsItsBound(t *testing.T) {
	l, err := listen(t.Context(), "x", "x", "127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := dial(), dial()
	defer a.Close()
	defer b.Close()
	first := <-accepted
	if len(accepted) > 0 {
		t.Error("a second connection is accepted")
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	_ = first.Close() // gives one place back, not two
	second := <-accepted
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-accepted; open {
		t.Error("accepted after Close")
	}
	_ = second.Close()
}

func TestListenSaysWhatToDo(t *testing.T) {
	l, err := listen(t.Context(), "s3.listen", "s3-listen", "127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for address, want := range map[string]string{
		l.Addr().String(): "another process uses this port: stop it, or choose another port with --s3-listen HOST:PORT",
		"192.0.2.1:9000":  "this machine has no such address",
	} {
		if _, err := listen(t.Context(), "s3.listen", "s3-listen", address, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// WritePair and Trusting serve the tests outside of the package.
func WritePair(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	return issue(t, dir, name, nil, ecKey(t), name)
}

// Trusting is a transport that trusts the certificate, for the name "localhost".
func Trusting(t *testing.T, certFile string) http.RoundTripper {
	t.Helper()
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusting(t, certFile), ServerName: "localhost", MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
}
