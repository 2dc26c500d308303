package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bareArg makes this program the bare server.
const bareArg = "bare-server"

// kept is the bucket whose objects the bare server remembers.
const kept = "kept"

// serveBare is what a service in Go cannot beat: it reads each request with net/http, drops bodies, and serves from memory what
// was put into one bucket. It prints its address and ends when its standard input does.
func serveBare() error {
	var mu sync.RWMutex
	objects := map[string][]byte{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			mu.RLock()
			body := objects[r.URL.Path]
			mu.RUnlock()
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		case strings.HasPrefix(r.URL.Path, "/"+kept+"/"):
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			mu.Lock()
			objects[r.URL.Path] = body
			mu.Unlock()
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Etag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		}
	})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	fmt.Println(listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// startBare runs the bare server as a process of its own, like the service. The function ends it.
func startBare(ctx context.Context) (t target, end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return t, nil, err
	}
	cmd := exec.CommandContext(ctx, program, bareArg)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return t, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, nil, err
	}
	if err := cmd.Start(); err != nil {
		return t, nil, err
	}
	end = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		return t, nil, fmt.Errorf("the bare server says nothing: %w", err)
	}
	return target{strings.TrimSpace(addr), cmd.Process.Pid}, end, nil
}
