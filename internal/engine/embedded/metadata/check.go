package metadata

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/fsck"
	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// Check compares every row of the metastore with what it follows from: counters with sums over versions and parts (I7), heads with the
// history, journal and expiry with the versions, names of holders with what names them. It only reads, so db may be a
// snapshot or opened read-only; nothing may change meanwhile. Its memory grows with the number of containers and accounts, not
// of objects, unless names of holders are wrong.
//
// An error means that the check could not be finished; findings go to report.
func Check(ctx context.Context, db pebble.Reader, report fsck.Report) error {
	c := &checker{
		ctx: ctx, db: db, report: report,
		containers: make(map[naming.ContainerID]meta.Usage), owners: make(map[naming.ContainerID]naming.AccountID),
	}
	for _, pass := range []func() error{
		c.checkOwners, c.checkHeads, c.checkHistory, c.checkDetails, c.checkBodies, c.checkJournal, c.checkExpiry,
		c.checkUploads, c.checkParts, c.checkCompletions, c.checkHolders, c.checkDead, c.checkIntents, c.checkCounters,
	} {
		if err := pass(); err != nil {
			return errs.Wrap("metadata.Check", errs.Internal, err)
		}
	}
	return nil
}

// checker is one check on its way.
type checker struct {
	ctx    context.Context //nolint:containedctx // it lives as long as the one call that makes it
	db     pebble.Reader
	report fsck.Report

	containers map[naming.ContainerID]meta.Usage
	owners     map[naming.ContainerID]naming.AccountID
	named      holderSum // over all versions and parts
}

// holderSum stands for a list of holders of any length. Holders are random, so two different lists hardly ever have one sum.
type holderSum struct {
	count, high, low uint64
}

func (s *holderSum) add(h block.Holder, names uint64) {
	s.count += names
	s.high += names * binary.BigEndian.Uint64(h[:8])
	s.low += names * binary.BigEndian.Uint64(h[8:])
}

func (c *checker) damage(thing errs.Thing, name, format string, args ...any) {
	c.report(fsck.Finding{Severity: fsck.Damage, Thing: thing, Name: name, Detail: fmt.Sprintf(format, args...)})
}

func (c *checker) leak(thing errs.Thing, name, format string, args ...any) {
	c.report(fsck.Finding{Severity: fsck.Leak, Thing: thing, Name: name, Detail: fmt.Sprintf(format, args...)})
}

// each calls fn for all rows of a space.
func (c *checker) each(space byte, fn func(key, value []byte) error) error {
	return c.eachIn([]byte{space}, []byte{space + 1}, fn)
}

func (c *checker) eachIn(from, to []byte, fn func(key, value []byte) error) error {
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := c.ctx.Err(); err != nil {
			return errs.Wrap("metadata.Check", errs.Canceled, err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return wrap(err)
		}
		if err := fn(it.Key(), value); err != nil {
			return err
		}
	}
	return wrap(it.Error())
}

func (c *checker) has(key []byte) (bool, error) {
	raw, err := get(c.db, key)
	return raw != nil, err
}

func versionName(c naming.ContainerID, name naming.ObjectName, id object.VersionID) string {
	return meta.VersionName(c, name, id)
}

