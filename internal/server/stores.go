package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/engine/cassandra"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/filekeys"
	"pithos/internal/naming"
	"pithos/internal/seal"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// Engine is an opened data directory: all four stores. Close ends them together.
type Engine interface {
	Keys() key.Store
	Buckets() bucket.Store
	Meta() meta.Store
	Blobs() blob.Store
	Close() error
}

// Opener opens the data directory for this process alone, and makes it if need be.
type Opener func(ctx context.Context, dir string, log *slog.Logger, c clock.Clock) (Engine, error)

// stores are the opened engine and the keystore that the configuration chose.
type stores struct {
	engine Engine
	keys   key.Reader
	writer key.Store // nil: the users stand in the configuration file
	file   *filekeys.Store
}

// openStores opens what the configuration names.
func openStores(ctx context.Context, cfg *config.Config, open Opener, log *slog.Logger, c clock.Clock) (*stores, error) {
	engine, err := open(ctx, cfg.Data, log, c)
	if err != nil {
		return nil, err
	}
	if engine, err = openClusters(ctx, cfg, engine, log, c); err != nil {
		return nil, err
	}
	if cfg.Keystore.Kind != config.File {
		return &stores{engine: engine, keys: engine.Keys(), writer: engine.Keys()}, nil
	}
	keys, err := filekeys.New(fileUsers(cfg.Keystore))
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return &stores{engine: engine, keys: keys, file: keys}, nil
}

// fileUsers turns the users and groups of the configuration into those of the keystore.
func fileUsers(c config.Keystore) ([]filekeys.User, []filekeys.Group) {
	list := make([]filekeys.User, len(c.Users))
	for i, u := range c.Users {
		list[i] = filekeys.User{
			Name: u.Name, Account: u.Account, Password: u.Password, DisplayName: u.DisplayName, Canonical: u.Canonical,
			Email: u.Email, Roles: u.Roles, Groups: u.Groups, Domain: u.Domain, Project: u.Project, Policies: u.Policies,
		}
		for _, k := range u.Keys {
			list[i].Keys = append(list[i].Keys, filekeys.Key(k))
		}
	}
	groups := make([]filekeys.Group, len(c.Groups))
	for i, g := range c.Groups {
		groups[i] = filekeys.Group(g)
	}
	return list, groups
}

// watchedUsers are the users of the configuration file; nil where they are kept elsewhere. Nothing else of the file is taken while the server runs.
func (s *stores) watchedUsers(o Options) *watched {
	if s.file == nil || o.File == "" || o.Reload == nil {
		return nil
	}
	return &watched{
		what: "the users of keystore.users", files: []string{o.File}, hint: "mend the configuration file; pithos config check --config " + o.File + " tells what is wrong with it",
		load: func() error {
			cfg, err := o.Reload()
			if err != nil {
				return err
			}
			if cfg.Keystore.Kind != config.File {
				return fmt.Errorf("keystore.kind is %s now: restart the server for that", cfg.Keystore.Kind)
			}
			return s.file.Replace(fileUsers(cfg.Keystore))
		},
	}
}

func (s *stores) close() error {
	var err error
	if s.writer == nil {
		err = s.keys.Close()
	}
	return errors.Join(err, s.engine.Close())
}

// answer asks each store a small question.
func (s *stores) answer(ctx context.Context) error {
	var first key.Account
	return cmp.Or(
		s.keys.Accounts(ctx, "", func(a key.Account) bool { first = a; return false }),
		s.engine.Buckets().Containers(ctx, first.ID, "", func(bucket.Container) bool { return false }),
		metaAnswers(ctx, s.engine.Meta(), first.ID),
		s.engine.Blobs().Walk(ctx, nil, func(blob.Info) bool { return false }),
	)
}

// metaAnswers asks a metastore a small question. Of one with regions it is enough that one of them answers: the containers there can be used.
func metaAnswers(ctx context.Context, m meta.Store, account naming.AccountID) error {
	if r, ok := m.(interface{ Answers(context.Context) error }); ok {
		return r.Answers(ctx)
	}
	_, err := m.AccountUsage(ctx, account)
	return err
}

// newBackend puts the backend on the stores with the configuration's limits.
func (s *stores) newBackend(cfg *config.Config, log *slog.Logger, c clock.Clock, keeper *seal.Keeper) *backend.Backend {
	l := cfg.Limits
	keep := embedded.KeepMax
	if cfg.Meta.Kind == config.Cassandra {
		keep = cassandra.KeepMax
	}
	ahead := 0
	if cfg.Blobs.Kind == config.Cassandra {
		ahead = cassandra.ReadAhead
	}
	return backend.New(backend.Stores{
		Keys: s.keys, Buckets: s.engine.Buckets(), Meta: s.engine.Meta(), Blobs: s.engine.Blobs(),
	}, backend.Options{
		KeepMax: keep, ReadAhead: ahead, Distant: cfg.Meta.Kind == config.Cassandra || cfg.Buckets.Kind == config.Cassandra, Clock: c, Log: log, Keeper: keeper, Region: cfg.S3.Region, NewIn: cfg.Region, BufferBytes: l.BufferMemory, ObjectMax: l.ObjectSize, PutMax: l.PutSize,
		PartMin: l.PartMin, UploadGrace: l.UploadGrace, DefaultQuota: bucket.Limit{Bytes: cfg.Quota.Bytes, Objects: cfg.Quota.Objects},
	})
}

// storeUsage asks the blobstore for the space it takes; zeros when it cannot tell.
func storeUsage(b blob.Store) func(ctx context.Context) (admin.StoreUsage, error) {
	return func(ctx context.Context) (admin.StoreUsage, error) {
		reporter, ok := blob.As[blob.Usage](b)
		if !ok {
			return admin.StoreUsage{}, nil
		}
		u, err := reporter.Usage(ctx)
		return admin.StoreUsage{Blocks: u.Blocks, Live: u.Live, Dead: u.Dead, Disk: u.Disk}, err
	}
}

// blockCount is the number of stored blocks, or 0 when the blobstore cannot tell.
func blockCount(ctx context.Context, b blob.Store) int64 {
	u, err := storeUsage(b)(ctx)
	if err != nil {
		return 0 // it only serves to show how far a task is
	}
	return u.Blocks
}
