package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"pithos/test/service"
)

// selfSigned makes a certificate for this machine and its key, and returns their files.
func (w *world) selfSigned(name string) (certFile, keyFile string) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.written(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))),
		w.written(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
}

// curl speaks HTTP/2 over TLS with the server of w.
type curl struct {
	w      *world
	path   string
	ca     string // file with the certificates that it trusts
	domain string // name that it knows the server by
}

func (w *world) curl(ca, domain string) *curl {
	return &curl{w: w, path: w.tool("curl"), ca: ca, domain: domain}
}

// do sends a request to a listener and returns the status and the headers of the answer. It must have come by HTTP/2.
func (c *curl) do(listener, path string, args ...string) (status, headers string) {
	t := c.w.t
	t.Helper()
	port := portOf(t, listener)
	out := c.w.run(c.path, append([]string{
		"--silent", "--show-error", "--http2", "--max-time", "180", "--cacert", c.ca, "--resolve", c.domain + ":" + port + ":127.0.0.1",
		"--dump-header", "-", "--output", "answer", "https://" + c.domain + ":" + port + path,
	}, args...)...)
	last := out[strings.LastIndex(out, "HTTP/"):] // after those of "100 Continue"
	found := regexp.MustCompile(`^HTTP/2 (\d+)`).FindStringSubmatch(last)
	if found == nil {
		t.Fatalf("no answer by HTTP/2:\n%s", out)
	}
	return found[1], last
}

// wants fails the test unless the answer has this status and these headers, if any.
func (c *curl) wants(want, listener, path string, args ...string) (headers string) {
	c.w.t.Helper()
	status, headers := c.do(listener, path, args...)
	if status != want {
		c.w.t.Errorf("%s %q: status %s, want %s:\n%s", path, args, status, want, headers)
	}
	return headers
}

// s3 does what clients of S3 do, in a new bucket.
func (c *curl) s3(bucket string) {
	t, at := c.w.t, c.w.Addr
	t.Helper()
	signed := []string{"--aws-sigv4", "aws:amz:us-east-1:s3", "--user", service.Admin.Access + ":" + service.Admin.Secret, "--header", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"}
	with := func(more ...string) []string { return append(more, signed...) }
	body := c.w.file("body", 3<<20)
	c.wants("200", at, "/"+bucket, with("--request", "PUT")...)
	c.wants("200", at, "/"+bucket+"/object", with("--upload-file", "body")...)
	c.wants("200", at, "/"+bucket+"/object", signed...)
	c.w.holds("answer", body)
	if h := c.wants("206", at, "/"+bucket+"/object", with("--range", "1000000-1999999")...); !strings.Contains(h, "content-range: bytes 1000000-1999999/3145728") {
		t.Errorf("no Content-Range:\n%s", h)
	}
	c.w.holds("answer", body[1_000_000:2_000_000])
	c.wants("416", at, "/"+bucket+"/object", with("--range", "4000000-")...)
	c.wants("404", at, "/"+bucket+"/none", signed...)
	c.wants("403", at, "/"+bucket+"/object", "--upload-file", "body") // refused before its body
	c.wants("200", at, "/"+bucket+"/object", signed...)               // and the object is as it was
	c.w.holds("answer", body)
}

// swift does what clients of Swift do, in a new container.
func (c *curl) swift(container string) {
	t, at := c.w.t, c.w.Swift
	t.Helper()
	h := c.wants("200", at, "/auth/v1.0", "--header", "X-Auth-User: admin:admin", "--header", "X-Auth-Key: "+service.Admin.Secret)
	found := regexp.MustCompile(`(?m)^x-storage-url: https://[^/]+(/\S+)`).FindStringSubmatch(h)
	if found == nil {
		t.Fatalf("no https address in\n%s", h)
	}
	token := regexp.MustCompile(`(?m)^x-auth-token: (\S+)`).FindStringSubmatch(h)
	if token == nil {
		t.Fatalf("no token in\n%s", h)
	}
	object := found[1] + "/" + container
	signed := []string{"--header", "X-Auth-Token: " + token[1]}
	with := func(more ...string) []string { return append(more, signed...) }
	body := c.w.file("body", 3<<20)
	c.wants("201", at, object, with("--request", "PUT")...)
	object += "/object"
	c.wants("201", at, object, with("--upload-file", "body")...)
	if h := c.wants("206", at, object, with("--range", "1000000-1999999")...); !strings.Contains(h, "content-range: bytes 1000000-1999999/3145728") {
		t.Errorf("no Content-Range:\n%s", h)
	}
	c.w.holds("answer", body[1_000_000:2_000_000])
	c.wants("404", at, object+"s", signed...)
	c.wants("401", at, object, "--upload-file", "body")
	c.wants("200", at, object, signed...)
	c.w.holds("answer", body)
}

// TestCurlHTTP2 uploads and downloads by HTTP/2 over TLS, at both listeners.
func TestCurlHTTP2(t *testing.T) {
	w := newIdleWorld(t)
	cert, key := w.selfSigned("server")
	w.start(service.Options{Env: []string{
		"PITHOS_S3_TLS_CERT=" + cert, "PITHOS_S3_TLS_KEY=" + key, "PITHOS_OPENSTACK_TLS_CERT=" + cert, "PITHOS_OPENSTACK_TLS_KEY=" + key,
	}})
	c := w.curl(cert, "localhost")
	c.s3("http2")
	c.swift("http2-swift") // buckets are containers, and this name has one
}
