// Package abuse_test sends the real process what no client should send, beside clients that behave: nothing of it is stored but what S3 stores too,
// the others are not harmed, and afterwards the process holds no more than before.
package abuse_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

const (
	bucket     = "/abuse" // path
	domain     = "s3.abuse.test"
	objectSize = 1 << 20
	cutEvery   = 64 << 10
	settleMax  = 30 * time.Second // for descriptors and goroutines to be given back
	requestMax = 60 * time.Second
)

// world is the process and what its object "victim" must hold.
type world struct {
	*service.Service
	t      *testing.T
	client *thin.Client
	victim []byte
}

func TestBadBesideGood(t *testing.T) {
	w := newWorld(t)
	w.good() // so that pools and caches are filled before the count
	before := w.held()
	stop, done := make(chan struct{}), make(chan int)
	go func() { done <- w.behave(stop) }()
	for _, bad := range []struct {
		name string
		do   func(*testing.T, *world)
	}{
		{"overwrites cut at each 64 KiB", cutOverwrites},
		{"slow and silent clients", slowClients},
		{"large headers and documents, bombs", largeThings},
		{"wrong times, signatures and checksums", wrongProofs},
		{"names that must be refused", refusedNames},
	} {
		t.Run(bad.name, func(t *testing.T) { bad.do(t, w) })
		w.unharmed(bad.name)
	}
	t.Run("strange names that are kept", func(t *testing.T) { strangeNames(t, w) })
	close(stop)
	t.Logf("%d good requests meanwhile", <-done)
	w.settled(before)
	w.client.Close()
	if err := w.Stop(); err != nil {
		t.Error(err)
	}
	if out, err := w.Run(t.Context(), "fsck"); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	binary, err := service.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Start(context.WithoutCancel(t.Context()), service.Options{
		Binary: binary, Data: filepath.Join(t.TempDir(), "data"), Domain: domain,
		Config: "limits: {header_timeout: 2s, body_timeout: 2s, idle_timeout: 20s}\n",
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
	w := &world{Service: s, t: t, client: s.Client(requestMax), victim: make([]byte, objectSize)}
	source := rand.NewPCG(1, 2)
	for i := range w.victim {
		w.victim[i] = byte(source.Uint64())
	}
	for _, r := range []thin.Request{{Method: "PUT", Path: bucket}, {Method: "PUT", Path: bucket + "/victim", Body: w.victim}} {
		if answer, err := w.client.Do(&r, nil); err != nil || !answer.OK() {
			t.Fatal(err, answer.Err())
		}
	}
	return w
}

// good reads, writes and deletes once over the client's connection.
func (w *world) good() {
	w.t.Helper()
	for _, method := range []string{"GET", "PUT", "GET", "DELETE"} {
		r := thin.Request{Method: method, Path: bucket + "/good"}
		if method == "PUT" {
			r.Body = w.victim[:100_000]
		}
		answer, err := w.client.Do(&r, nil)
		if err != nil || !answer.OK() && answer.Status != http.StatusNotFound {
			w.t.Errorf("%s: %v %v", method, err, answer.Err())
		}
	}
}

// behave is another client, which writes and reads an object of its own until it is told to stop, and finds nothing to complain of.
func (w *world) behave(stop chan struct{}) (n int) {
	c := w.Client(requestMax)
	defer c.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			if answer, err := c.Do(&thin.Request{Method: "DELETE", Path: bucket + "/behaved"}, nil); err != nil || !answer.OK() {
				w.t.Errorf("beside bad clients: %v %v", err, answer.Err())
			}
			return n
		case <-tick.C:
		}
		body := w.victim[:1+n%200_000]
		for _, r := range []thin.Request{{Method: "PUT", Path: bucket + "/behaved", Body: body}, {Method: "GET", Path: bucket + "/behaved"}} {
			answer, err := c.Do(&r, nil)
			if err != nil || !answer.OK() || r.Method == "GET" && !bytes.Equal(answer.Body, body) {
				w.t.Errorf("beside bad clients, %s: %v %v", r.Method, err, answer.Err())
			}
			n++
		}
	}
}

// unharmed checks that nothing new is to be seen and that the victim is as it was.
func (w *world) unharmed(after string) {
	w.t.Helper()
	answer, err := w.client.Do(&thin.Request{Method: "GET", Path: bucket + "/victim"}, nil)
	if err != nil || !answer.OK() || !bytes.Equal(answer.Body, w.victim) {
		w.t.Errorf("after %s the object is not what it was: %v %v", after, err, answer.Err())
	}
	for _, name := range w.names("") {
		if name != "victim" && name != "behaved" {
			w.t.Errorf("after %s there is %q", after, name)
		}
	}
}

