package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/engine/cassandra"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// mixed is an engine some of whose stores are on clusters. The data directory still belongs to this process: it keeps the other stores, the
// administrator's first key and where the service is.
type mixed struct {
	Engine
	keys    key.Store
	buckets bucket.Store
	meta    meta.Store
	blobs   blob.Store
	opened  []*cassandra.Session
}

func (m *mixed) Keys() key.Store       { return m.keys }
func (m *mixed) Buckets() bucket.Store { return m.buckets }
func (m *mixed) Meta() meta.Store      { return m.meta }
func (m *mixed) Blobs() blob.Store     { return m.blobs }

// Stats tells the state of the engine in the data directory.
func (m *mixed) Stats(put func(name, help string, value float64)) {
	if tell := engineStats(m.Engine); tell != nil {
		tell(put)
	}
}

// Close ends the sessions and closes the engine.
func (m *mixed) Close() error {
	for _, s := range m.opened {
		s.Close()
	}
	return m.Engine.Close()
}

// openClusters puts the stores of kind cassandra in the place of the engine's own. A cluster without the schema that this build serves is
// refused, and the error names the command that mends it; what is unsafe but works is a warning.
func openClusters(ctx context.Context, cfg *config.Config, engine Engine, log *slog.Logger, c clock.Clock) (Engine, error) {
	clusters := cfg.Clusters()
	if len(clusters) == 0 {
		return engine, nil
	}
	tied := tie{data: cfg.Data, embedded: cfg.Meta.Kind == config.Embedded}
	m := &mixed{Engine: engine, keys: engine.Keys(), buckets: engine.Buckets(), meta: engine.Meta(), blobs: engine.Blobs()}
	for _, cl := range clusters {
		s, err := connect(cl, log)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.opened = append(m.opened, s)
		err = ready(ctx, cl, s, log, c)
		if err == nil {
			err = tied.use(ctx, cl, s)
		}
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		switch cl.Store {
		case "keystore":
			m.keys = cassandra.NewKeys(s)
		case "bucketstore":
			m.buckets = cassandra.NewBuckets(s, c)
		case "metastore":
			m.meta = cassandra.NewMeta(s, c)
		case "blobstore":
			m.blobs = cassandra.NewBlobs(s, c)
		}
	}
	return m, nil
}

// MetastoreFile is where a data directory keeps the name by which a blobstore elsewhere knows its metastore.
const MetastoreFile = "metastore.id"

// tie ties the stores of one service together: each to its home, and the blobstore to the metastore.
type tie struct {
	data     string // the data directory
	embedded bool   // it has the metastore
	id       string // of a metastore on a cluster; it comes before its blobstore
}

// use is told of each store on a cluster, in the order of config.Clusters, when its schema was checked.
func (t *tie) use(ctx context.Context, cl config.NamedCluster, s *cassandra.Session) (err error) {
	if cl.Store == "blobstore" {
		err = cassandra.Nearest(ctx, s, cl.Datacenter)
	} else {
		_, err = cassandra.Settle(ctx, s, cl.Home)
	}
	switch {
	case err != nil:
	case cl.Store == "metastore":
		t.id, err = cassandra.Claim(ctx, s, cassandra.FactID, rand.Text())
	case cl.Store == "blobstore":
		if t.embedded {
			t.id, err = metastoreID(t.data)
		}
		if err == nil {
			err = cassandra.Tie(ctx, s, t.id)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", cl.Store, err)
	}
	return nil
}

// metastoreID is the name of the metastore in a data directory, which gets one when it has none.
func metastoreID(data string) (string, error) {
	var kept struct {
		ID string `json:"id"`
	}
	path := filepath.Join(data, MetastoreFile)
	err := readJSON(path, &kept)
	if errors.Is(err, fs.ErrNotExist) {
		kept.ID = rand.Text()
		err = writeJSON(path, kept)
	}
	if err == nil && kept.ID == "" {
		err = fmt.Errorf("%s is damaged; restore it from a copy of the data directory", path)
	}
	return kept.ID, err
}

// connect opens a session on a store's cluster.
func connect(cl config.NamedCluster, log *slog.Logger) (*cassandra.Session, error) {
	c := cassandra.Config{
		Hosts: cl.Hosts, Port: cl.Port, Keyspace: cl.Keyspace, Datacenter: cmp.Or(cl.Home, cl.Datacenter), Replication: cl.Replication, Username: cl.Username, Log: log,
	}
	if cl.PasswordFile != "" {
		raw, err := os.ReadFile(cl.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("%s.password_file: %w", cl.Store, err)
		}
		c.Password = strings.TrimRight(string(raw), "\r\n")
	}
	if cl.CA != "" {
		raw, err := os.ReadFile(cl.CA)
		if err != nil {
			return nil, fmt.Errorf("%s.ca: %w", cl.Store, err)
		}
		c.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !c.TLS.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("%s.ca: %s has no certificate in PEM", cl.Store, cl.CA)
		}
	}
	s, err := cassandra.Connect(c)
	if err != nil {
		return nil, fmt.Errorf("the cluster of the %s does not answer at %s: %w", cl.Store, strings.Join(cl.Hosts, ", "), err)
	}
	return s, nil
}

