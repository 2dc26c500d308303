package metadata

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// furnished is a store with rows in every space.
func furnished(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	ctx := t.Context()
	for i := int64(1); i <= 4; i++ {
		c := b.put("a", 10*i, i, func(c *meta.Change) { c.Version.Null = i == 2 })
		c.Version.Expires = at(1000 - i)
		c.Version.Target = strings.Repeat("t", int(i%2)*2*detailMax)
		b.commit(c)
	}
	b.commit(b.put("b", 30, 3, null))
	b.commit(b.put("b", 40, 0, marker))
	b.commit(b.put("c", 50, 3, null))
	b.commit(b.put("c", 60, 4, null))
	shared := b.put("d", 70, 4)
	v, err := b.Get(ctx, box, "c", meta.Which{})
	b.ok(err)
	shared.Version.Content.Holder = v.Content.Holder
	shared.Source = &meta.Source{Container: box, Name: "c", ID: v.ID}
	b.commit(shared)
	for _, id := range []string{"u1", "u2"} {
		k := meta.UploadKey{Container: box, Name: "u", ID: id}
		b.ok(b.Begin(ctx, meta.Upload{UploadKey: k, Account: account}))
		b.ok(b.PutPart(ctx, k, meta.Part{Part: object.Part{Number: 1, Size: 9}, Content: object.Content{Holder: b.intend()}}, meta.Limits{}))
	}
	for i := int64(1); i <= 2; i++ {
		c := b.put("kept", 70+i, 5)
		c.Version.Content = keeping([]byte("bytes"))
		b.commit(c)
	}
	done := b.put("u", 80, 9)
	done.Upload = "u1"
	b.commit(done)
	b.ok(b.Intend(ctx, block.NewHolder(), meta.Intent{Account: account, Expires: at(99), Lease: true}))
	return b
}

// keeping is a content whose bytes are kept with it.
func keeping(body []byte) object.Content {
	return object.Content{Map: block.Map{Refs: []block.Ref{{ID: block.Sum(body), Len: int64(len(body))}}, Kept: body}}
}

// findings runs a check and returns what it found.
func findings(t *testing.T, db pebble.Reader) (list []fsck.Finding) {
	t.Helper()
	if err := Check(t.Context(), db, func(f fsck.Finding) { list = append(list, f) }); err != nil {
		t.Error(err)
	}
	return list
}

// TestCheckSeesEveryLostRow takes away each row in turn and expects a finding.
func TestCheckSeesEveryLostRow(t *testing.T) {
	b := furnished(t)
	spaces := make(map[byte]int)
	c := &checker{ctx: t.Context(), db: b.db}
	err := c.eachIn([]byte{spaceLive}, []byte{0x40}, func(key, _ []byte) error {
		spaces[key[0]]++
		without := b.db.NewIndexedBatch()
		defer func() { _ = without.Close() }()
		if err := without.Delete(bytes.Clone(key), nil); err != nil {
			return err
		}
		found := findings(t, without)
		switch key[0] {
		case spaceIntent, spaceCompletion: // the intent of a lease leaves the lease; a completion may be forgotten
		default:
			if len(found) == 0 {
				t.Errorf("the loss of row %x is not seen", key)
			}
		}
		return nil
	})
	b.ok(err)
	for _, space := range []byte{
		spaceLive, spaceMarker, spaceHistory, spaceDetail, spaceJournal, spaceExpiry, spaceBody, spaceIntent, spaceLease, spaceHolder, spaceDead,
		spaceAccount, spaceContainer, spaceOwner, spaceUpload, spacePart, spaceCompletion, spaceCompleted,
	} {
		if spaces[space] == 0 {
			t.Errorf("no row in space %#x was tried", space)
		}
	}
}

// TestCheckReadsAnything spoils each row in turn: the check must not fail or panic on it, and nothing but the values of rows whose value
// tells nothing may go unnoticed.
func TestCheckReadsAnything(t *testing.T) {
	b := furnished(t)
	c := &checker{ctx: t.Context(), db: b.db}
	err := c.eachIn([]byte{spaceLive}, []byte{0x40}, func(key, value []byte) error {
		for _, spoiled := range [][]byte{nil, {0xff}, value[:len(value)/2], append(bytes.Clone(value), 0xff)} {
			with := b.db.NewIndexedBatch()
			_ = with.Set(bytes.Clone(key), spoiled, nil)
			findings(t, with)
			_ = with.Close()
		}
		for _, spoiled := range [][]byte{key[:1], key[:len(key)/2], append(bytes.Clone(key), 0)} {
			with := b.db.NewIndexedBatch()
			_ = with.Set(spoiled, bytes.Clone(value), nil)
			found := findings(t, with)
			_ = with.Close()
			switch key[0] {
			case spaceUpload, spaceCompleted, spaceOwner: // a longer key is the key of another
			default:
				if len(found) == 0 {
					t.Errorf("row %x is not seen to be odd", spoiled)
				}
			}
		}
		return nil
	})
	b.ok(err)
}

func TestCheckEndsWithItsContext(t *testing.T) {
	b := furnished(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Check(ctx, b.db, func(fsck.Finding) {}); err == nil {
		t.Error("the check went on")
	}
	if got := fmt.Sprint(findings(t, b.db)); got != "[]" {
		t.Error(got)
	}
}