func (c *checker) checkOwners() error {
	return c.each(spaceOwner, func(key, value []byte) error {
		if len(key) != prefixLen {
			c.damage(errs.Container, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		c.owners[naming.ContainerID(key[1:])] = naming.AccountID(value)
		return nil
	})
}

// checkHeads walks all heads, and below each its history.
func (c *checker) checkHeads() error {
	for _, space := range []byte{spaceLive, spaceMarker} {
		err := c.each(space, func(key, value []byte) error {
			if len(key) < prefixLen {
				c.damage(errs.Object, fmt.Sprintf("%x", key), "the key cannot be read")
				return nil
			}
			id, name := naming.ContainerID(key[1:prefixLen]), naming.ObjectName(key[prefixLen:])
			r, v, err := c.version(value, id, name)
			if err != nil || v == nil {
				return err
			}
			if spaceOf(v) != space {
				c.damage(errs.Object, versionName(id, name, v.ID), "the newest version stands in the wrong space")
			}
			if space == spaceMarker {
				if both, err := c.has(headKey(nil, spaceLive, id, name)); err != nil {
					return err
				} else if both {
					c.damage(errs.Object, versionName(id, name, v.ID), "the name has two newest versions")
				}
			}
			if v.Visible() {
				c.containers[id] = c.containers[id].Add(meta.Usage{Objects: 1, Bytes: v.Size})
			}
			return c.checkBelow(id, name, r, v)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// version reads a version and compares it with the rows that it must have; nil when it cannot be read, which is reported.
func (c *checker) version(raw []byte, id naming.ContainerID, name naming.ObjectName) (row, *object.Version, error) {
	r, v, err := parseVersionRow(c.db, append([]byte{}, raw...), id, name)
	if errs.Is(err, errs.Corrupt) {
		c.damage(errs.Version, versionName(id, name, 0), "the record cannot be read: %v", err)
		return r, nil, nil
	}
	if err != nil {
		return r, nil, err
	}
	c.containers[id] = c.containers[id].Add(meta.Usage{Versions: 1, Stored: v.Size})
	if ok, err := c.has(journalKey(nil, id, v.ID, name)); err != nil {
		return r, nil, err
	} else if !ok {
		c.damage(errs.Version, versionName(id, name, v.ID), "it is missing in the journal")
	}
	if !v.Expires.IsZero() {
		if ok, err := c.has(expiryKey(nil, v.Expires, id, v.ID, name)); err != nil {
			return r, nil, err
		} else if !ok {
			c.damage(errs.Version, versionName(id, name, v.ID), "it is missing in the expiry index")
		}
	}
	if r.kept {
		if ok, err := c.has(bodyKey(nil, id, v.ID, name)); err != nil {
			return r, nil, err
		} else if !ok {
			c.damage(errs.Version, versionName(id, name, v.ID), "the bytes that are kept with it are missing")
		}
	}
	return r, v, c.holds(v.Content.Holder, versionName(id, name, v.ID))
}

// holds notes that a version or part names a holder.
func (c *checker) holds(h block.Holder, who string) error {
	if h.IsZero() {
		return nil
	}
	c.named.add(h, 1)
	st, err := readHolder(c.db, h)
	switch {
	case errs.Is(err, errs.Corrupt):
		c.damage(errs.Holder, h.String(), "its row cannot be read")
		return nil
	case err != nil:
		return err
	case st.dead:
		c.damage(errs.Holder, h.String(), "it is dead, but %s names it", who)
	case st.names == 0:
		c.damage(errs.Holder, h.String(), "it has no row, but %s names it", who)
	}
	return nil
}

// checkBelow compares what a head tells of its history with the history.
func (c *checker) checkBelow(id naming.ContainerID, name naming.ObjectName, r row, newest *object.Version) error {
	null, older, last := object.VersionID(0), uint64(0), newest.ID
	if newest.Null {
		null = newest.ID
	}
	prefix := versionPrefix(nil, spaceHistory, id, name)
	err := c.eachIn(prefix, rowkey.After(prefix), func(key, value []byte) error {
		older++
		_, v, err := c.version(value, id, name)
		if err != nil || v == nil {
			return err
		}
		if _, _, keyID, ok := cutVersionKey(key); !ok || keyID != v.ID {
			c.damage(errs.Version, versionName(id, name, v.ID), "it stands under the wrong key")
		}
		if v.ID >= last {
			c.damage(errs.Version, versionName(id, name, v.ID), "it is not older than version %d above it", last)
		}
		last = v.ID
		if v.Null {
			if null != 0 {
				c.damage(errs.Object, versionName(id, name, v.ID), "the name has two null versions")
			}
			null = v.ID
		}
		return nil
	})
	if err != nil {
		return err
	}
	if older != r.older {
		c.damage(errs.Object, versionName(id, name, newest.ID), "it has %d older versions, its head tells %d", older, r.older)
	}
	if null != r.null {
		c.damage(errs.Object, versionName(id, name, newest.ID), "its null version is %d, its head tells %d", null, r.null)
	}
	return nil
}

// checkHistory finds versions that no head leads to.
func (c *checker) checkHistory() error {
	var lastContainer naming.ContainerID
	var lastName naming.ObjectName
	known := false
	return c.each(spaceHistory, func(key, _ []byte) error {
		id, name, v, ok := cutVersionKey(key)
		if !ok {
			c.damage(errs.Version, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		if known && id == lastContainer && name == lastName {
			return nil
		}
		h, err := c.head(id, name)
		if err != nil {
			return err
		}
		if h == nil {
			c.damage(errs.Version, versionName(id, name, v), "the name has no newest version")
		}
		lastContainer, lastName, known = id, name, true
		return nil
	})
}

// head reads a head; nil when there is none or it cannot be read.
func (c *checker) head(id naming.ContainerID, name naming.ObjectName) (*head, error) {
	h, err := readHead(c.db, id, name)
	if errs.Is(err, errs.Corrupt) {
		return nil, nil // reported by checkHeads
	}
	return h, err
}

// find reads a version by id; nil when there is none or it cannot be read.
func (c *checker) find(id naming.ContainerID, name naming.ObjectName, v object.VersionID) (row, *object.Version, error) {
	h, err := c.head(id, name)
	if h == nil || err != nil {
		return row{}, nil, err
	}
	if h.version.ID == v {
		return h.row, h.version, nil
	}
	found, r, err := readOlder(c.db, id, name, v)
	if errs.Is(err, errs.Corrupt) {
		return r, nil, nil
	}
	return r, found, err
}

func (c *checker) checkDetails() error {
	return c.each(spaceDetail, func(key, _ []byte) error {
		id, name, v, ok := cutVersionKey(key)
		if !ok {
			c.damage(errs.Version, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		r, found, err := c.find(id, name, v)
		if err == nil && (found == nil || !r.split) {
			c.leak(errs.Version, versionName(id, name, v), "a detail belongs to no version")
		}
		return err
	})
}

// checkBodies finds kept bytes that no version has. That they are those of their hash is tested with the blocks.
func (c *checker) checkBodies() error {
	return c.each(spaceBody, func(key, _ []byte) error {
		id, v, name, ok := cutOrderedKey(key)
		if !ok {
			c.damage(errs.Version, fmt.Sprintf("%x", key), "the key of kept bytes cannot be read")
			return nil
		}
		r, found, err := c.find(id, name, v)
		if err == nil && (found == nil || !r.kept) {
			c.leak(errs.Version, versionName(id, name, v), "kept bytes belong to no version")
		}
		return err
	})
}

func (c *checker) checkJournal() error {
	return c.each(spaceJournal, func(key, value []byte) error {
		id, v, name, ok := cutOrderedKey(key)
		if !ok || len(value) > 1 {
			c.damage(errs.Version, fmt.Sprintf("%x", key), "the row of the journal cannot be read")
			return nil
		}
		kind := object.Data
		if len(value) == 1 {
			kind = object.Kind(value[0])
		}
		_, found, err := c.find(id, name, v)
		switch {
		case err != nil:
			return err
		case found == nil:
			c.damage(errs.Version, versionName(id, name, v), "the journal tells of a version that is not there")
		case found.Kind != kind:
			c.damage(errs.Version, versionName(id, name, v), "the journal tells kind %d, it has %d", kind, found.Kind)
		}
		return nil
	})
}

func (c *checker) checkExpiry() error {
	return c.each(spaceExpiry, func(key, value []byte) error {
		d, ok := cutExpiryKey(key)
		if !ok {
			c.damage(errs.Version, fmt.Sprintf("%x", key), "the row of the expiry index cannot be read")
			return nil
		}
		_, found, err := c.find(d.Container, d.Name, d.ID)
		if err == nil && (found == nil || !found.Expires.Equal(d.Expires)) {
			c.damage(errs.Version, versionName(d.Container, d.Name, d.ID), "the expiry index has it at %v, where it does not expire", d.Expires.Format(time.RFC3339))
		}
		return err
	})
}