// ready checks the schema and the settings of a store's cluster.
func ready(ctx context.Context, cl config.NamedCluster, s *cassandra.Session, log *slog.Logger, c clock.Clock) error {
	if err := cassandra.CheckSchema(ctx, s, schemaOf(cl.Store)); err != nil {
		return fmt.Errorf("%s: %w", cl.Store, err)
	}
	warnings, err := cassandra.CheckCluster(ctx, s, cmp.Or(cl.Home, cl.Datacenter), c)
	if err != nil {
		return fmt.Errorf("%s: %w", cl.Store, err)
	}
	for _, w := range warnings {
		log.WarnContext(ctx, "cluster", "store", cl.Store, "warning", w)
	}
	return nil
}

// schemaOf is the schema of a store by the name of its section.
func schemaOf(store string) cassandra.Schema {
	switch store {
	case "keystore":
		return cassandra.KeySchema()
	case "bucketstore":
		return cassandra.BucketSchema()
	case "metastore":
		return cassandra.MetaSchema()
	}
	return cassandra.BlobSchema()
}

// SchemaAction is what to do with the schema of the configured clusters.
type SchemaAction uint8

// The actions on schemas.
const (
	SchemaInstall SchemaAction = iota // make keyspaces and tables
	SchemaUpgrade                     // bring existing keyspaces to this build's version
	SchemaCheck                       // change nothing
	SchemaPrint                       // the statements that an installation runs; needs no cluster
)

// Schemas does the action for each store of kind cassandra and tells a line, or the statements, of each. An error says which store it is about; those
// before it are done.
func Schemas(ctx context.Context, o Options, action SchemaAction, tell func(string)) error {
	clusters := o.Config.Clusters()
	if len(clusters) == 0 {
		return errors.New("no store is of kind cassandra; set for example metastore.kind in the configuration")
	}
	for _, cl := range clusters {
		sc := schemaOf(cl.Store)
		if action == SchemaPrint {
			text, err := cassandra.PrintSchema(sc, cl.Keyspace, cl.Replication)
			if err != nil {
				return fmt.Errorf("%s.replication: %w", cl.Store, err)
			}
			tell(text)
			continue
		}
		if err := schema(ctx, o, action, cl, sc); err != nil {
			return fmt.Errorf("%s: %w", cl.Store, err)
		}
		tell(fmt.Sprintf("%s: keyspace %s has schema version %d.\n", cl.Store, cl.Keyspace, sc.Version()))
	}
	return nil
}

func schema(ctx context.Context, o Options, action SchemaAction, cl config.NamedCluster, sc cassandra.Schema) error {
	s, err := connect(cl, o.Log)
	if err != nil {
		return err
	}
	defer s.Close()
	switch action {
	case SchemaInstall:
		return cassandra.InstallSchema(ctx, s, sc, cl.Replication)
	case SchemaUpgrade:
		return cassandra.UpgradeSchema(ctx, s, sc)
	}
	return ready(ctx, cl, s, o.Log, clock.System{})
}
