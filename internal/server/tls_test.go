package server

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pithos/internal/config"
	"pithos/internal/door/wire"
)

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	file string
}

// issue writes a certificate for names and its key into files of dir that are called file. by is who signs; nil: itself.
func issue(t *testing.T, dir, file string, by *authority, key crypto.Signer, names ...string) (certFile, keyFile string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: by == nil,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, file+".pem"), filepath.Join(dir, file+".key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{key: ecKey(t)}
	a.file, _ = issue(t, dir, name, nil, a.key, name)
	text, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return a
}

// trusting is the certificates of a file.
func trusting(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pool, err := certPool(file)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// shake does a handshake with s and tells the certificate that it showed.
func shake(t *testing.T, s *secured, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	result := make(chan error, 1)
	go func() {
		srv := tls.Server(there, s.config())
		err := srv.HandshakeContext(t.Context())
		result <- err
		_, _ = io.Copy(io.Discard, srv)
	}()
	c.InsecureSkipVerify = true // which one it is, is what the test looks at
	client := tls.Client(here, c)
	err := client.HandshakeContext(t.Context())
	if err == nil {
		go func() { _, _ = io.Copy(io.Discard, client) }() // the server may refuse only now
		err = <-result
	}
	return client.ConnectionState(), err
}

func TestCertificateByName(t *testing.T) {
	dir := t.TempDir()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pair := func(file string, key crypto.Signer, names ...string) (p config.Pair) {
		p.Cert, p.Key = issue(t, dir, file, nil, key, names...)
		return p
	}
	first := pair("first", rsaKey, "s3.example.org")
	s, err := newSecured("s3", config.TLS{Cert: first.Cert, Key: first.Key, Certificates: []config.Pair{
		pair("first-ec", ecKey(t), "s3.example.org"), pair("wild", ecKey(t), "*.s3.example.org"), pair("exact", ecKey(t), "one.s3.example.org", "other.example.org"),
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want, algorithm string
		suites                []uint16
	}{
		{"s3.example.org", "s3.example.org", "ECDSA", nil},
		{"s3.example.org", "s3.example.org", "RSA", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
		{"S3.Example.ORG", "s3.example.org", "ECDSA", nil},
		{"a.s3.example.org", "*.s3.example.org", "ECDSA", nil},
		{"one.s3.example.org", "one.s3.example.org", "ECDSA", nil},
		{"other.example.org", "one.s3.example.org", "ECDSA", nil},
		{"a.b.s3.example.org", "s3.example.org", "ECDSA", nil},
		{"", "s3.example.org", "ECDSA", nil},
		{"stranger.example", "s3.example.org", "RSA", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
	} {
		o := &tls.Config{ServerName: c.name, CipherSuites: c.suites}
		if c.suites != nil {
			o.MaxVersion = tls.VersionTLS12
		}
		got, err := shake(t, s, o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if leaf := got.PeerCertificates[0]; leaf.Subject.CommonName != c.want || leaf.PublicKeyAlgorithm.String() != c.algorithm {
			t.Errorf("%s: %s with %s, want %s with %s", c.name, leaf.Subject.CommonName, leaf.PublicKeyAlgorithm, c.want, c.algorithm)
		}
	}
}

func TestOldVersionsAndCiphersAreRefused(t *testing.T) {
	var pair config.Pair
	pair.Cert, pair.Key = WritePair(t, t.TempDir(), "localhost")
	for oldest, refused := range map[string][]*tls.Config{
		config.TLS12: {
			{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}},
		},
		config.TLS13: {{MaxVersion: tls.VersionTLS12}},
	} {
		s, err := newSecured("s3", config.TLS{Certificates: []config.Pair{pair}, MinVersion: oldest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range refused {
			c.ServerName = "localhost"
			if _, err := shake(t, s, c); err == nil {
				t.Errorf("%s: %x was spoken", oldest, c.MaxVersion)
			}
		}
		if state, err := shake(t, s, &tls.Config{ServerName: "localhost"}); err != nil || state.Version != tls.VersionTLS13 {
			t.Errorf("%s: %v", oldest, err)
		}
	}
}

// watching is a watcher with its log.
func watching() (*watcher, *strings.Builder) {
	var log strings.Builder
	return &watcher{log: slog.New(slog.NewTextHandler(&log, nil))}, &log
}

func TestRenewedCertificateIsPickedUpAndABrokenOneIsNot(t *testing.T) {
	dir := t.TempDir()
	var pair config.Pair
	pair.Cert, pair.Key = issue(t, dir, "x", nil, ecKey(t), "old.example")
	s, err := newSecured("s3", config.TLS{Cert: pair.Cert, Key: pair.Key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, log := watching()
	w.add(s.watched())
	shows := func(want string) {
		t.Helper()
		w.look(t.Context(), false)
		if state, err := shake(t, s, &tls.Config{ServerName: "x"}); err != nil || state.PeerCertificates[0].Subject.CommonName != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	shows("old.example")
	if log.Len() > 0 {
		t.Error(log)
	}
	issue(t, dir, "x", nil, ecKey(t), "new.example")
	shows("new.example")
	if !strings.Contains(log.String(), `msg="read again" what="the certificates of s3.tls"`) {
		t.Error(log)
	}
	if err := os.WriteFile(pair.Cert, []byte("half a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows("new.example")
	shows("new.example")
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "are a pair in PEM") {
		t.Errorf("%d errors are logged: %s", n, log)
	}
	if _, err := newSecured("s3", config.TLS{Cert: pair.Cert, Key: pair.Key}, nil); err == nil || !strings.Contains(err.Error(), "check that each cert and key below s3.tls are a pair") {
		t.Error(err)
	}
	issue(t, dir, "x", nil, ecKey(t), "mended.example")
	shows("mended.example")
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	shows("mended.example")
}

// TestClientCertificates tells who gets a connection, and that the doors learn who it is.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := newAuthority(t, dir, "ours"), newAuthority(t, dir, "theirs")
	client := func(a *authority) tls.Certificate {
		c, err := tls.LoadX509KeyPair(issue(t, dir, "client", a, ecKey(t), "backup"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	good, bad := client(ours), client(theirs)
	var pair config.Pair
	pair.Cert, pair.Key = WritePair(t, dir, "localhost")
	for mode, want := range map[string][3]bool{config.NoClientAuth: {true, true, true}, config.Request: {true, true, false}, config.Require: {false, true, false}} {
		s, err := newSecured("s3", config.TLS{Certificates: []config.Pair{pair}, ClientAuth: mode, ClientCA: ours.file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, certs := range [][]tls.Certificate{nil, {good}, {bad}} {
			// A client that shows what it has, whatever it is asked for.
			_, err := shake(t, s, &tls.Config{ServerName: "localhost", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if certs == nil {
					return &tls.Certificate{}, nil
				}
				return &certs[0], nil
			}})
			if (err == nil) != want[i] {
				t.Errorf("%s, client %d: %v", mode, i, err)
			}
		}
		w, _ := watching()
		w.add(s.watched())
		text, err := os.ReadFile(theirs.file)
		if err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(ours.file)
		if err := errors.Join(err, os.WriteFile(ours.file, append(text, '\n'), 0o600)); err != nil {
			t.Fatal(err)
		}
		w.look(t.Context(), false)
		if _, err := shake(t, s, &tls.Config{ServerName: "localhost", Certificates: []tls.Certificate{bad}}); err != nil {
			t.Errorf("%s: the new authority's client: %v", mode, err)
		}
		if err := os.WriteFile(ours.file, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, two := range []bool{false, true} {
		if got := subjectSeen(t, config.TLS{Certificates: []config.Pair{pair}, ClientAuth: config.Require, ClientCA: ours.file}, good, two); got != "CN=backup" {
			t.Errorf("HTTP/2 %v: the doors see %q", two, got)
		}
	}
}

// subjectSeen is what a handler sees of a client's certificate.
func subjectSeen(t *testing.T, o config.TLS, client tls.Certificate, two bool) string {
	t.Helper()
	s, err := newSecured("s3", o, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen(t.Context(), "x", "x", "127.0.0.1:0", 4)
	if err != nil {
		t.Fatal(err)
	}
	m := newMender()
	srv := &http.Server{ReadHeaderTimeout: time.Minute, ConnContext: m.connContext, Handler: m.restore(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.ProtoMajor == 2) != two || wire.OriginOf(r).Scheme != "https" {
			t.Errorf("it came by %s, %s", r.Proto, wire.OriginOf(r).Scheme)
		}
		fact, _ := wire.Fact(r, "pithos:clientcertificate")
		_, _ = io.WriteString(w, strings.Join(fact, " "))
	}))}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(newHandshakes(t.Context(), l, &handshakes{config: s.config(), mender: m, timeout: time.Minute, log: slog.New(slog.DiscardHandler)}))
	}()
	defer func() { _ = srv.Close(); <-done }()
	transport := &http.Transport{ForceAttemptHTTP2: two, TLSClientConfig: &tls.Config{
		ServerName: "localhost", RootCAs: trusting(t, o.Certificates[0].Cert), Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS12,
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestHandshakesEnd shows that a listener that is closed leaves nothing behind, and that who speaks no TLS is told.
func TestHandshakesEnd(t *testing.T) {
	var pair config.Pair
	pair.Cert, pair.Key = WritePair(t, t.TempDir(), "localhost")
	s, err := newSecured("s3", config.TLS{Certificates: []config.Pair{pair}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen(t.Context(), "x", "x", "127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	h := newHandshakes(t.Context(), l, &handshakes{config: s.config(), mender: newMender(), timeout: time.Minute, log: slog.New(slog.DiscardHandler)})
	var d net.Dialer
	for range 2 { // with room for one connection: each must give its place back
		c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil && len(text) == 0 || !strings.Contains(string(text), "use https:// in its URL") {
			t.Errorf("%q %v", text, err)
		}
		_ = c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := (&tls.Dialer{Config: &tls.Config{ServerName: "localhost", RootCAs: trusting(t, pair.Cert), MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := h.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that nobody took is left open")
	}
	_ = c.Close()
}
