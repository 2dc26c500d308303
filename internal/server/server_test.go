package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/server"
)

// running is a server of a test.
type running struct {
	server.Started
	stop func() error
	log  *buffer
}

// buffer is a log that several goroutines write.
type buffer struct {
	sync.Mutex
	strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Builder.Write(p)
}

func (b *buffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Builder.String()
}

// start runs a server on free ports until the test ends or stop is called.
func start(t *testing.T, data string, change func(*config.Config)) *running {
	t.Helper()
	return startOn(t, data, server.OpenEmbedded(nil), change)
}

// startOn is start on an engine of the test's own.
func startOn(t *testing.T, data string, open server.Opener, change func(*config.Config)) *running {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.S3.Listen, cfg.Admin.Listen, cfg.OpenStack.Listen = data, "127.0.0.1:0", "127.0.0.1:0", config.Off
	if change != nil {
		change(cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{log: &buffer{}}
	started, ended := make(chan server.Started, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{
			Config: cfg, Open: open, Version: "test", Started: func(s server.Started) { started <- s },
			Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
	}()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case r.Started = <-started:
	case err := <-ended:
		ended <- nil
		t.Fatalf("%v\n%s", err, r.log)
	}
	return r
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServiceAnswersAndStops(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := start(t, data, nil)
	if r.Credentials == nil || r.Credentials.Pending {
		t.Fatal("no administrator")
	}
	if code, _ := get(t, r.S3+"/none?list-type=2"); code != http.StatusForbidden && code != http.StatusNotFound {
		t.Errorf("S3 answers %d", code)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": `pithos_build_info{version="test"} 1`} {
		if code, body := get(t, r.Admin+path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := server.ReadEndpoints(data); !os.IsNotExist(err) {
		t.Errorf("the end-points are left: %v", err)
	}
	if log := r.log.String(); strings.Contains(log, r.Credentials.Secret) {
		t.Error("the secret is in the log")
	}
	again := start(t, data, nil)
	if again.Credentials != nil {
		t.Error("the administrator was made twice")
	}
}

func TestMetricsTellTheEngineAndEachAccount(t *testing.T) {
	r := start(t, t.TempDir(), nil)
	_, body := get(t, r.Admin+"/metrics")
	for _, want := range []string{
		`pithos_account_usage{account="admin",what="objects"} 0`, "pithos_blocks 0", `pithos_block_bytes{what="disk"}`, "pithos_invariants_broken_total 0",
		`pithos_task_done_total{task="gc",what="deleted_blocks"} 0`, "go_goroutines", "\npithos_engine_packs ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestConnectFindsTheServerOrOpensTheDirectory(t *testing.T) {
	data := t.TempDir()
	r := start(t, data, nil)
	cfg := config.Default()
	cfg.Data = data
	o := server.Options{Config: cfg, Open: server.OpenEmbedded(nil)}
	ask := func(wantOnline bool) {
		t.Helper()
		c, online, done, err := server.Connect(t.Context(), o)
		if err != nil || online != wantOnline {
			t.Fatalf("online %v: %v", online, err)
		}
		n := 0
		if err := admin.Each(t.Context(), c, "/v1/users", nil, func(admin.User) { n++ }); err != nil || n != 1 {
			t.Errorf("%d users, %v", n, err)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	}
	ask(true)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	ask(false)
	ask(false) // the lock was given back
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := server.WritePair(t, dir, "localhost")
	r := start(t, filepath.Join(dir, "data"), func(c *config.Config) { c.S3.TLS = config.TLS{Cert: cert, Key: key} })
	if !strings.HasPrefix(r.S3, "https://") {
		t.Fatal(r.S3)
	}
	client := &http.Client{Transport: server.Trusting(t, cert)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.S3+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.Header.Get("x-amz-request-id") == "" {
		t.Errorf("%s %v", resp.Proto, resp.Header)
	}
}
