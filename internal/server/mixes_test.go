package server_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pithos/internal/config"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/engine/cassandra"
	"pithos/internal/server"
)

// onCluster puts a store on the test's cluster, in an empty keyspace of its own.
func onCluster(t *testing.T, keyspace string, sc cassandra.Schema, kind *string, cl *config.Cluster) {
	t.Helper()
	hosts := strings.Split(os.Getenv("PITHOS_TEST_CASSANDRA"), ",")
	*kind, cl.Hosts, cl.Keyspace, cl.Replication = config.Cassandra, hosts, keyspace, os.Getenv("PITHOS_TEST_CASSANDRA_REPLICATION")
	s, err := cassandra.Connect(cassandra.Config{Hosts: hosts, Keyspace: keyspace, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if cassandra.CheckSchema(t.Context(), s, sc) == nil {
		err = cassandra.Truncate(t.Context(), s, sc)
	} else {
		err = cassandra.InstallSchema(t.Context(), s, sc, cl.Replication)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask sends a signed request and wants an answer.
func (r *running) ask(t *testing.T, key, secret, method, target, body string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.S3+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	signer := &sigv4.Signer{AccessKey: key, Secret: secret, Region: r.Region}
	signer.SignV4(&sigv4.Request{Method: method, Target: target, Host: req.URL.Host, Header: req.Header, ContentLength: int64(len(body))}, "UNSIGNED-PAYLOAD", time.Now())
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %d, want %d; %s, %v\n%s", method, target, resp.StatusCode, want, text, err, r.log)
	}
	return string(text)
}

// TestMixesOfKinds serves from mixes of stores: what is put is there, also after a restart.
func TestMixesOfKinds(t *testing.T) {
	if os.Getenv("PITHOS_TEST_CASSANDRA") == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	blobs := func(t *testing.T, c *config.Config) {
		onCluster(t, "mix_blobs", cassandra.BlobSchema(), &c.Blobs.Kind, &c.Blobs.Cluster)
	}
	meta := func(t *testing.T, c *config.Config) {
		onCluster(t, "mix_meta", cassandra.MetaSchema(), &c.Meta.Kind, &c.Meta.Cluster)
	}
	buckets := func(t *testing.T, c *config.Config) {
		onCluster(t, "mix_buckets", cassandra.BucketSchema(), &c.Buckets.Kind, &c.Buckets.Cluster)
	}
	keys := func(t *testing.T, c *config.Config) {
		onCluster(t, "mix_keys", cassandra.KeySchema(), &c.Keystore.Kind, &c.Keystore.Cluster)
	}
	file := func(_ *testing.T, c *config.Config) {
		c.Keystore.Kind = config.File
		c.Keystore.Users = []config.User{{Name: "u", Account: "acc", Keys: []config.Key{{AccessKey: "FILEKEY", Secret: "file-secret-1234"}}}}
	}
	type part = func(*testing.T, *config.Config)
	for _, mix := range []struct {
		name  string
		parts []part
	}{
		{"blobs", []part{blobs}},
		{"keys", []part{keys}},
		{"buckets", []part{buckets}},
		{"metadata and blobs, keys from a file", []part{meta, blobs, file}},
		{"all but the keys", []part{buckets, meta, blobs}},
		{"all", []part{keys, buckets, meta, blobs}},
	} {
		t.Run(mix.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			cfg := config.Default()
			for _, p := range mix.parts {
				p(t, cfg)
			}
			choose := func(c *config.Config) {
				c.Keystore, c.Buckets, c.Meta, c.Blobs = cfg.Keystore, cfg.Buckets, cfg.Meta, cfg.Blobs
			}
			r := start(t, data, choose)
			key, secret := "FILEKEY", "file-secret-1234"
			if r.Credentials != nil {
				key, secret = r.Credentials.AccessKey, r.Credentials.Secret
			}
			large := strings.Repeat("large ", 100_000)
			r.ask(t, key, secret, http.MethodPut, "/mix", "", http.StatusOK)
			r.ask(t, key, secret, http.MethodPut, "/mix/small", "small", http.StatusOK)
			r.ask(t, key, secret, http.MethodPut, "/mix/large", large, http.StatusOK)
			r.ask(t, key, secret, http.MethodPut, "/mix/gone", "gone", http.StatusOK)
			r.ask(t, key, secret, http.MethodDelete, "/mix/gone", "", http.StatusNoContent)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r = start(t, data, choose)
			if got := r.ask(t, key, secret, http.MethodGet, "/mix/small", "", http.StatusOK); got != "small" {
				t.Errorf("%q", got)
			}
			if got := r.ask(t, key, secret, http.MethodGet, "/mix/large", "", http.StatusOK); got != large {
				t.Errorf("%d bytes", len(got))
			}
			r.ask(t, key, secret, http.MethodGet, "/mix/gone", "", http.StatusNotFound)
			list := r.ask(t, key, secret, http.MethodGet, "/mix?list-type=2", "", http.StatusOK)
			if strings.Count(list, "<Key>") != 2 || !strings.Contains(list, "<Key>large</Key>") {
				t.Errorf("%s", list)
			}
		})
	}
}

// TestABlobstoreHasOneMetastore refuses to serve from blocks that another metastore counts.
func TestABlobstoreHasOneMetastore(t *testing.T) {
	if os.Getenv("PITHOS_TEST_CASSANDRA") == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	var cl config.Cluster
	kind := ""
	onCluster(t, "mix_blobs", cassandra.BlobSchema(), &kind, &cl)
	choose := func(c *config.Config) { c.Blobs = config.Store{Kind: kind, Cluster: cl} }
	first := filepath.Join(t.TempDir(), "first")
	if err := start(t, first, choose).stop(); err != nil {
		t.Fatal(err)
	}
	if err := start(t, first, choose).stop(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	choose(cfg)
	cfg.Data, cfg.S3.Listen, cfg.Admin.Listen, cfg.OpenStack.Listen = filepath.Join(t.TempDir(), "second"), "127.0.0.1:0", "127.0.0.1:0", config.Off
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := server.Run(ctx, server.Options{Config: cfg, Open: server.OpenEmbedded(nil)})
	if err == nil || !strings.Contains(err.Error(), "keeps the blocks of another metastore") {
		t.Errorf("a second metastore: %v", err)
	}
}

// TestRegionsOnACluster adds a region to a service, serves buckets of both, and refuses to serve without one of them.
func TestRegionsOnACluster(t *testing.T) {
	if os.Getenv("PITHOS_TEST_CASSANDRA") == "" {
		t.Skip("PITHOS_TEST_CASSANDRA names no cluster; start one with test/cassandra/run start 1")
	}
	cfg := config.Default()
	onCluster(t, "mix_meta", cassandra.MetaSchema(), &cfg.Meta.Kind, &cfg.Meta.Cluster)
	onCluster(t, "mix_blobs", cassandra.BlobSchema(), &cfg.Blobs.Kind, &cfg.Blobs.Cluster)
	north := &config.Region{Name: "north"}
	onCluster(t, "mix_meta_north", cassandra.MetaSchema(), &north.Meta.Kind, &north.Meta.Cluster)
	data := filepath.Join(t.TempDir(), "data")
	alone := func(c *config.Config) { c.Meta, c.Blobs = cfg.Meta, cfg.Blobs }
	both := func(c *config.Config) {
		alone(c)
		c.Regions = []*config.Region{north}
	}
	r := start(t, data, alone)
	key, secret := r.Credentials.AccessKey, r.Credentials.Secret
	r.ask(t, key, secret, http.MethodPut, "/here", "", http.StatusOK)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, data, both)
	r.ask(t, key, secret, http.MethodPut, "/there", "<CreateBucketConfiguration><LocationConstraint>north</LocationConstraint></CreateBucketConfiguration>", http.StatusOK)
	large := strings.Repeat("large ", 100_000)
	for _, name := range []string{"/here/x", "/there/x"} {
		r.ask(t, key, secret, http.MethodPut, name, large, http.StatusOK)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	refused := config.Default()
	alone(refused)
	refused.Data, refused.S3.Listen, refused.Admin.Listen, refused.OpenStack.Listen = data, "127.0.0.1:0", "127.0.0.1:0", config.Off
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.Run(ctx, server.Options{Config: refused, Open: server.OpenEmbedded(nil)}); err == nil || !strings.Contains(err.Error(), "below regions.north") {
		t.Errorf("without the region: %v", err)
	}
	r = start(t, data, both)
	for _, name := range []string{"/here/x", "/there/x"} {
		if got := r.ask(t, key, secret, http.MethodGet, name, "", http.StatusOK); got != large {
			t.Errorf("%s: %d other bytes", name, len(got))
		}
	}
	r.ask(t, key, secret, http.MethodPut, "/south", "<CreateBucketConfiguration><LocationConstraint>south</LocationConstraint></CreateBucketConfiguration>", http.StatusBadRequest)
}
