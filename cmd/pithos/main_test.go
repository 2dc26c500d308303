package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"pithos/internal/clock"
	"pithos/internal/server"
	"pithos/test/thin"
)

// startMax is how long a server of a script may take to answer.
const startMax = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pithos": main})
}

// TestScripts runs the program itself. Besides the usual commands, scripts have those of the table below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exits, "s3": request, "jsonenv": jsonEnv, "mode": mode, "flip": flip, "get": get, "sigterm": send(syscall.SIGTERM), "sigkill": send(syscall.SIGKILL), "nogrep": nogrep, "moment": momentNow,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("PITHOS_S3_LISTEN", "127.0.0.1:0")
			e.Setenv("PITHOS_OPENSTACK_LISTEN", "127.0.0.1:0")
			e.Setenv("PITHOS_ADMIN_LISTEN", "127.0.0.1:0")
			return nil
		},
	})
}

// ready DIR: waits until the server on the data directory answers, and sets S3 and ADMIN to its addresses.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	for range int(startMax / (20 * time.Millisecond)) {
		if e, err := server.ReadEndpoints(ts.MkAbs(args[0])); err == nil && answers(e.Admin+"/readyz") {
			ts.Setenv("S3", strings.TrimPrefix(e.S3, "http://"))
			ts.Setenv("ADMIN", e.Admin)
			ts.Setenv("OPENSTACK", e.OpenStack)
			return
		}
		if err := clock.Wait(context.Background(), 20*time.Millisecond); err != nil {
			ts.Fatalf("%v", err)
		}
	}
	ts.Fatalf("the server on %s does not answer after %v", args[0], startMax)
}

func answers(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// send makes sigterm DIR and sigkill DIR, which signal the server on the data directory. Wait for its end with wait.
func send(signal syscall.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		e, err := server.ReadEndpoints(ts.MkAbs(args[0]))
		ts.Check(err)
		ts.Check(syscall.Kill(e.PID, signal))
	}
}

// exits CODE COMMAND...: runs a command and wants its exit code. Its output is there for stdout and stderr.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit interface{ ExitCode() int }
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// s3 STATUS METHOD PATH [FILE]: sends a request signed with KEY and SECRET, the file as its body, and wants the status.
func request(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: s3 STATUS METHOD PATH [FILE]")
	}
	c := thin.New(ts.Getenv("S3"), thin.Keys{Access: ts.Getenv("KEY"), Secret: ts.Getenv("SECRET"), Region: "us-east-1"}, 30*time.Second)
	defer c.Close()
	path, query, _ := strings.Cut(args[2], "?")
	r := &thin.Request{Method: args[1], Path: path, Query: query}
	if len(args) > 3 {
		r.Body = []byte(ts.ReadFile(args[3]))
	}
	var body []byte
	resp, err := c.Do(r, func(p []byte) { body = append(body, p...) })
	ts.Check(err)
	if strconv.Itoa(resp.Status) != args[0] {
		ts.Fatalf("status %d, want %s: %s", resp.Status, args[0], body)
	}
}

// get STATUS URL [TEXT]: fetches without any key, wants the status, and the text in the answer.
func get(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get(args[1])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if strconv.Itoa(resp.StatusCode) != args[0] || len(args) > 2 && !strings.Contains(string(body), args[2]) {
		ts.Fatalf("status %d, want %s: %s", resp.StatusCode, args[0], body)
	}
}

// jsonenv NAME FILE FIELD...: sets a variable to a field of a JSON file; numbers index arrays.
func jsonEnv(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &v))
	for _, f := range args[2:] {
		switch x := v.(type) {
		case map[string]any:
			v = x[f]
		case []any:
			i, err := strconv.Atoi(f)
			ts.Check(err)
			v = x[i]
		}
	}
	s, ok := v.(string)
	if !ok || s == "" {
		ts.Fatalf("%s has no text at %v", args[1], args[2:])
	}
	ts.Setenv(args[0], s)
}

// moment NAME: sets a variable to a time that is later than all that was done before and earlier than all that follows.
func momentNow(ts *testscript.TestScript, _ bool, args []string) {
	wait := func() { ts.Check(clock.Wait(context.Background(), 5*time.Millisecond)) }
	wait()
	ts.Setenv(args[0], clock.System{}.Now().UTC().Format(time.RFC3339Nano))
	wait()
}

// mode OCTAL FILE...: wants the permissions of files.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// flip PATTERN: changes one byte in the middle of each file that matches.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		ts.Check(err)
		if len(text) == 0 {
			continue
		}
		text[len(text)/2] ^= 0x40
		ts.Check(os.WriteFile(name, text, 0o600))
	}
}

// nogrep TEXT FILE...: wants files, or all files below a folder, not to contain the text.
func nogrep(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(text), args[0]) {
				ts.Fatalf("%s contains %s", path, args[0])
			}
			return err
		}))
	}
}
