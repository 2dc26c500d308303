package embedded

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"pithos/internal/engine/embedded/metadata"
)

const (
	memTableSize = 32 << 20
	cacheDefault = 64 << 20
	// stopTables is how many memtables may wait to be flushed before writers wait.
	stopTables = 3
)

// pebbleOptions are the options of the one Pebble instance. They aim at few bytes of memory for many small rows: point reads that
// find nothing stop at the filters, and writers are held back late.
func pebbleOptions(fsys vfs.FS, cache int64, log *slog.Logger, fatal func(error)) *pebble.Options {
	if cache <= 0 {
		cache = cacheDefault
	}
	o := &pebble.Options{
		FS:                          fsys,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   cache,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: stopTables,
		BytesPerSync:                1 << 20,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                512,
		Merger:                      metadata.Merger(),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      pebbleLog{log, fatal},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { log.Error("pebble: background work failed", "error", err) },
			// Pebble's default ends the process. A damaged table is reported to whoever reads it instead.
			DataCorruption: func(info pebble.DataCorruptionInfo) { log.Error("pebble: damaged file", "info", fmt.Sprint(info)) },
			DiskSlow:       func(info pebble.DiskSlowInfo) { log.Warn("pebble: slow disk", "info", fmt.Sprint(info)) },
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = 16 << 10
		o.Levels[i].IndexBlockSize = 64 << 10
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	return o
}

// pebbleLog passes Pebble's messages on. What Pebble says at level info is for its developers.
type pebbleLog struct {
	log   *slog.Logger
	fatal func(error)
}

func (l pebbleLog) Infof(format string, args ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble cannot go on, and locks are held. The log could not be written, or its list of files.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf("pebble: "+format, args...))
	select {}
}
