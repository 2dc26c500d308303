package linear

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"pithos/internal/config"
	"pithos/internal/server"
	"pithos/test/thin"
)

const (
	races      = "/races" // path of the bucket
	requestMax = time.Minute
)

// door is the S3 API of a server that runs in this process, spoken to over real connections.
type door struct {
	idle chan *thin.Client // a connection is used by one client at a time
}

// newDoor starts a server on the embedded engine with an empty data directory.
func newDoor(t *testing.T) *door {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.S3.Listen, cfg.Admin.Listen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
	cfg.OpenStack.Listen = config.Off
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	started, ended := make(chan server.Started, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{Config: cfg, Open: server.OpenEmbedded(nil), Started: func(s server.Started) { started <- s }})
	}()
	var at server.Started
	select {
	case at = <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	d := &door{idle: make(chan *thin.Client, racers)}
	t.Cleanup(func() {
		for range racers {
			(<-d.idle).Close()
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(at.S3)
	if err != nil {
		t.Fatal(err)
	}
	for range racers {
		d.idle <- thin.New(u.Host, thin.Keys{Access: at.Credentials.AccessKey, Secret: at.Credentials.Secret, Region: at.Region}, requestMax)
	}
	if answer, err := d.send(&thin.Request{Method: http.MethodPut, Path: races}); err != nil || !answer.OK() {
		t.Fatalf("create the bucket: %v %v", err, answer.Err())
	}
	return d
}

// send sends a request over an idle connection. The answer's body stays valid.
func (d *door) send(r *thin.Request) (thin.Response, error) {
	c := <-d.idle
	defer func() { d.idle <- c }()
	answer, err := c.Do(r, nil)
	answer.Body = append([]byte(nil), answer.Body...)
	return answer, err
}

// do implements doer. No answer is an outcome that nobody knows.
func (d *door) do(_ context.Context, i input, body []byte) (output, error) {
	r := thin.Request{Path: races + "/" + thin.Escape(i.name, true), Headers: i.headers()}
	switch i.kind {
	case get:
		r.Method = http.MethodGet
	case put:
		r.Method, r.Body = http.MethodPut, body
	case remove:
		r.Method = http.MethodDelete
	}
	answer, err := d.send(&r)
	switch {
	case err != nil, answer.Status == http.StatusServiceUnavailable:
		return output{outcome: unknown}, nil //nolint:nilerr // that is what it means for a history
	case i.kind == get:
		return got(answer)
	case i.kind == put && answer.Status == http.StatusOK:
		if answer.ETag != i.value {
			return output{}, fmt.Errorf("the ETag of what was put is %q, answered was %q", i.value, answer.ETag)
		}
		return output{}, nil
	case i.kind == remove && answer.Status == http.StatusNoContent:
		return output{outcome: gone}, nil
	case answer.Status == http.StatusPreconditionFailed, answer.Status == http.StatusConflict,
		i.kind == put && answer.Status == http.StatusNotFound && i.cond != "" && i.cond != "*":
		if i.cond == "" {
			return output{}, errors.New("a request without a condition failed by one")
		}
		return output{outcome: refused}, nil
	}
	return output{}, answer.Err()
}

// got reads the answer to a GET: the bytes and the ETag are of one version.
func got(answer thin.Response) (output, error) {
	switch {
	case answer.Status == http.StatusNotFound:
		return output{}, nil
	case !answer.OK():
		return output{}, answer.Err()
	}
	if tag := etag(answer.Body); tag != answer.ETag {
		return output{}, fmt.Errorf("the bytes have the ETag %s, the header says %s", tag, answer.ETag)
	}
	return output{value: answer.ETag}, nil
}

// headers are the condition as a client sends it.
func (i input) headers() []thin.Header {
	switch i.cond {
	case "":
		return nil
	case "*":
		return []thin.Header{{Name: "if-none-match", Value: "*"}}
	}
	return []thin.Header{{Name: "if-match", Value: `"` + i.cond + `"`}}
}
