package backend

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// pastDocument keeps, beside the settings of a container or account, the metadata that it had before (Pithos+ 1.5, 1.6).
const pastDocument = "past-metadata"

// Bounds of what is kept of the past of one container or account, since it is read with its settings: the newest changes, and bytes of their JSON.
const (
	pastMax   = 16
	pastBytes = 16 << 10
)

// pastMeta is metadata that were replaced at a time.
type pastMeta struct {
	Until time.Time         `json:"until"`
	Meta  map[string]string `json:"meta,omitempty"`
}

// keepPast notes in after the metadata of before, if a change at a time replaced them. after.Documents must be its own.
func keepPast(before, after *bucket.Config, at time.Time) error {
	if maps.Equal(before.Meta, after.Meta) {
		return nil
	}
	list := append(pastOf(before), pastMeta{at, before.Meta})
	list = list[max(0, len(list)-pastMax):]
	for ; len(list) > 0; list = list[1:] {
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if len(text) > pastBytes {
			continue
		}
		if after.Documents == nil {
			after.Documents = map[string][]byte{}
		}
		after.Documents[pastDocument] = text
		return nil
	}
	delete(after.Documents, pastDocument)
	return nil
}

// pastOf reads what is kept of the past, the oldest first. What cannot be read is not there: it tells of nothing that is in use.
func pastOf(c *bucket.Config) (list []pastMeta) {
	if json.Unmarshal(c.Documents[pastDocument], &list) != nil {
		return nil
	}
	return list
}

// MetaAt is the metadata that a container had just before a moment (Pithos+ 1.6). Of changes that are further back than the last 16, or than fit into 16 KiB,
// it tells the oldest that is known. It must not be written to.
func MetaAt(c *bucket.Config, at time.Time) map[string]string {
	for _, p := range pastOf(c) {
		if !p.Until.Before(at) {
			return p.Meta
		}
	}
	return c.Meta
}

// AccountMetaAt is MetaAt of an account. It asks nobody's permission. NotFound/Account.
func (b *Backend) AccountMetaAt(ctx context.Context, id naming.AccountID, at time.Time) (map[string]string, error) {
	const op = "backend.AccountMetaAt"
	a, err := b.account(ctx, id)
	if err != nil {
		return nil, fail(op, err)
	}
	s, kept, err := b.settings(ctx, a)
	if err != nil {
		return nil, fail(op, err)
	}
	kept.Config.Meta = s.Meta // that of an account for which nothing was ever set lies elsewhere
	return MetaAt(&kept.Config, at), nil
}
