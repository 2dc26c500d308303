package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/engine/keyring"
	"pithos/internal/engine/transit"
	"pithos/internal/errs"
	"pithos/internal/seal"
)

// kmsTimeout bounds a call of the key service.
const kmsTimeout = 10 * time.Second

// newKeeper opens the key ring and the key service that the configuration names. A ring in a data directory that has none is made, unless the data
// is on a cluster: each gateway would make another, and none could read what the others wrote.
func newKeeper(ctx context.Context, cfg *config.Config, log *slog.Logger, c clock.Clock) (*seal.Keeper, error) {
	o := seal.Options{Clock: c, DefaultKey: cfg.Encryption.KMS.DefaultKey}
	if cfg.Testing.SSEOverHTTP {
		log.WarnContext(ctx, "testing.sse_over_http: clients' encryption keys are taken over connections without TLS; never use this outside of tests")
	}
	path := cfg.KeyringPath()
	var (
		ring *keyring.Ring
		made bool
		err  error
	)
	if cfg.Blobs.Kind == config.Embedded {
		ring, made, err = keyring.Create(path, c.Now())
	} else {
		ring, err = keyring.Open(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.InfoContext(ctx, "there is no key ring, so that server-side encryption with keys of the service is not available; make one with pithos keyring rotate and give it to every gateway", "file", path)
	case err != nil:
		return nil, fmt.Errorf("the key ring %s cannot be used: %w", path, err)
	default:
		o.Ring = ring
	}
	if made {
		log.InfoContext(ctx, "made a key ring; keep a copy of it apart from the data: what it encrypts is lost without it", "file", path)
	}
	o.Service, err = keyService(cfg.Encryption.KMS)
	return seal.NewKeeper(o), err
}

// keyService opens the key service; nil when there is none.
func keyService(k config.KMS) (seal.KeyService, error) {
	switch k.Kind {
	case config.File:
		keys, err := keyring.Open(k.File)
		if err != nil {
			return nil, fmt.Errorf("encryption.kms.file %s cannot be used: %w", k.File, err)
		}
		return keyring.NewService(keys), nil
	case config.Vault:
		transport, err := transportTrusting(k.Vault.CA)
		if err != nil {
			return nil, fmt.Errorf("encryption.kms.vault.ca: %w", err)
		}
		return transit.New(transit.Options{
			Address: k.Vault.Address, Mount: k.Vault.Mount, Namespace: k.Vault.Namespace, Token: tokenOf(k.Vault.TokenFile),
			Client: &http.Client{Timeout: kmsTimeout, Transport: transport},
		}), nil
	}
	return nil, nil //nolint:nilnil // none
}

// transportTrusting makes a transport that trusts the certificates of a file; those of the system without one.
func transportTrusting(file string) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if file == "" {
		return transport, nil
	}
	pool, err := certPool(file)
	if err != nil {
		return nil, err
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

func tokenOf(path string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile(path)
		return string(bytes.TrimSpace(text)), err
	}
}

// Keyring is what the command line does with a key ring, whether or not a server runs: a running one notices.
type Keyring struct {
	Path  string
	Clock clock.Clock
}

// List shows the keys.
func (k Keyring) List() ([]keyring.Key, error) {
	r, err := keyring.Open(k.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E("server.Keyring", errs.NotFound, errs.SealKey, k.Path).Because("", "there is no such key ring; the server makes one at its first start, or pithos keyring rotate does")
	}
	if err != nil {
		return nil, err
	}
	return r.List()
}

// Add adds a key and returns its name; use makes it the current one.
func (k Keyring) Add(name string, use bool) (string, error) {
	return keyring.Add(k.Path, name, use, k.Clock.Now())
}

// Use makes a key the current one.
func (k Keyring) Use(name string) error { return keyring.Use(k.Path, name) }
