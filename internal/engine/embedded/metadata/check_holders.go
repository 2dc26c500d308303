package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

func uploadName(k meta.UploadKey) string { return fmt.Sprintf("%v/%s?%s", k.Container, k.Name, k.ID) }

func (c *checker) checkUploads() error {
	return c.each(spaceUpload, func(key, value []byte) error {
		k, ok := cutUploadKey(key[1:])
		if !ok {
			c.damage(errs.Upload, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		if _, err := meta.ParseUpload(k, value); err != nil {
			c.damage(errs.Upload, uploadName(k), "the record cannot be read")
		}
		return nil
	})
}

func (c *checker) checkParts() error {
	return c.each(spacePart, func(key, value []byte) error {
		k, number, ok := cutPartKey(key)
		if !ok {
			c.damage(errs.Part, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		name := fmt.Sprintf("%s#%d", uploadName(k), number)
		p, err := meta.ParsePart(value)
		if err != nil || p.Number != number {
			c.damage(errs.Part, name, "the record cannot be read")
			return nil //nolint:nilerr // the damage is reported; the check goes on
		}
		c.containers[k.Container] = c.containers[k.Container].Add(meta.Usage{UploadParts: 1, UploadBytes: p.Size})
		if ok, err := c.has(uploadKey(nil, spaceUpload, k)); err != nil {
			return err
		} else if !ok {
			c.damage(errs.Part, name, "its upload is not there")
		}
		return c.holds(p.Content.Holder, name)
	})
}

func (c *checker) checkCompletions() error {
	times := make(map[string]bool) // a week's worth
	err := c.each(spaceCompleted, func(key, _ []byte) error {
		if len(key) > 1+idLen {
			times[string(key[1+idLen:])] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.each(spaceCompletion, func(key, value []byte) error {
		k, ok := cutUploadKey(key[1:])
		if !ok {
			c.damage(errs.Upload, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		if _, err := meta.ParseCompletion(k.Name, value); err != nil {
			c.damage(errs.Upload, uploadName(k), "the record of its completion cannot be read")
		}
		if !times[string(key[1:])] {
			c.leak(errs.Upload, uploadName(k), "its completion will not be forgotten")
		}
		return nil
	})
}

// checkHolders compares the rows of holders with what names them.
func (c *checker) checkHolders() error {
	var stored holderSum
	err := c.each(spaceHolder, func(key, value []byte) error {
		if len(key) != 1+len(block.Holder{}) {
			c.damage(errs.Holder, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		h := block.Holder(key[1:])
		st, err := parseHolderState(value)
		if err != nil {
			c.damage(errs.Holder, h.String(), "its row cannot be read")
			return nil //nolint:nilerr // the damage is reported; the check goes on
		}
		if !st.dead {
			stored.add(h, st.names)
			return nil
		}
		if ok, err := c.has(timedHolderKey(nil, spaceDead, st.died, h)); err != nil {
			return err
		} else if !ok {
			c.leak(errs.Holder, h.String(), "it is dead, but nobody will collect it")
		}
		return nil
	})
	if err != nil || stored == c.named {
		return err
	}
	return c.compareNames()
}

// compareNames finds the holders whose names are counted wrong. It keeps all of them in memory, so it is left to the rare case.
func (c *checker) compareNames() error {
	names := make(map[block.Holder]int64)
	count := func(h block.Holder) {
		if !h.IsZero() {
			names[h]++
		}
	}
	for _, space := range []byte{spaceLive, spaceMarker} {
		err := c.each(space, func(key, value []byte) error {
			if len(key) < prefixLen {
				return nil
			}
			_, v, err := parseVersionRow(c.db, value, naming.ContainerID(key[1:prefixLen]), naming.ObjectName(key[prefixLen:]))
			if err == nil {
				count(v.Content.Holder)
			}
			return unlessCorrupt(err)
		})
		if err != nil {
			return err
		}
	}
	err := c.each(spaceHistory, func(key, value []byte) error {
		id, name, _, ok := cutVersionKey(key)
		if !ok {
			return nil
		}
		_, v, err := parseVersionRow(c.db, value, id, name)
		if err == nil {
			count(v.Content.Holder)
		}
		return unlessCorrupt(err)
	})
	if err != nil {
		return err
	}
	err = c.each(spacePart, func(_, value []byte) error {
		if p, err := meta.ParsePart(value); err == nil {
			count(p.Content.Holder)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.each(spaceHolder, func(key, value []byte) error {
		st, err := parseHolderState(value)
		if err != nil || len(key) != 1+len(block.Holder{}) || st.dead {
			return unlessCorrupt(err)
		}
		h := block.Holder(key[1:])
		if n := names[h]; n != int64(st.names) {
			c.damage(errs.Holder, h.String(), "%d versions and parts name it, its row tells %d", n, st.names)
		}
		return nil
	})
}

func unlessCorrupt(err error) error {
	if errs.Is(err, errs.Corrupt) {
		return nil
	}
	return err
}

func (c *checker) checkDead() error {
	return c.each(spaceDead, func(key, _ []byte) error {
		died, h, ok := cutTimedHolderKey(key)
		if !ok {
			c.damage(errs.Holder, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		st, err := readHolder(c.db, h)
		if unlessCorrupt(err) == nil && (!st.dead || !st.died.Equal(died)) {
			c.damage(errs.Holder, h.String(), "it waits to be collected, but it did not die at %v", died.Format(time.RFC3339Nano))
		}
		return unlessCorrupt(err)
	})
}

// checkIntents finds intents that cannot be: of holders that are dead or named. Leases must be found by their time.
func (c *checker) checkIntents() error {
	err := c.each(spaceIntent, func(key, value []byte) error {
		in, err := parseIntent(value)
		if err != nil || len(key) != 1+len(block.Holder{}) {
			c.damage(errs.Holder, fmt.Sprintf("%x", key), "the row of its intent cannot be read")
			return nil //nolint:nilerr // the damage is reported; the check goes on
		}
		h := block.Holder(key[1:])
		st, err := readHolder(c.db, h)
		if err != nil {
			return unlessCorrupt(err)
		}
		if st.dead || st.names > 0 {
			c.damage(errs.Holder, h.String(), "its intent was used up, but is still there")
		}
		if !in.lease {
			return nil
		}
		ok, err := c.has(timedHolderKey(nil, spaceLease, in.expires, h))
		if err == nil && !ok {
			c.leak(errs.Holder, h.String(), "its lease will not end")
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.each(spaceLease, func(key, _ []byte) error {
		end, h, ok := cutTimedHolderKey(key)
		if !ok {
			c.damage(errs.Holder, fmt.Sprintf("%x", key), "the key cannot be read")
			return nil
		}
		in, ok, err := readLease(c.db, h)
		if unlessCorrupt(err) == nil && (!ok || !in.expires.Equal(end)) {
			c.leak(errs.Holder, h.String(), "a lease that it does not have ends at %v", end.Format(time.RFC3339))
		}
		return unlessCorrupt(err)
	})
}

// checkCounters compares the stored counters with the sums.
func (c *checker) checkCounters() error {
	accounts := make(map[naming.AccountID]meta.Usage)
	for id, sum := range c.containers {
		owner, ok := c.owners[id]
		if !ok && sum != (meta.Usage{}) {
			c.damage(errs.Container, id.String(), "nobody owns it")
		}
		accounts[owner] = accounts[owner].Add(sum)
	}
	err := c.compareCounters(errs.Container, spaceContainer, func(key []byte) (string, meta.Usage, bool) {
		id := naming.ContainerID{}
		ok := copy(id[:], key) == len(id) && len(key) == len(id)
		sum := c.containers[id]
		delete(c.containers, id)
		return id.String(), sum, ok
	})
	if err != nil {
		return err
	}
	err = c.compareCounters(errs.Account, spaceAccount, func(key []byte) (string, meta.Usage, bool) {
		id := naming.AccountID(key)
		sum := accounts[id]
		delete(accounts, id)
		return string(id), sum, true
	})
	if err != nil {
		return err
	}
	for id, sum := range c.containers {
		c.compareUsage(errs.Container, id.String(), meta.Usage{}, sum)
	}
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		c.compareUsage(errs.Account, string(id), meta.Usage{}, accounts[id])
	}
	return nil
}

func (c *checker) compareCounters(thing errs.Thing, space byte, sumOf func(key []byte) (string, meta.Usage, bool)) error {
	return c.each(space, func(key, value []byte) error {
		name, sum, ok := sumOf(key[1:])
		used, err := parseUsage(value)
		if !ok || err != nil {
			c.damage(thing, name, "its counters cannot be read: %v", errors.Join(err))
			return nil
		}
		c.compareUsage(thing, name, used, sum)
		return nil
	})
}

func (c *checker) compareUsage(thing errs.Thing, name string, counted, sum meta.Usage) {
	if counted != sum {
		c.damage(thing, name, "its counters are %+v, the sums %+v", counted, sum)
	}
}
