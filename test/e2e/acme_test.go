package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pithos/test/service"
)

// acmeDomain is a name that only the DNS server of these tests knows; it says 127.0.0.1.
const acmeDomain = "storage.example.test"

// patience is how long something may take that needs no time on a machine with nothing else to do.
const patience = 3 * time.Minute

// acme is a certificate authority (pebble, the test server of Let's Encrypt) with a DNS server.
type acme struct {
	w         *world
	directory string // URL
	ca        string // file with the certificate of its own listeners
	roots     *x509.CertPool
	rootFile  string // the same, for other clients
	log       string // file
}

// acmePlan says where an authority asks, and how long its certificates hold.
type acmePlan struct {
	tlsPort, httpPort string
	validity          time.Duration
}

// portOf is the port of an address on loopback.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// newACME starts an authority. dir is for its files.
func newACME(t *testing.T, w *world, p acmePlan) *acme {
	t.Helper()
	a := &acme{w: w, log: filepath.Join(w.dir, "pebble.log")}
	dns, listen, manage := freeAddr(t), freeAddr(t), freeAddr(t)
	management := freeAddr(t)
	w.proxy(management, w.tool("pebble-challtestsrv"), "-dnsserver", dns, "-management", management, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	cert, key := w.selfSigned("authority")
	a.ca, a.directory = cert, "https://"+listen+"/dir"
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage, "certificate": cert, "privateKey": key, "httpPort": number(p.httpPort), "tlsPort": number(p.tlsPort),
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "the only one", "validityPeriod": int(p.validity / time.Second)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	// A shell, because pebble is told by its environment not to dawdle, and logs to its standard output only.
	w.proxy(listen, "/bin/sh", "-c", `PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=5 exec "$0" -config "$1" -dnsserver "$2" >"$3" 2>&1`,
		w.tool("pebble"), w.written("pebble.json", string(text)), dns, a.log)
	a.roots = x509.NewCertPool()
	root := a.get("https://" + manage + "/roots/0")
	if !a.roots.AppendCertsFromPEM(root) {
		t.Fatalf("the authority's root: %s", root)
	}
	a.rootFile = w.written("root.pem", string(root))
	return a
}

func number(s string) (n int) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

// get asks the authority itself.
func (a *acme) get(url string) []byte {
	a.w.t.Helper()
	text, err := os.ReadFile(a.ca)
	if err != nil {
		a.w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(a.w.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		a.w.t.Fatal(err)
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		a.w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		a.w.t.Fatal(err)
	}
	return body
}

// issued are the serial numbers of the certificates that were given so far; orders are those that were asked for.
func (a *acme) issued() (serials []string, orders int) {
	a.w.t.Helper()
	text, err := os.ReadFile(a.log)
	if err != nil {
		a.w.t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`Issued certificate serial (\w+)`).FindAllStringSubmatch(string(text), -1) {
		serials = append(serials, found[1])
	}
	return serials, strings.Count(string(text), "Added order")
}

// env tells a server to use the authority.
func (a *acme) env() []string {
	return []string{
		"PITHOS_S3_TLS_ACME=true", "PITHOS_ACME_DOMAINS=" + acmeDomain, "PITHOS_ACME_DIRECTORY=" + a.directory, "PITHOS_ACME_CA=" + a.ca,
		"PITHOS_ACME_EMAIL=operator@example.test",
	}
}

// shown is the certificate that a client gets that trusts the authority; the service must answer by it.
func (a *acme) shown(addr string) (*x509.Certificate, error) {
	d := &tls.Dialer{Config: &tls.Config{ServerName: acmeDomain, RootCAs: a.roots, MinVersion: tls.VersionTLS12}}
	ctx, cancel := context.WithTimeout(a.w.t.Context(), patience)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// eventually waits until something is so.
func (a *acme) eventually(what string, so func() bool) {
	a.w.t.Helper()
	if !a.w.eventually(so) {
		text, _ := os.ReadFile(a.log)
		a.w.t.Fatalf("never: %s; the authority's log ends:\n%s\nthe server's:\n%s", what, text[max(0, len(text)-4000):], a.w.LogTail())
	}
}

// TestACME has a server get its certificates from an authority by each of the ways, and uses them as a client does.
func TestACME(t *testing.T) {
	t.Run("http-01", func(t *testing.T) {
		w := newIdleWorld(t)
		at := freeAddr(t)
		// Nobody answers at the authority's port for TLS, so that it must come over HTTP.
		a := newACME(t, w, acmePlan{tlsPort: portOf(t, freeAddr(t)), httpPort: portOf(t, at), validity: 90 * 24 * time.Hour})
		w.start(service.Options{Env: append(a.env(), "PITHOS_ACME_HTTP_LISTEN="+at)})
		first, err := a.shown(w.Addr)
		if err != nil {
			t.Fatal(err)
		}
		w.curl(a.rootFile, acmeDomain).s3("acme")
		before, orders := a.issued()
		if len(before) != 1 {
			t.Errorf("%d certificates were issued", len(before))
		}
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := w.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		again, err := a.shown(w.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, now := a.issued(); now != orders || again.SerialNumber.Cmp(first.SerialNumber) != 0 {
			t.Errorf("after the restart %d orders, were %d; certificate %x, was %x", now, orders, again.SerialNumber, first.SerialNumber)
		}
	})
	t.Run("tls-alpn-01 and renewal", func(t *testing.T) {
		w := newIdleWorld(t)
		at := freeAddr(t)
		a := newACME(t, w, acmePlan{tlsPort: portOf(t, at), httpPort: portOf(t, freeAddr(t)), validity: 90 * time.Second})
		w.start(service.Options{Listen: at, Env: a.env()})
		first, err := a.shown(w.Addr)
		if err != nil {
			t.Fatal(err)
		}
		a.eventually("another certificate, when a third of the first one's life is left", func() bool {
			now, err := a.shown(w.Addr)
			return err == nil && now.SerialNumber.Cmp(first.SerialNumber) != 0
		})
	})
	t.Run("out of reach", func(t *testing.T) {
		w := newIdleWorld(t)
		a := newACME(t, w, acmePlan{tlsPort: portOf(t, freeAddr(t)), httpPort: portOf(t, freeAddr(t)), validity: time.Hour})
		w.start(service.Options{Env: a.env()})
		a.eventually("an error that says what to do", func() bool {
			log := w.LogTail()
			return strings.Contains(log, "no certificate for a domain") && strings.Contains(log, "domain="+acmeDomain) && strings.Contains(log, "the authority must reach this server by that name")
		})
	})
}
