package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/engine/cassandra"
	"pithos/internal/engine/keyring"
	"pithos/internal/errs"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/worker/migrate"
)

// MigrationFile is where a data directory remembers a migration of the stores that it serves.
const MigrationFile = "migration.json"

// migration is the content of that file.
type migration struct {
	From  string    `json:"from"`
	To    string    `json:"to"`
	Begun time.Time `json:"begun"`
	Done  time.Time `json:"done,omitzero"`
}

// MigrateReport is what a pass of a migration did. Complete says that the source was at rest and the target was found equal to it.
type MigrateReport struct {
	migrate.Report

	KeysCopied int           `json:"keys_copied"` // of the ring of encryption keys
	Complete   bool          `json:"complete"`
	Took       time.Duration `json:"took_ns"`
}

// place is where the four stores of a configuration are.
func place(c *config.Config) string {
	kinds := map[string]string{"keystore": c.Keystore.Kind, "bucketstore": c.Buckets.Kind, "metastore": c.Meta.Kind, "blobstore": c.Blobs.Kind}
	at := map[string]string{}
	for _, cl := range c.Clusters() {
		if cl.Region != "" { // what moves has no regions
			continue
		}
		at[cl.Store] = fmt.Sprintf("cassandra %s:%d %s", strings.Join(cl.Hosts, ","), cl.Port, cl.Keyspace)
	}
	var parts []string
	for _, store := range []string{"keystore", "bucketstore", "metastore", "blobstore"} {
		switch kinds[store] {
		case config.Embedded:
			at[store] = "embedded " + absolute(c.Data)
		case config.File:
			at[store] = "file"
		}
		parts = append(parts, store+" "+at[store])
	}
	return strings.Join(parts, "; ")
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// refuseMoved refuses to serve stores whose content was moved elsewhere: what is written to them now would be missing there.
func refuseMoved(c *config.Config) error {
	m, err := readMigration(c.Data)
	if err != nil || m.Done.IsZero() || m.From != place(c) {
		return err
	}
	return errs.E("server.Run", errs.Conflict, errs.Config, "").Because(errs.BadState, fmt.Sprintf(
		"what these stores hold was moved on %s (to: %s); serve that configuration, or delete %s to go on with what is here",
		m.Done.UTC().Format(time.RFC3339), m.To, filepath.Join(c.Data, MigrationFile)))
}

// readMigration reads the file; a zero one when there is none.
func readMigration(data string) (migration, error) {
	var m migration
	err := readJSON(filepath.Join(data, MigrationFile), &m)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return m, err
}

// migrate is the task that brings the stores of this server to those of the configuration named "to". Where nobody else has the source open, it ends with a
// check and the migration is complete.
func (t *tasks) migrate(ctx context.Context, query url.Values, progress func(admin.Progress)) (any, error) {
	const op = "server.migrate"
	file := query.Get("to")
	target, err := config.Load(config.Sources{File: file})
	if file == "" || err != nil {
		return nil, errs.E(op, errs.Invalid, errs.Config, file).Because(errs.BadState, fmt.Sprintf("the target's configuration %q cannot be used: %v", file, err))
	}
	if len(target.Regions) > 0 || len(t.cfg.Regions) > 0 {
		return nil, errs.E(op, errs.Unsupported, errs.Config, file).Because(errs.BadState, "a service with regions cannot be migrated, nor to one: add regions when it is done")
	}
	if place(target) == place(t.cfg) {
		return nil, errs.E(op, errs.Invalid, errs.Config, file).Because(errs.BadState, "the target's configuration names the stores that are served already")
	}
	to, closeAll, err := t.target(ctx, target)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	note, err := t.begin(ctx, to, place(target))
	if err != nil {
		return nil, err
	}
	from := migrate.Stores{Keys: t.st.keys, Writer: t.st.writer, Buckets: t.st.engine.Buckets(), Meta: t.st.engine.Meta(), Blobs: t.st.engine.Blobs()}
	began := t.o.Clock.Now()
	tell := func(phase string) func(*migrate.Report) {
		return func(so *migrate.Report) { progress(admin.Progress{Phase: phase, Done: so.Versions, Bytes: so.Bytes}) }
	}
	r := MigrateReport{}
	if r.KeysCopied, err = copyRing(t.cfg.KeyringPath(), target.KeyringPath()); err != nil {
		return nil, err
	}
	if r.Report, err = migrate.Run(ctx, from, to, migrate.Options{Clock: t.o.Clock, Log: t.o.Log, Progress: tell("copy")}); err != nil {
		return nil, err
	}
	if !t.alone {
		r.Took = t.o.Clock.Now().Sub(began)
		return r, nil
	}
	check, err := migrate.Run(ctx, from, to, migrate.Options{Clock: t.o.Clock, Log: t.o.Log, Check: true, Progress: tell("check")})
	if err != nil {
		return nil, err
	}
	r.Took = t.o.Clock.Now().Sub(began)
	if r.Differences = check.Differences; r.Differences > 0 {
		return r, nil
	}
	note.Done, r.Complete = t.o.Clock.Now().UTC(), true
	return r, writeJSON(filepath.Join(t.cfg.Data, MigrationFile), note)
}

// copyRing gives the target's key ring what it lacks of the source's: without that nobody could read there what is encrypted.
func copyRing(from, to string) (int, error) {
	if absolute(from) == absolute(to) {
		return 0, nil
	}
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // nothing is encrypted by the service
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, err
	}
	n, err := keyring.Copy(from, to)
	if err != nil {
		return 0, fmt.Errorf("the key ring %s could not be brought to %s: %w", from, to, err)
	}
	return n, nil
}

