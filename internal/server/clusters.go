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
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/engine/cassandra"
	"pithos/internal/engine/nearby"
	"pithos/internal/engine/regions"
	"pithos/internal/errs"
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
	// whole tells whether the metastore knows of all whose blocks are in the blobstore; nil: nobody else can have any there.
	whole func(ctx context.Context) error

	stop context.CancelFunc // ends the search for regions that did not answer
	work sync.WaitGroup

	mu     sync.Mutex
	opened []*cassandra.Session
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
	m.stop()
	m.work.Wait()
	for _, s := range m.opened {
		s.Close()
	}
	return m.Engine.Close()
}

// keep has a session closed with m.
func (m *mixed) keep(s *cassandra.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened = append(m.opened, s)
}

// openClusters puts the stores of kind cassandra in the place of the engine's own. A cluster without the schema that this build serves is
// refused, and the error names the command that mends it; what is unsafe but works is a warning. A region that does not answer is looked for again until it does.
func openClusters(ctx context.Context, cfg *config.Config, engine Engine, log *slog.Logger, c clock.Clock) (Engine, error) {
	clusters := cfg.Clusters()
	if len(clusters) == 0 {
		return engine, nil
	}
	o := &opening{
		mixed: &mixed{Engine: engine, keys: engine.Keys(), buckets: engine.Buckets(), meta: engine.Meta(), blobs: engine.Blobs(), stop: func() {}},
		tied:  &tie{data: cfg.Data, embedded: cfg.Meta.Kind == config.Embedded}, log: log, clock: c,
	}
	for _, cl := range clusters {
		if err := o.open(ctx, cl, cmp.Or(cl.Region, cfg.S3.Region)); err != nil {
			return nil, errors.Join(err, o.mixed.Close())
		}
	}
	if err := o.joinRegions(ctx); err != nil {
		return nil, errors.Join(err, o.mixed.Close())
	}
	return o.mixed, nil
}

// opening is the work of openClusters.
type opening struct {
	*mixed
	tied    *tie
	log     *slog.Logger
	clock   clock.Clock
	regions []regions.Region
	silent  []config.NamedCluster // regions that did not answer
}

// open opens a store on its cluster. region is that of a metastore.
func (o *opening) open(ctx context.Context, cl config.NamedCluster, region string) error {
	s, err := o.reach(ctx, cl)
	if cl.Region != "" && errs.Is(err, errs.Busy) {
		o.log.WarnContext(ctx, "a region does not answer; its containers cannot be used until it does", "region", cl.Region, "error", err)
		o.silent = append(o.silent, cl)
		o.tied.regions = put(o.tied.regions, cl.Region, "")
		o.regions = append(o.regions, regions.Region{Name: region})
		return nil
	}
	if err != nil {
		return err
	}
	near, err := o.near(cl)
	if err != nil {
		return err
	}
	switch cl.Store {
	case "keystore":
		o.keys = cassandra.NewKeys(s)
		if near != nil {
			o.keys = nearby.NewKeys(o.keys, cassandra.NewKeys(near), o.clock)
		}
	case "bucketstore":
		o.buckets = cassandra.NewBuckets(s, o.clock)
		if near != nil {
			o.buckets = nearby.NewBuckets(o.buckets, cassandra.NewBuckets(near, o.clock), o.clock)
		}
	case "metastore":
		o.regions = append(o.regions, regions.Region{Name: region, Store: cassandra.NewMeta(s, o.clock)})
	case "blobstore":
		o.blobs = cassandra.NewBlobs(s, o.clock)
		kin := o.tied.kin()
		o.whole = func(ctx context.Context) error { return cassandra.Whole(ctx, s, kin) }
	}
	return nil
}

// near opens a session on the copy of a store that answers look-ups while the home does not; nil when none is named.
func (o *opening) near(cl config.NamedCluster) (*cassandra.Session, error) {
	if cl.Store != "keystore" && cl.Store != "bucketstore" || cl.Home == "" || cl.Datacenter == "" || cl.Home == cl.Datacenter {
		return nil, nil
	}
	cl.Home = ""
	s, err := connect(cl, o.log)
	if err == nil {
		o.keep(s)
	}
	return s, err
}

