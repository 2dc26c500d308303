package e2e_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pithos/test/service"
)

// firstMax is what a new user waits for the first object, from starting the service.
const firstMax = 60 * time.Second

// TestFirstStart does what a new user does: start without any configuration, take the keys that the program made, copy a file.
func TestFirstStart(t *testing.T) {
	if _, err := service.Build(t.Context()); err != nil { // compiling the program, which all tests share, is no part of it
		t.Fatal(err)
	}
	w := newIdleWorld(t) // waits for its turn among the parallel tests: no part of it either
	began := time.Now()
	w.start(service.Options{Plain: true})
	shown, err := w.Run(t.Context(), "credentials")
	if err != nil {
		t.Fatalf("credentials: %v\n%s", err, shown)
	}
	keys := regexp.MustCompile(`(?s)Access key\s+(\S+).*Secret key\s+(\S+)`).FindStringSubmatch(shown)
	if keys == nil {
		t.Fatalf("credentials shows no keys:\n%s", shown)
	}
	file := w.file("file", 100_000)
	aws := w.tool("aws")
	for _, args := range [][]string{{"mb", "s3://first"}, {"cp", "file", "s3://first/file"}, {"cp", "s3://first/file", "back"}} {
		cmd := w.command(aws, append([]string{"--endpoint-url", w.URL(), "s3"}, args...)...)
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID="+keys[1], "AWS_SECRET_ACCESS_KEY="+keys[2])
		w.finish(cmd)
	}
	w.holds("back", file)
	if took := time.Since(began); took > firstMax {
		t.Errorf("the first object took %v", took)
	}
	for line := range strings.Lines(w.LogTail()) {
		if strings.Contains(line, "level=ERROR") {
			t.Errorf("the log has an error: %s", line)
		}
	}
}

// TestVirtualHosts addresses buckets by host name, as SDKs do when the end-point is a domain.
func TestVirtualHosts(t *testing.T) {
	w := newWorldWith(t, service.Options{Domain: "s3.example.test"})
	w.script("go-hosts", w.goClients(), "hosts")
}
