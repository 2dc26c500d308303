package e2e_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

// deliveryMax is how long a delivery of records may take, on a machine that is busy.
const deliveryMax = 2 * time.Minute

// accessLog is a bucket "source" whose access is recorded in the bucket "target".
type accessLog struct {
	*world
}

func newAccessLog(t *testing.T, interval string) *accessLog {
	t.Helper()
	l := &accessLog{newWorldWith(t, service.Options{Env: []string{"PITHOS_S3_LOG_INTERVAL=" + interval}})}
	for _, r := range []thin.Request{
		{Method: "PUT", Path: "/source"},
		{Method: "PUT", Path: "/target"},
		{Method: "PUT", Path: "/source", Query: "logging=", Body: []byte(`<BucketLoggingStatus><LoggingEnabled><TargetBucket>target</TargetBucket><TargetPrefix>log/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`)},
	} {
		l.do(r)
	}
	return l
}

// do sends a request, which must succeed, and returns the body of the answer.
func (l *accessLog) do(r thin.Request) string {
	l.t.Helper()
	c := l.Client(time.Minute)
	defer c.Close()
	var body strings.Builder
	a, err := c.Do(&r, func(p []byte) { body.Write(p) })
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		l.t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	return body.String()
}

// put writes objects, named so that a record tells which.
func (l *accessLog) put(kind string, n int) {
	l.t.Helper()
	for i := range n {
		l.do(thin.Request{Method: "PUT", Path: fmt.Sprintf("/source/%s-%d", kind, i), Body: []byte("x")})
	}
}

var putRecord = regexp.MustCompile(`^\S+ source \[[^]]+\] 127\.0\.0\.1 \S+ [0-9A-F]+ REST\.PUT\.OBJECT (\S+) "PUT /source/\S+ HTTP/1\.1" 200 `)

// counts tells how often each object's PUT stands in the records that were delivered. Every record must be whole.
func (l *accessLog) counts() map[string]int {
	l.t.Helper()
	var list struct {
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal([]byte(l.do(thin.Request{Method: "GET", Path: "/target", Query: "list-type=2&prefix=log%2F"})), &list); err != nil {
		l.t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range list.Contents {
		text := l.do(thin.Request{Method: "GET", Path: "/target/" + c.Key})
		if !strings.HasSuffix(text, "\n") {
			l.t.Errorf("%s ends within a record: %q", c.Key, text)
		}
		for line := range strings.Lines(text) {
			if m := putRecord.FindStringSubmatch(line); m != nil {
				seen[m[1]]++
			} else if strings.Contains(line, "REST.PUT.OBJECT") {
				l.t.Errorf("a record that is not whole: %q", line)
			}
		}
	}
	return seen
}

// wait returns the counts when the records of n objects of a kind were delivered.
func (l *accessLog) wait(kind string, n int) map[string]int {
	l.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deliveryMax); ; <-tick.C {
		seen := l.counts()
		if l.of(seen, kind) >= n {
			return seen
		}
		if time.Now().After(end) {
			l.t.Fatalf("%d of %d records of %q were delivered", l.of(seen, kind), n, kind)
		}
	}
}

// of counts the objects of a kind; none may stand twice.
func (l *accessLog) of(seen map[string]int, kind string) int {
	l.t.Helper()
	n := 0
	for name, times := range seen {
		if strings.HasPrefix(name, kind+"-") {
			n++
		}
		if times != 1 {
			l.t.Errorf("the record of %s was delivered %d times", name, times)
		}
	}
	return n
}

// TestAccessLogIsDeliveredByAStop: what waits when the server is asked to end is delivered, once, before it has ended.
func TestAccessLogIsDeliveredByAStop(t *testing.T) {
	l := newAccessLog(t, "1h")
	for round := range 2 {
		l.put(fmt.Sprintf("round%d", round), 20)
		if err := l.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := l.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		seen := l.counts()
		for before := range round + 1 {
			if n := l.of(seen, fmt.Sprintf("round%d", before)); n != 20 {
				t.Errorf("after stop %d there are %d of the 20 records of round %d", round, n, before)
			}
		}
	}
}

// TestAccessLogAfterAKill: kill -9 loses the records that waited, those of the last interval, and no others; none is torn or comes twice, and records are
// kept as before when the server is back.
func TestAccessLogAfterAKill(t *testing.T) {
	l := newAccessLog(t, "1s")
	l.put("before", 20)
	l.wait("before", 20)
	l.put("waiting", 20)
	l.Kill()
	if err := l.Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	seen := l.counts()
	if n := l.of(seen, "before"); n != 20 {
		t.Errorf("%d of 20 records that had been delivered are there", n)
	}
	t.Logf("%d of 20 records that may have waited were lost", 20-l.of(seen, "waiting"))
	l.put("after", 20)
	if n := l.of(l.wait("after", 20), "before"); n != 20 {
		t.Errorf("%d of 20 old records are there", n)
	}
}
