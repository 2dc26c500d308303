package server

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/acme"

	"pithos/internal/config"
)

// secured is how a listener speaks TLS now. What it reads from files can be read again.
type secured struct {
	section string // of the configuration
	tls     config.TLS
	acme    *certbot // nil: no certificates but those in files

	now atomic.Pointer[tls.Config]
}

// newSecured reads the certificates of a listener. Its error says what to do.
func newSecured(section string, t config.TLS, a *certbot) (*secured, error) {
	s := &secured{section: section, tls: t}
	if t.ACME {
		s.acme = a
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("the certificates of %s.tls cannot be used: %w; %s", section, err, s.hint())
	}
	return s, nil
}

func (s *secured) hint() string {
	return "check that each cert and key below " + s.section + ".tls are a pair in PEM, and that client_ca holds certificates in PEM"
}

// watched are the files of the listener.
func (s *secured) watched() *watched {
	w := &watched{what: "the certificates of " + s.section + ".tls", load: s.load, hint: s.hint()}
	for _, p := range s.tls.Pairs() {
		w.files = append(w.files, p.Cert, p.Key)
	}
	if s.tls.ClientCA != "" {
		w.files = append(w.files, s.tls.ClientCA)
	}
	return w
}

// config is for the listener. Each handshake uses what was read last.
func (s *secured) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.acme != nil && slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
			return s.acme.challenge(), nil
		}
		return s.now.Load(), nil
	}}
}

// load reads all files of the listener.
func (s *secured) load() error {
	known := certificates{acme: s.acme}
	for _, p := range s.tls.Pairs() {
		pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		if err != nil {
			return fmt.Errorf("%s and %s: %w", p.Cert, p.Key, err)
		}
		known.add(&pair)
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: known.get,
		// Of TLS 1.2 only what has forward secrecy and authenticated encryption; those of 1.3 all do.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	if s.tls.MinVersion == config.TLS13 {
		c.MinVersion = tls.VersionTLS13
	}
	if s.tls.ClientCA != "" {
		pool, err := certPool(s.tls.ClientCA)
		if err != nil {
			return err
		}
		c.ClientCAs = pool
	}
	switch s.tls.ClientAuth {
	case config.Request:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case config.Require:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	s.now.Store(c)
	return nil
}

// certPool reads certificates that others are checked against.
func certPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// certificates are the key pairs of a listener. It does not change once it is in use.
type certificates struct {
	acme   *certbot
	all    []*tls.Certificate
	byName map[string][]*tls.Certificate // names in lower case; "*.example.org" for wildcards
}

func (c *certificates) add(pair *tls.Certificate) {
	if c.byName == nil {
		c.byName = map[string][]*tls.Certificate{}
	}
	c.all = append(c.all, pair)
	for _, name := range namesOf(pair.Leaf) {
		c.byName[name] = preferred(append(c.byName[name], pair))
	}
}

func namesOf(leaf *x509.Certificate) (names []string) {
	for _, name := range leaf.DNSNames {
		names = append(names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	return names
}

// preferred puts keys that are small and quick before RSA.
func preferred(list []*tls.Certificate) []*tls.Certificate {
	slices.SortStableFunc(list, func(a, b *tls.Certificate) int { return slow(a.PrivateKey) - slow(b.PrivateKey) })
	return list
}

func slow(key crypto.PrivateKey) int {
	if _, ok := key.(*rsa.PrivateKey); ok {
		return 1
	}
	return 0
}

// get is tls.Config.GetCertificate: the exact name, then the wildcard, then what the authority gave, then the default.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	list := c.byName[name]
	if _, parent, ok := strings.Cut(name, "."); ok && len(list) == 0 {
		list = c.byName["*."+parent]
	}
	if len(list) == 0 && c.acme != nil && c.acme.serves(name) {
		return c.acme.get(hello)
	}
	if len(list) == 0 && len(c.all) == 0 {
		return c.acme.byDefault(hello)
	}
	if len(list) == 0 {
		list = c.defaults()
	}
	nameless := *hello // the name was looked at
	nameless.ServerName = ""
	for _, pair := range list {
		if nameless.SupportsCertificate(pair) == nil {
			return pair, nil
		}
	}
	return list[0], nil // the handshake tells what does not fit
}

// defaults are the first pair and those of the same names, with another kind of key.
func (c *certificates) defaults() []*tls.Certificate {
	list := []*tls.Certificate{c.all[0]}
	for _, pair := range c.all[1:] {
		if slices.Equal(namesOf(pair.Leaf), namesOf(c.all[0].Leaf)) {
			list = append(list, pair)
		}
	}
	return preferred(list)
}
