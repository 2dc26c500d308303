package crash_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

var stops = flag.Int("stops", 2, "how often to ask the process to end")

const (
	stopMax   = 30 * time.Second // within which the process has ended
	latecomer = 4                // connections that are open when the process is asked to end, and send another request then
)

func TestStop(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d: repeat with -seed %d -stops %d -clients %d", *seed, *seed, *stops, *clients)
	s := start(t, "limits: {drain_timeout: 2s}\n") // so short that a stuck request is cut in every round
	workers := newWorkers(t, s)
	random := rand.New(rand.NewPCG(*seed, 0))
	var total counts
	var longest time.Duration
	for round := 1; round <= *stops; round++ {
		load := loadMin + time.Duration(random.Int64N(int64(loadMax-loadMin)))
		longest = max(longest, stop(t, s, workers, load))
		fsck(t, s)
		if err := s.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatalf("after stop %d: %v", round, err)
		}
		verify(t, s, workers)
		if t.Failed() {
			t.Fatalf("stop %d of seed %d", round, *seed)
		}
	}
	refused := *stops * latecomer
	for _, w := range workers {
		total.add(w.counts)
		refused += w.refused
	}
	t.Logf("%d stops, the longest %v: %s; %d refused in words", *stops, longest.Round(time.Millisecond), total.String(), refused)
}

// stop lets the workers work for a while, asks the process to end, and tells how long that took. Meanwhile one client is stuck in the middle of a body, and
// others send requests over connections that were open before.
func stop(t *testing.T, s *service.Service, workers []*worker, load time.Duration) time.Duration {
	t.Helper()
	var group sync.WaitGroup
	for _, w := range workers {
		w.stopping = true
		group.Go(w.work)
	}
	timer := time.NewTimer(load)
	defer timer.Stop()
	<-timer.C
	stuck := dial(t, s)
	defer stuck.Close()
	jam(t, s, stuck)
	late := make([]*bufio.ReadWriter, latecomer)
	for i := range late {
		conn := dial(t, s)
		defer conn.Close()
		late[i] = bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
		// An answer shows that the connection was taken in.
		answer := ask(t, late[i], s.Client(requestMax).Head(&thin.Request{Method: "GET", Path: "/"})) //nolint:bodyclose // ask has
		if answer == nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("before the stop: %v", answer)
		}
	}
	began := time.Now()
	ended := make(chan error, 1)
	already := told(t, s)
	go func() { ended <- s.Stop() }()
	awaitStopping(t, s, already)
	for i, conn := range late {
		r := thin.Request{Method: "PUT", Path: path(bucket, fmt.Sprint("late", i)), Payload: thin.Unsigned, Body: []byte("late")}
		wantRefusal(t, ask(t, conn, append(s.Client(requestMax).Head(&r), r.Body...))) //nolint:bodyclose // ask has
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	if took > stopMax {
		t.Errorf("the process took %v to end", took)
	}
	group.Wait()
	for _, w := range workers {
		w.stopping = false
	}
	return took
}

func dial(t *testing.T, s *service.Service) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(requestMax)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// told counts how often the log says that the process stops.
func told(t *testing.T, s *service.Service) int {
	t.Helper()
	text, err := os.ReadFile(s.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("msg=stopping"))
}

// awaitStopping waits until the log says so once more.
func awaitStopping(t *testing.T, s *service.Service, already int) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(stopMax); told(t, s) == already; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the log does not tell of the stop")
		}
	}
}

// jam begins a PUT that never ends, and returns when the server waits for its body.
func jam(t *testing.T, s *service.Service, conn net.Conn) {
	t.Helper()
	head := s.Client(requestMax).Head(&thin.Request{
		Method: "PUT", Path: path(bucket, "stuck"), Payload: thin.Unsigned, Body: make([]byte, 1<<20),
		Headers: []thin.Header{{Name: "expect", Value: "100-continue"}},
	})
	if _, err := conn.Write(head); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := conn.Write(make([]byte, 1<<19)); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request over an open connection; nil if there is no whole answer.
func ask(t *testing.T, conn *bufio.ReadWriter, request []byte) *http.Response {
	t.Helper()
	_, err := conn.Write(request)
	if err := errors.Join(err, conn.Flush()); err != nil {
		t.Error(err)
		return nil
	}
	answer, err := http.ReadResponse(conn.Reader, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Error(err)
		return nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer
}

// wantRefusal checks that the process, which is stopping, refused in S3's words.
func wantRefusal(t *testing.T, answer *http.Response) {
	t.Helper()
	if answer == nil {
		return
	}
	var refused struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		RequestID string `xml:"RequestId"`
	}
	if err := xml.NewDecoder(answer.Body).Decode(&refused); err != nil {
		t.Error(err)
	}
	id := answer.Header.Get("X-Amz-Request-Id")
	if answer.StatusCode != http.StatusServiceUnavailable || refused.Code != "ServiceUnavailable" || id == "" || refused.RequestID != id ||
		answer.Header.Get("Retry-After") == "" || !answer.Close {
		t.Errorf("a request while stopping gets %d %+v %v", answer.StatusCode, refused, answer.Header)
	}
}
