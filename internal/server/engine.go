package server

import (
	"context"
	"log/slog"

	"pithos/internal/clock"
	"pithos/internal/engine/embedded"
)

// DataFormat is the format of data directories that this program writes.
const DataFormat = embedded.FormatVersion

// OpenEmbedded opens data directories of the embedded engine. fatal ends the process when the log on disk can no longer be trusted
// (embedded.Options.Fatal); nil is a panic that nothing recovers.
func OpenEmbedded(fatal func(error)) Opener {
	return func(_ context.Context, dir string, log *slog.Logger, c clock.Clock) (Engine, error) {
		e, err := embedded.Open(dir, embedded.Options{Clock: c, Log: log, Fatal: fatal})
		if err != nil {
			return nil, err // not e: an interface around nil is not nil
		}
		return e, nil
	}
}

// Stats is the ability of an engine to tell its state for the metrics: put is called with a whole name in
// Prometheus' form (pithos_engine_...), what it means, and its value.
type Stats interface {
	Stats(put func(name, help string, value float64))
}

func engineStats(e Engine) func(func(string, string, float64)) {
	if s, ok := e.(Stats); ok {
		return s.Stats
	}
	return nil
}