// reach opens a session on a store whose schema and place in the service are right.
func (o *opening) reach(ctx context.Context, cl config.NamedCluster) (*cassandra.Session, error) {
	s, err := connect(cl, o.log)
	if err != nil {
		return nil, err
	}
	if err = ready(ctx, cl, s, o.log, o.clock); err == nil {
		err = o.tied.use(ctx, cl, s)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	o.keep(s)
	return s, nil
}

// joinRegions makes one metastore of those on clusters, also of a single one: a gateway that knows no regions must not take a container of one for its own.
func (o *opening) joinRegions(ctx context.Context) error {
	if len(o.regions) == 0 {
		return nil
	}
	m, err := regions.New(o.regions, o.log)
	if err != nil {
		return err
	}
	o.meta = m
	if len(o.silent) == 0 {
		return nil
	}
	ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, cl := range o.silent {
		o.work.Go(func() { o.lookFor(ctx, cl, m) })
	}
	return nil
}

// regionAgain is how long a region that does not answer is left alone.
const regionAgain = 10 * time.Second

// lookFor waits until a region answers, and attaches it.
func (o *opening) lookFor(ctx context.Context, cl config.NamedCluster, m *regions.Store) {
	for clock.Wait(ctx, regionAgain) == nil {
		s, err := o.reach(ctx, cl)
		switch {
		case err == nil:
			m.Attach(cl.Region, cassandra.NewMeta(s, o.clock))
			o.log.InfoContext(ctx, "a region answers", "region", cl.Region)
			return
		case ctx.Err() == nil:
			o.log.WarnContext(ctx, "a region does not answer, or is not what it was", "region", cl.Region, "error", err)
		}
	}
}

// MetastoreFile is where a data directory keeps the name by which a blobstore elsewhere knows its metastore.
const MetastoreFile = "metastore.id"

// tie ties the stores of one service together: each to its home, and the blobstore to the metastores.
type tie struct {
	data     string // the data directory
	embedded bool   // it has the metastore

	mu      sync.Mutex
	id      string            // of the default metastore on a cluster; all metastores come before their blobstore
	regions map[string]string // of the others; "": not known yet
}

func put(m map[string]string, k, v string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}

func (t *tie) kin() cassandra.Kin {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cassandra.Kin{Default: t.id, Regions: maps.Clone(t.regions)}
}

// use is told of each store on a cluster, in the order of config.Clusters, when its schema was checked. From Settle on nobody but the home is asked, so what a copy can
// tell comes before.
func (t *tie) use(ctx context.Context, cl config.NamedCluster, s *cassandra.Session) (err error) {
	if cl.Store == "metastore" {
		err = t.metastore(ctx, cl.Region, s)
	}
	switch {
	case err != nil:
	case cl.Store != "blobstore":
		_, err = cassandra.Settle(ctx, s, cl.Home)
	default:
		if err = cassandra.Nearest(ctx, s, cl.Datacenter); err == nil {
			err = t.blobstore(ctx, s)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", cl.Section(), err)
	}
	return nil
}

// metastore notes a metastore's id. One that came late must be the one that the blobstore knows.
func (t *tie) metastore(ctx context.Context, region string, s *cassandra.Session) error {
	id, err := cassandra.Claim(ctx, s, cassandra.FactID, rand.Text())
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if region == "" {
		t.id = id
		return nil
	}
	if known := t.regions[region]; known != "" && known != id {
		return errs.E("server.tie", errs.Conflict, errs.Store, region).Because(errs.BadState, "the metastore "+id+" is not the one whose blocks the blobstore keeps for the region ("+known+")")
	}
	t.regions = put(t.regions, region, id)
	return nil
}

// blobstore enters the metastores in the blobstore, and learns from it the ids of those that do not answer.
func (t *tie) blobstore(ctx context.Context, s *cassandra.Session) (err error) {
	if t.embedded {
		if t.id, err = metastoreID(t.data); err != nil {
			return err
		}
	}
	stands, err := cassandra.Tie(ctx, s, t.kin())
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.regions = stands.Regions
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
			return nil, fmt.Errorf("%s.password_file: %w", cl.Section(), err)
		}
		c.Password = strings.TrimRight(string(raw), "\r\n")
	}
	if cl.CA != "" {
		raw, err := os.ReadFile(cl.CA)
		if err != nil {
			return nil, fmt.Errorf("%s.ca: %w", cl.Section(), err)
		}
		c.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !c.TLS.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("%s.ca: %s has no certificate in PEM", cl.Section(), cl.CA)
		}
	}
	s, err := cassandra.Connect(c)
	if err != nil {
		return nil, fmt.Errorf("the cluster of the %s does not answer at %s: %w", cl.Section(), strings.Join(cl.Hosts, ", "), err)
	}
	return s, nil
}

// ready checks the schema and the settings of a store's cluster.
func ready(ctx context.Context, cl config.NamedCluster, s *cassandra.Session, log *slog.Logger, c clock.Clock) error {
	if err := cassandra.CheckSchema(ctx, s, schemaOf(cl.Store)); err != nil {
		return fmt.Errorf("%s: %w", cl.Section(), err)
	}
	warnings, err := cassandra.CheckCluster(ctx, s, cmp.Or(cl.Home, cl.Datacenter), c)
	if err != nil {
		return fmt.Errorf("%s: %w", cl.Section(), err)
	}
	for _, w := range warnings {
		log.WarnContext(ctx, "cluster", "store", cl.Section(), "warning", w)
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
				return fmt.Errorf("%s.replication: %w", cl.Section(), err)
			}
			tell(text)
			continue
		}
		if err := schema(ctx, o, action, cl, sc); err != nil {
			return fmt.Errorf("%s: %w", cl.Section(), err)
		}
		tell(fmt.Sprintf("%s: keyspace %s has schema version %d.\n", cl.Section(), cl.Keyspace, sc.Version()))
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
