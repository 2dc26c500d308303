package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/wholefile"
)

// ACMEDir is the folder in the data directory that holds what the certificate authority gave, and the account there: mode 0700.
const ACMEDir = "acme"

// Times of certificates that the server gets by itself.
const (
	acmeTimeout   = 30 * time.Second // of one question to the authority
	acmeRetryMin  = time.Minute
	acmeRetryMost = time.Hour
)

// certbot gets certificates from an authority that speaks ACME, keeps them in the data directory, and renews them when a third of their life
// is left, or 30 days. The work is golang.org/x/crypto/acme/autocert's.
type certbot struct {
	domains []string
	log     *slog.Logger
	manager *autocert.Manager
	cache   folder
}

// newCertbot is nil when no listener wants it.
func newCertbot(cfg *config.Config, version string, log *slog.Logger) (*certbot, error) {
	if !cfg.S3.TLS.ACME && !cfg.OpenStack.TLS.ACME {
		return nil, nil //nolint:nilnil // none
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if cfg.ACME.CA != "" {
		pool, err := certPool(cfg.ACME.CA)
		if err != nil {
			return nil, fmt.Errorf("acme.ca: %w", err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	b := &certbot{domains: cfg.ACME.Domains, log: log, cache: folder(filepath.Join(cfg.Data, ACMEDir))}
	if err := os.MkdirAll(string(b.cache), 0o700); err != nil {
		return nil, err
	}
	b.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: b.cache, HostPolicy: autocert.HostWhitelist(cfg.ACME.Domains...), Email: cfg.ACME.Email,
		Client: &acme.Client{
			DirectoryURL: cfg.ACME.Directory, UserAgent: "pithos/" + version, HTTPClient: &http.Client{Timeout: acmeTimeout, Transport: transport},
		},
	}
	return b, nil
}

func (b *certbot) serves(name string) bool { return slices.Contains(b.domains, name) }

func (b *certbot) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return b.manager.GetCertificate(hello)
}

// byDefault is the certificate for clients that name no host of ours.
func (b *certbot) byDefault(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	first := *hello
	first.ServerName = b.domains[0]
	return b.get(&first)
}

// challenge is how the authority is shown that the listener is the domain's (tls-alpn-01, RFC 8737). It has no certificate for itself.
func (b *certbot) challenge() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, GetCertificate: b.get}
}

// http01 answers the authority over HTTP, and nobody else.
func (b *certbot) http01() http.Handler {
	answer := b.manager.HTTPHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this address answers certificate authorities only", http.StatusNotFound)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A private authority that asks at another port than 80 names it, and domains have none.
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = host
		}
		answer.ServeHTTP(w, r)
	})
}

// run gets the certificates that are not there, so that the first client does not wait for it, and has them renewed from then on.
func (b *certbot) run(ctx context.Context) {
	missing := slices.Clone(b.domains)
	for wait := acmeRetryMin; ; wait = min(2*wait, acmeRetryMost) {
		missing = slices.DeleteFunc(missing, func(domain string) bool { return b.fetch(ctx, domain) })
		if len(missing) == 0 || clock.Wait(ctx, wait) != nil {
			return
		}
	}
}

// fetch gets one certificate, from the cache or the authority, and tells whether it is there.
func (b *certbot) fetch(ctx context.Context, domain string) bool {
	cert, err := b.get(&tls.ClientHelloInfo{
		ServerName: domain, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
	if err != nil {
		b.log.ErrorContext(ctx, "no certificate for a domain", "domain", domain, "directory", b.manager.Client.DirectoryURL, "error", err,
			"hint", "the authority must reach this server by that name: at port 443 for a listener with tls.acme, or at port 80 for acme.http_listen")
		return false
	}
	b.log.InfoContext(ctx, "certificate", "domain", domain, "expires", cert.Leaf.NotAfter)
	return true
}

// folder keeps what autocert gives it in files that are there whole.
type folder string

// path is the file of a name. Names are domains and words of autocert's, some with a '+'; anything else is made harmless.
func (f folder) path(name string) string { return filepath.Join(string(f), url.PathEscape(name)) }

// Get implements autocert.Cache.
func (f folder) Get(_ context.Context, name string) ([]byte, error) {
	text, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, autocert.ErrCacheMiss
	}
	return text, err
}

// Put implements autocert.Cache.
func (f folder) Put(_ context.Context, name string, text []byte) error {
	return wholefile.Write(f.path(name), text)
}

// Delete implements autocert.Cache.
func (f folder) Delete(_ context.Context, name string) error {
	if err := wholefile.Remove(f.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