// begin notes the migration. A target that was not begun to be filled from here must be empty: a pass removes from it what the source does not have.
func (t *tasks) begin(ctx context.Context, to migrate.Stores, where string) (migration, error) {
	const op = "server.migrate"
	m, err := readMigration(t.cfg.Data)
	if err != nil {
		return m, err
	}
	from := place(t.cfg)
	if m.From == from && m.To == where {
		if m.Done.IsZero() {
			return m, nil
		}
		return m, errs.E(op, errs.Conflict, errs.Config, "").Because(errs.BadState, fmt.Sprintf(
			"this migration was completed on %s; once more would undo what was written to the target since. Delete %s if you want that",
			m.Done.Format(time.RFC3339), filepath.Join(t.cfg.Data, MigrationFile)))
	}
	if err := t.empty(ctx, to); err != nil {
		return m, err
	}
	m = migration{From: from, To: where, Begun: t.o.Clock.Now().UTC()}
	return m, writeJSON(filepath.Join(t.cfg.Data, MigrationFile), m)
}

// empty wants the stores of the target that are not the source's own to hold nothing.
func (t *tasks) empty(ctx context.Context, to migrate.Stores) error {
	used := false
	var failed error
	if to.Writer != nil {
		failed = to.Writer.Accounts(ctx, "", func(key.Account) bool { used = true; return false })
	}
	if to.Blobs != t.st.engine.Blobs() {
		failed = errors.Join(failed, to.Blobs.Walk(ctx, nil, func(blob.Info) bool { used = true; return false }))
	}
	if to.Buckets != t.st.engine.Buckets() {
		failed = errors.Join(failed, t.st.keys.Accounts(ctx, "", func(a key.Account) bool {
			failed = errors.Join(failed, to.Buckets.Containers(ctx, a.ID, "", func(bucket.Container) bool { used = true; return false }))
			return !used
		}))
	}
	if failed != nil || !used {
		return failed
	}
	return errs.E("server.migrate", errs.NotEmpty, errs.Store, "").Because(errs.BadState,
		"the target holds something already, which a migration would remove; choose an empty one (a fresh data directory, other keyspaces)")
}

// target opens the stores of the target. Where it names the place of one of the source's stores, it gets that store.
func (t *tasks) target(ctx context.Context, cfg *config.Config) (migrate.Stores, func() error, error) {
	var opened []func() error
	closeAll := func() error {
		var err error
		for _, c := range opened {
			err = errors.Join(err, c())
		}
		return err
	}
	engine := t.st.engine
	if m, ok := engine.(*mixed); ok {
		engine = m.Engine // what the data directory itself holds
	}
	clusters := cfg.Clusters()
	if absolute(cfg.Data) != absolute(t.cfg.Data) && len(clusters) < 4 {
		if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
			return migrate.Stores{}, nil, err
		}
		e, err := t.o.Open(ctx, cfg.Data, t.o.Log, t.o.Clock)
		if err != nil {
			return migrate.Stores{}, nil, err
		}
		engine, opened = e, append(opened, e.Close)
	}
	to := migrate.Stores{Keys: engine.Keys(), Writer: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()}
	tied := tie{data: cfg.Data, embedded: cfg.Meta.Kind == config.Embedded}
	for _, cl := range clusters {
		s, err := connect(cl, t.o.Log)
		if err == nil {
			opened = append(opened, func() error { s.Close(); return nil })
			err = ready(ctx, cl, s, t.o.Log, t.o.Clock)
		}
		if err == nil {
			err = tied.use(ctx, cl, s)
		}
		if err != nil {
			return migrate.Stores{}, nil, errors.Join(err, closeAll())
		}
		switch cl.Store {
		case "keystore":
			keys := cassandra.NewKeys(s)
			to.Keys, to.Writer = keys, keys
		case "bucketstore":
			to.Buckets = cassandra.NewBuckets(s, t.o.Clock)
		case "metastore":
			to.Meta = cassandra.NewMeta(s, t.o.Clock)
		case "blobstore":
			to.Blobs = cassandra.NewBlobs(s, t.o.Clock)
		}
	}
	if cfg.Keystore.Kind == config.File || t.st.writer != nil && to.Writer == t.st.writer {
		to.Writer = nil // users stand in a file, or stay where they are
	}
	return to, closeAll, nil
}
