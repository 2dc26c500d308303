package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
	"pithos/internal/door/wire/sigv4/sigv4test"
	"pithos/test/service"
)

// The client behind a proxy has an address of its own; proxies and the server have 127.0.0.1.
const clientIP = "127.0.0.77"

// proxyUser signs requests that go to base, from clientIP.
type proxyUser struct {
	w      *world
	base   string // URL that the client knows
	http   *http.Client
	signer *sigv4.Signer
}

func (w *world) proxyUser(base string) *proxyUser {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}
	transport := &http.Transport{DialContext: dialer.DialContext, ExpectContinueTimeout: time.Minute}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &proxyUser{w: w, base: base, http: &http.Client{Transport: transport}, signer: &sigv4.Signer{AccessKey: service.Admin.Access, Secret: service.Admin.Secret, Region: "us-east-1"}}
}

// do sends a signed request and returns the body of its answer, which must be good.
func (u *proxyUser) do(method, path string, body []byte) (string, http.Header) {
	u.w.t.Helper()
	r, err := http.NewRequestWithContext(u.w.t.Context(), method, u.base+path, bytes.NewReader(body))
	if err != nil {
		u.w.t.Fatal(err)
	}
	sigv4test.Sign(r, u.signer, sigv4test.SHA256(body), time.Now())
	if len(body) > 0 {
		r.Header.Set("Expect", "100-continue")
	}
	return u.send(r)
}

func (u *proxyUser) send(r *http.Request) (string, http.Header) {
	u.w.t.Helper()
	res, err := u.http.Do(r)
	if err != nil {
		u.w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		u.w.t.Fatalf("%s %s: %s %v\n%s", r.Method, r.URL, res.Status, err, text)
	}
	return string(text), res.Header
}

// tour does what clients do: bytes both ways, a listing, a presigned address, an upload in parts, whose answer names the address.
func (u *proxyUser) tour(bucket string) {
	t := u.w.t
	t.Helper()
	data := make([]byte, 3<<20)
	_, _ = rand.Read(data)
	u.do("PUT", "/"+bucket, nil)
	u.do("PUT", "/"+bucket+"/a%20folder/%2Bkey", data)
	if got, _ := u.do("GET", "/"+bucket+"/a%20folder/%2Bkey", nil); got != string(data) {
		t.Errorf("%d bytes came back, not those that were sent", len(got))
	}
	if list, _ := u.do("GET", "/"+bucket+"?list-type=2&prefix=a%20folder%2F", nil); !strings.Contains(list, "<Key>a folder/+key</Key>") {
		t.Error(list)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.base+"/"+bucket+"/a%20folder/%2Bkey", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	signed := &sigv4.Request{Method: r.Method, Target: r.URL.RequestURI(), Host: r.URL.Host, Header: r.Header}
	u.signer.PresignV4(signed, time.Now(), time.Minute)
	r.URL.RawQuery = signed.Target[strings.IndexByte(signed.Target, '?')+1:]
	if got, _ := u.send(r); got != string(data) {
		t.Error("other bytes came from a presigned address")
	}
	begun, _ := u.do("POST", "/"+bucket+"/big?uploads=", nil)
	_, rest, _ := strings.Cut(begun, "<UploadId>")
	id, _, _ := strings.Cut(rest, "<")
	_, header := u.do("PUT", "/"+bucket+"/big?partNumber=1&uploadId="+id, data)
	done, _ := u.do("POST", "/"+bucket+"/big?uploadId="+id, []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+header.Get("Etag")+"</ETag></Part></CompleteMultipartUpload>"))
	if want := "<Location>" + u.base + "/" + bucket + "/big</Location>"; !strings.Contains(done, want) {
		t.Errorf("no %s in %s", want, done)
	}
	if !strings.Contains(u.w.LogTail(), "remote="+clientIP+":") {
		t.Errorf("the log does not name the client:\n%s", u.w.LogTail())
	}
}

// freeAddr is an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := service.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// proxy runs a proxy in the foreground until the test ends.
func (w *world) proxy(addr, name string, args ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, w.dir
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("%s: %s", name, &out)
		}
	})
	deadline, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var d net.Dialer
		if c, err := d.DialContext(deadline, "tcp", addr); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-deadline.Done():
			w.t.Fatalf("%s does not listen: %s", name, &out)
		case <-tick.C:
		}
	}
}

func (w *world) written(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// TestNginx puts nginx before the server in the ways that people do: with and without forwarding headers, below a path that is cut off or kept.
func TestNginx(t *testing.T) {
	front := freeAddr(t)
	w := newWorldWith(t, service.Options{Env: []string{
		"PITHOS_PROXIES_TRUSTED=127.0.0.1", "PITHOS_S3_EXTERNAL_URLS=http://kept." + front + "/storage,http://" + front + "/cut,http://" + front + "/kept",
	}})
	nginx := w.tool("nginx", "/usr/sbin/nginx")
	_, port, _ := net.SplitHostPort(front)
	const common = `proxy_http_version 1.1; proxy_request_buffering off; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`
	const told = common + ` proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Port $server_port;`
	conf := w.written("nginx.conf", fmt.Sprintf(`
daemon off; master_process off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off; client_max_body_size 0; merge_slashes off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server {
    listen 127.0.0.1:%[2]s;
    location / { %[4]s proxy_pass http://%[3]s; }
    location /cut/ { %[4]s proxy_set_header X-Forwarded-Prefix /cut; proxy_pass http://%[3]s/; }
    location /kept/ { %[5]s proxy_set_header Host $http_host; proxy_pass http://%[3]s; }
  }
}`, w.dir, port, w.Addr, told, common))
	w.proxy(front, nginx, "-c", conf, "-p", w.dir)
	w.proxyUser("http://" + front).tour("root")
	w.proxyUser("http://" + front + "/cut").tour("below-cut")
	w.proxyUser("http://" + front + "/kept").tour("below-kept")
}

// TestHAProxy puts haproxy before the server with both versions of the PROXY protocol. A client that speaks it without being trusted is refused.
func TestHAProxy(t *testing.T) {
	w := newWorldWith(t, service.Options{Env: []string{"PITHOS_PROXIES_TRUSTED=127.0.0.1", "PITHOS_PROXIES_PROTOCOL=on"}})
	haproxy := w.tool("haproxy", "/usr/sbin/haproxy")
	one, two := freeAddr(t), freeAddr(t)
	conf := w.written("haproxy.cfg", fmt.Sprintf(`
defaults
  mode tcp
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen one
  bind %s
  server pithos %s send-proxy
listen two
  bind %s
  server pithos %s send-proxy-v2
`, one, w.Addr, two, w.Addr))
	w.proxy(one, haproxy, "-db", "-f", conf)
	w.proxyUser("http://" + one).tour("version-one")
	w.proxyUser("http://" + two).tour("version-two")
	w.proxyUser(w.URL()).tour("direct")

	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}
	c, err := dialer.DialContext(t.Context(), "tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 400" {
		t.Errorf("a stranger's PROXY header: %q, %v", answer, err)
	}
}