// names lists the bucket, with names in percent-encoding.
func (w *world) names(prefix string) (names []string) {
	w.t.Helper()
	answer, err := w.client.Do(&thin.Request{Method: "GET", Path: bucket, Query: "encoding-type=url&list-type=2&prefix=" + thin.Escape(prefix, false)}, nil)
	if err != nil || !answer.OK() {
		w.t.Fatal(err, answer.Err())
	}
	var page struct {
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal(answer.Body, &page); err != nil {
		w.t.Fatal(err)
	}
	for _, o := range page.Contents {
		names = append(names, o.Key)
	}
	return names
}

// raw sends bytes over a connection of their own and gives the status of the answer; 0: the server hung up.
func (w *world) raw(t *testing.T, parts ...[]byte) int {
	t.Helper()
	conn := w.dial(t)
	defer conn.Close()
	for _, part := range parts {
		if _, err := conn.Write(part); err != nil {
			break // the server may have said no already
		}
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil {
		return 0
	}
	status, err := strconv.Atoi(string(head[9:]))
	if err != nil {
		t.Errorf("the answer begins %q", head)
	}
	return status
}

func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(requestMax)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (w *world) put(name string, body []byte) (head []byte) {
	return w.Client(requestMax).Head(&thin.Request{Method: "PUT", Path: bucket + "/" + name, Payload: thin.Unsigned, Body: body})
}

func cutOverwrites(t *testing.T, w *world) {
	other := bytes.Repeat([]byte("overwritten "), objectSize/12+1)[:objectSize]
	for at := 0; at < objectSize; at += cutEvery {
		conn := w.dial(t)
		if _, err := conn.Write(append(w.put("victim", other), other[:at]...)); err != nil {
			t.Error(err)
		}
		if at/cutEvery%2 == 0 { // half of them by a reset, which the server sees without reading on
			if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
				t.Error(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func slowClients(t *testing.T, w *world) {
	var silent sync.WaitGroup
	var refused atomic.Int64
	head := w.put("slow", make([]byte, objectSize))
	for _, begin := range [][]byte{nil, []byte("PUT /ab"), head[:len(head)/2], head, append(head, make([]byte, 1000)...)} {
		for range 4 {
			silent.Go(func() {
				if status := w.raw(t, begin); status >= 400 || status == 0 {
					refused.Add(1)
				}
			})
		}
	}
	silent.Wait()
	if refused.Load() != 20 {
		t.Errorf("of 20 clients that fell silent %d were told to go", refused.Load())
	}
}

func largeThings(t *testing.T, w *world) {
	long := strings.Repeat("x", 40<<10)
	huge := strings.Repeat("x", 2<<20)
	deep := strings.Repeat("<a>", 100_000)
	bomb := `<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`
	c := w.Client(requestMax)
	defer c.Close()
	for name, r := range map[string]thin.Request{
		"a large header":   {Method: "PUT", Path: bucket + "/large", Headers: []thin.Header{{Name: "x-amz-meta-a", Value: long}}},
		"a huge header":    {Method: "PUT", Path: bucket + "/large", Headers: []thin.Header{{Name: "x-amz-meta-a", Value: huge}}},
		"large metadata":   {Method: "PUT", Path: bucket + "/large", Headers: []thin.Header{{Name: "x-amz-meta-a", Value: long[:3000]}}},
		"a large document": {Method: "POST", Path: bucket, Query: "delete=", Body: []byte("<Delete>" + strings.Repeat(huge, 3) + "</Delete>")},
		"a deep document":  {Method: "POST", Path: bucket, Query: "delete=", Body: []byte("<Delete>" + deep)},
		"a bomb":           {Method: "POST", Path: bucket, Query: "delete=", Body: []byte(bomb)},
		"no document":      {Method: "PUT", Path: bucket, Query: "versioning=", Body: []byte("\x00\xff<")},
	} {
		answer, err := c.Do(&r, nil)
		if err != nil || answer.Status < 400 || answer.Status >= 500 {
			t.Errorf("%s gets %d %v: %.300s", name, answer.Status, err, answer.Body)
		}
	}
}

func wrongProofs(t *testing.T, w *world) {
	body := []byte("hello")
	stamp := regexp.MustCompile(`x-amz-date: [0-9TZ]+`)
	for _, skew := range []time.Duration{-20 * time.Minute, 20 * time.Minute, 100 * 365 * 24 * time.Hour} {
		at := "x-amz-date: " + time.Now().UTC().Add(skew).Format("20060102T150405Z")
		if status := w.raw(t, stamp.ReplaceAll(w.put("skewed", body), []byte(at)), body); status != http.StatusForbidden && status != http.StatusBadRequest { // 400 when the day is another one than the key's
			t.Errorf("a clock that is %v off gets %d", skew, status)
		}
	}
	c := w.Client(requestMax)
	defer c.Close()
	for name, value := range map[string]string{
		"content-md5": "AAAAAAAAAAAAAAAAAAAAAA==", "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha256": strings.Repeat("A", 43) + "=",
		"x-amz-checksum-crc64nvme": "AAAAAAAAAAA=", "x-amz-checksum-sha1": "none",
	} {
		r := thin.Request{Method: "PUT", Path: bucket + "/proof", Body: body, Headers: []thin.Header{{Name: name, Value: value}}}
		if answer, err := c.Do(&r, nil); err != nil || answer.Status != http.StatusBadRequest {
			t.Errorf("a wrong %s gets %d %v", name, answer.Status, err)
		}
	}
	signed := c.Head(&thin.Request{Method: "PUT", Path: bucket + "/proof", Body: body})
	if status := w.raw(t, signed, []byte("jello")); status != http.StatusBadRequest {
		t.Errorf("a body that is not the signed one gets %d", status)
	}
}

func refusedNames(t *testing.T, w *world) {
	for _, name := range []string{"%FF%FE", "a%00b", "%C0%AF", "%ED%A0%80", "bad%zz", strings.Repeat("x", 1025)} {
		if status := w.raw(t, w.put(name, nil)); status < 400 || status >= 500 {
			t.Errorf("the name %.20s gets %d", name, status)
		}
	}
}

// strangeNames are names like any others: kept byte by byte, whichever way the bucket is addressed, never a path on a disk.
func strangeNames(t *testing.T, w *world) {
	strange := []string{
		"..", "../..", "../../../etc/passwd", "a/../b", "a/./b", "a//b", "/", "//", "a/", ".", "\x01\x1f\x7f", "tab\there", "line\nbreak\r", " ", "\u202e", "\U0001f600",
	}
	vhost := thin.New("abuse."+domain, service.Admin, requestMax) // signs for that host; its heads are sent elsewhere
	want := map[string]bool{}
	for i, name := range strange {
		head := w.put("odd/"+thin.Escape(name, true), []byte(name))
		if i%2 == 1 {
			head = vhost.Head(&thin.Request{Method: "PUT", Path: "/odd/" + thin.Escape(name, true), Payload: thin.Unsigned, Body: []byte(name)})
		}
		if status := w.raw(t, head, []byte(name)); status != http.StatusOK {
			t.Errorf("the name %q gets %d", name, status)
		}
		want["odd/"+name] = true
		answer, err := w.client.Do(&thin.Request{Method: "GET", Path: bucket + "/odd/" + thin.Escape(name, true)}, nil)
		if err != nil || string(answer.Body) != name {
			t.Errorf("under the name %q stands %q (%v)", name, answer.Body, err)
		}
	}
	for _, listed := range w.names("odd/") {
		name := unescape(t, listed)
		if !want[name] {
			t.Errorf("the listing names %q", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("the listing lacks %q", name)
	}
}

// unescape undoes encoding-type=url, in which a space is "+" or "%20".
func unescape(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				t.Errorf("listed %q: %v", s, err)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// holding is what a process holds.
type holding struct{ files, goroutines int }

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

func (w *world) held() (h holding) {
	w.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.PID()))
	if err != nil {
		w.t.Fatal(err)
	}
	h.files = len(files)
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.Admin+"/metrics", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	match := goroutines.FindSubmatch(text)
	if err != nil || match == nil {
		w.t.Fatalf("metrics: %v %.200s", err, text)
	}
	h.goroutines, _ = strconv.Atoi(string(match[1]))
	return h
}

// settled waits until the process holds no more than before, but for a few files and goroutines of the storage's own work.
func (w *world) settled(before holding) {
	w.t.Helper()
	const slack = 4
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(settleMax); ; <-tick.C {
		now := w.held()
		if now.files <= before.files+slack && now.goroutines <= before.goroutines+slack {
			w.t.Logf("held before and after: %+v %+v", before, now)
			return
		}
		if time.Now().After(deadline) {
			w.t.Errorf("the process holds %+v, before it was %+v", now, before)
			return
		}
	}
}
