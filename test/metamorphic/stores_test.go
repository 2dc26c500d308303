package metamorphic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/meta"
)

// storeWeights is how often each operation on the stores comes.
var storeWeights = []weight{
	{"put", 24},
	{"copy", 5},
	{"remove", 10},
	{"amend", 4},
	{"get", 10},
	{"scan", 8},
	{"begin", 4},
	{"part", 8},
	{"finish", 4},
	{"abort", 1},
	{"uploads", 3},
	{"abandon", 2},
	{"extend", 2},
	{"collect", 2},
	{"usage", 4},
	{"seal", 1},
	{"unseal", 2},
	{"drop", 1},
	{"changes", 2},
	{"due", 2},
	{"hold", 3},
	{"blocks", 3},
	{"wait", 2},
	{"restart", 1},
	{"cut", 1},
	{"check", 1},
}

// TestStores compares the stores themselves: the same calls with the same ids.
func TestStores(t *testing.T) {
	runLists(t, storeWeights, func(t *testing.T, e engine, c *clock.Manual) system { return &stores{engine: e, t: t, clock: c} })
}

// stores applies steps to the stores.
type stores struct {
	engine
	t        *testing.T
	clock    *clock.Manual
	versions []meta.Source    // all that were ever made
	uploads  []meta.UploadKey // likewise
	holders  []block.Holder   // all that were ever intended
}

// hash makes bytes of a word and a number.
func hash(word string, n int) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "%s %d", word, n)) }

func holderOf(n int) block.Holder { h := hash("holder", n); return block.Holder(h[:16]) }

// places are three containers; the first two belong to one account.
func container(n int) naming.ContainerID {
	h := hash("container", n%3)
	return naming.ContainerID(h[:16])
}

func account(n int) naming.AccountID { return naming.AccountID([]string{"one", "one", "two"}[n%3]) }

func name(n int) naming.ObjectName {
	return []naming.ObjectName{"a", "a/", "a/b", "a/b/c", "b", "\u00e9", "\U0010ffff"}[n%7]
}

// blockOf is the bytes of one of few blocks of very different sizes.
func blockOf(n int) []byte {
	h := hash("block", n%12)
	return bytes.Repeat(append(h[:], 1), []int{1, 3, 40, 1500}[n%4])
}

// limits are none, or such that are soon reached.
func limits(n int) meta.Limits {
	switch n % 6 {
	case 0:
		return meta.Limits{Account: meta.Limit{Bytes: 200_000}}
	case 1:
		return meta.Limits{Container: meta.Limit{Objects: 4}}
	case 2:
		return meta.Limits{Container: meta.Limit{Bytes: 400_000, ChargeHistory: true}}
	}
	return meta.Limits{}
}

func pick[T any](list []T, n int) (T, bool) {
	var zero T
	if len(list) == 0 {
		return zero, false
	}
	return list[n%len(list)], true
}

// apply does one step.
func (s *stores) apply(ctx context.Context, st step) string {
	now := s.clock.Advance(time.Duration(st.arg[7]%3) * 500 * time.Millisecond)
	a := st.arg
	switch st.op {
	case "put":
		return s.put(ctx, st, now)
	case "copy":
		return s.copy(ctx, st, now)
	case "remove":
		ch := s.change(st, now)
		ch.Op, ch.Target, ch.If, ch.Bypass = meta.Remove, s.which(a[2], a[3], ch.Name), s.condition(a[4]), a[5]%2 == 0
		return s.commit(ctx, ch)
	case "amend":
		ch := s.change(st, now)
		ch.Op, ch.Target = meta.Amend, s.which(a[2], a[3], ch.Name)
		ch.Amend = func(v *object.Version) error {
			v.Tags = []object.Tag{{Key: "k", Value: fmt.Sprint(st.n)}}
			v.LegalHold = a[4]%8 == 0
			v.Retention = object.Retention{Mode: object.RetentionMode(a[5] % 3), Until: now.Add(time.Duration(a[6]%3) * time.Second)}
			return nil
		}
		return s.commit(ctx, ch)
	case "get":
		v, err := s.Meta().Get(ctx, container(a[0]), name(a[1]), s.which(a[2], a[3], name(a[1])))
		return show(err, "%s", versionText(v))
	case "scan":
		return s.scan(ctx, st, now)
	case "begin", "part", "finish", "abort", "uploads":
		return s.upload(ctx, st, now)
	case "abandon", "extend", "collect", "hold", "blocks":
		return s.holding(ctx, st, now)
	case "usage", "seal", "unseal", "drop", "changes", "due":
		return s.place(ctx, st, now)
	case "wait":
		s.clock.Advance(time.Duration(a[0]%40) * time.Hour)
		return ""
	case "restart", "cut":
		return s.restart(ctx, st.op == "cut")
	case "check":
		return s.check(ctx)
	}
	panic("no such step: " + st.op)
}

// restart ends the engine and begins again. Before a power cut all is made durable, so that nothing may be lost.
func (s *stores) restart(ctx context.Context, cut bool) string {
	if err := s.Blobs().Sync(ctx); err != nil {
		return show(err, "")
	}
	if err := s.Meta().Unseal(ctx, naming.ContainerID{1}); err != nil { // a synced write behind all others in the log
		return show(err, "")
	}
	s.Restart(s.t, cut)
	return ""
}

// change is what puts, removals and amendments have in common.
func (s *stores) change(st step, now time.Time) meta.Change {
	return meta.Change{Container: container(st.arg[0]), Account: account(st.arg[0]), Name: name(st.arg[1]), Now: now}
}

func (s *stores) which(by, n int, of naming.ObjectName) meta.Which {
	w := meta.Which{By: meta.By(by % 4)}
	var mine []meta.Source
	for _, v := range s.versions {
		if v.Name == of {
			mine = append(mine, v)
		}
	}
	if v, ok := pick(mine, n); ok {
		w.ID, w.At = v.ID, v.ID.Time().Add(time.Duration(n%3)*time.Microsecond)
	}
	return w
}

func (s *stores) condition(n int) object.Precondition {
	switch n % 10 {
	case 0:
		return object.Precondition{IfNoneMatch: []string{"*"}}
	case 1:
		return object.Precondition{IfMatch: []string{"*"}}
	case 2:
		return object.Precondition{IfMatch: []string{etag(n / 10 % 30)}}
	case 3:
		if v, ok := pick(s.versions, n); ok {
			return object.Precondition{IfVersion: v.ID}
		}
	}
	return object.Precondition{}
}

func etag(n int) string { h := hash("etag", n); return hex.EncodeToString(h[:16]) }

// content holds one or two blocks for a fresh holder as a writer does, or leaves a step of that out.
func (s *stores) content(ctx context.Context, st step, now time.Time) (object.Content, string) {
	a := st.arg
	h := holderOf(st.n)
	if a[6]%9 == 0 {
		return object.Content{Holder: h}, "" // never intended
	}
	s.holders = append(s.holders, h)
	in := meta.Intent{Account: account(a[0]), Expires: now.Add(30 * time.Hour), Lease: true}
	if err := s.Meta().Intend(ctx, h, in); err != nil {
		return object.Content{}, show(err, "")
	}
	c := object.Content{Holder: h}
	for i := range 1 + a[6]%2 {
		data := blockOf(a[5] + i)
		id := block.Sum(data)
		if err := s.Blobs().Put(ctx, blob.Hold{Holder: h, Account: in.Account}, id, data); err != nil {
			return object.Content{}, show(err, "")
		}
		c.Map.Refs = append(c.Map.Refs, block.Ref{ID: id, Len: int64(len(data))})
	}
	return c, show(s.Blobs().Sync(ctx), "")
}

func (s *stores) version(st step, c object.Content) *object.Version {
	a := st.arg
	h := hash("uuid", st.n)
	v := &object.Version{
		Summary: object.Summary{Null: a[2]%2 == 0, ETag: etag(a[3] % 30), Size: c.Map.Size(), ContentType: "t", UUID: [16]byte(h[:16])},
		Content: c,
	}
	switch a[2] % 9 {
	case 0, 1:
		v.Kind, v.Size, v.Content, v.ETag = object.DeleteMarker, 0, object.Content{}, ""
	case 2:
		v.Expires = began.Add(time.Duration(a[4]%100) * time.Hour)
	case 3:
		v.Meta = map[object.Domain]map[string]string{object.UserMeta: {"n": fmt.Sprint(st.n)}}
	case 4:
		v.LegalHold = a[4]%4 == 0
	}
	return v
}

func (s *stores) put(ctx context.Context, st step, now time.Time) string {
	c, failed := s.content(ctx, st, now)
	if failed != "" {
		return failed
	}
	ch := s.change(st, now)
	ch.Version, ch.If, ch.Limits = s.version(st, c), s.condition(st.arg[4]), limits(st.arg[5])
	return s.commit(ctx, ch)
}

func (s *stores) copy(ctx context.Context, st step, now time.Time) string {
	source, ok := pick(s.versions, st.arg[5])
	if !ok {
		return "nothing to copy"
	}
	v, err := s.Meta().Get(ctx, source.Container, source.Name, meta.Which{By: meta.ByID, ID: source.ID})
	var c object.Content
	if err == nil {
		c = v.Content
	}
	ch := s.change(st, now)
	ch.Version, ch.Source = s.version(st, c), &source
	if ch.Version.Kind == object.DeleteMarker {
		ch.Source = nil
	}
	return s.commit(ctx, ch)
}

func (s *stores) commit(ctx context.Context, ch meta.Change) string {
	out, err := s.Meta().Commit(ctx, ch)
	if err != nil {
		return show(err, "")
	}
	if ch.Op == meta.Put {
		s.versions = append(s.versions, meta.Source{Container: ch.Container, Name: ch.Name, ID: out.Version.ID})
	}
	var dropped []string
	for _, v := range out.Dropped {
		dropped = append(dropped, versionText(v))
	}
	return fmt.Sprintf("now %s\nbefore %s\ndropped %q", versionText(out.Version), versionText(out.Before), dropped)
}

// versionText is a whole version in words. The mark of the newest is left out: an outcome need not carry it.
func versionText(v *object.Version) string {
	if v == nil {
		return "none"
	}
	c := *v
	c.Latest = false
	return fmt.Sprintf("%+v", c)
}

func (s *stores) scan(ctx context.Context, st step, now time.Time) string {
	a := st.arg
	view := meta.View{Kind: meta.ViewKind(a[1] % 4), At: now.Add(-time.Duration(a[2]%20) * time.Second)}
	cur := s.Meta().Scan(ctx, container(a[0]), view)
	defer cur.Close()
	var b strings.Builder
	for i := range 3 {
		pos := meta.Position{Name: name(a[3+i])}
		if w := s.which(0, a[4], pos.Name); a[5+i]%2 == 0 {
			pos.ID = w.ID
		}
		cur.Seek(pos)
		for range a[6]%5 + 1 {
			sum, err := cur.Next(ctx)
			if err != nil {
				return show(err, "")
			}
			if sum == nil {
				fmt.Fprintln(&b, "end")
				break
			}
			fmt.Fprintf(&b, "%+v\n", *sum)
		}
	}
	return b.String()
}

func (s *stores) upload(ctx context.Context, st step, now time.Time) string {
	a := st.arg
	k, ok := pick(s.uploads, a[2])
	if st.op == "begin" {
		k = meta.UploadKey{Container: container(a[0]), Name: name(a[1]), ID: fmt.Sprintf("%d-%06d", a[2]%3, st.n)}
		u := meta.Upload{UploadKey: k, Account: account(a[0]), Initiated: now, Initiator: "u", Checksum: object.CRC32C}
		err := s.Meta().Begin(ctx, u)
		if err == nil {
			s.uploads = append(s.uploads, k)
		}
		return show(err, "")
	}
	if !ok {
		return "no uploads"
	}
	switch st.op {
	case "part":
		c, failed := s.content(ctx, st, now)
		if failed != "" {
			return failed
		}
		p := meta.Part{Part: object.Part{Number: a[3]%4 + 1, Size: c.Map.Size(), ETag: etag(a[3]), Modified: now}, Content: c}
		return show(s.Meta().PutPart(ctx, k, p, limits(a[4])), "")
	case "finish":
		c, failed := s.content(ctx, st, now)
		if failed != "" {
			return failed
		}
		v := s.version(st, c)
		v.Kind, v.Upload = object.Data, k.ID
		v.Parts = []object.Part{{Number: 1, Size: v.Size, ETag: etag(a[3])}}
		ch := meta.Change{Container: k.Container, Account: s.accountOf(k.Container), Name: k.Name, Now: now, Version: v, Upload: k.ID}
		ch.If, ch.Limits = s.condition(a[4]), limits(a[5])
		return s.commit(ctx, ch)
	case "abort":
		return show(s.Meta().Abort(ctx, k), "")
	}
	var b strings.Builder
	u, err := s.Meta().FindUpload(ctx, k)
	fmt.Fprintln(&b, show(err, "%+v", u))
	done, err := s.Meta().Completed(ctx, k)
	done.Summary.Latest = false
	fmt.Fprintln(&b, show(err, "%+v", done))
	s.pending(ctx, &b, container(a[0]), name(a[1]))
	return b.String()
}

func (s *stores) accountOf(id naming.ContainerID) naming.AccountID {
	for i := range 3 {
		if container(i) == id {
			return account(i)
		}
	}
	return ""
}

// pending writes the open uploads of a container with their parts.
func (s *stores) pending(ctx context.Context, b *strings.Builder, id naming.ContainerID, after naming.ObjectName) {
	err := s.Meta().Pending(ctx, id, after, "", func(u meta.Upload) bool {
		fmt.Fprintf(b, "%+v\n", u)
		err := s.Meta().Parts(ctx, u.UploadKey, 0, func(p meta.Part) bool {
			fmt.Fprintf(b, "%+v\n", p)
			return true
		})
		fmt.Fprintln(b, show(err, ""))
		return true
	})
	fmt.Fprintln(b, show(err, ""))
}

func (s *stores) holding(ctx context.Context, st step, now time.Time) string {
	h, _ := pick(s.holders, st.arg[0])
	switch st.op {
	case "abandon":
		return show(s.Meta().Abandon(ctx, h), "")
	case "extend":
		return show(s.Meta().Extend(ctx, h, now.Add(time.Duration(st.arg[1]%50)*time.Hour)), "")
	case "hold":
		var ids []block.ID
		for i := range 5 {
			ids = append(ids, block.Sum(blockOf(st.arg[i])))
		}
		h := blob.Hold{Holder: holderOf(st.n), Account: account(st.arg[0])}
		missing, err := s.Blobs().Hold(ctx, h, ids)
		return show(err, "%v", missing) // an orphan, for the next collection
	case "blocks":
		return s.blocks(ctx, account(st.arg[0]))
	}
	return s.collect(ctx, now)
}

// blocks tells what the blobstore holds. The order is the engine's own.
func (s *stores) blocks(ctx context.Context, of naming.AccountID) string {
	var b strings.Builder
	var ids []block.ID
	var lines []string
	err := s.Blobs().Walk(ctx, nil, func(i blob.Info) bool {
		ids = append(ids, i.ID)
		lines = append(lines, fmt.Sprintf("%+v", i))
		return true
	})
	slices.Sort(lines)
	slices.SortFunc(ids, func(a, b block.ID) int { return bytes.Compare(a[:], b[:]) })
	fmt.Fprintf(&b, "%q %s\n", lines, show(err, ""))
	for i := range 12 {
		ids = append(ids, block.Sum(blockOf(i)))
	}
	held, err := s.Blobs().Held(ctx, of, ids)
	fmt.Fprintln(&b, show(err, "%v", held))
	return b.String()
}

// collect does a whole round of garbage collection, orphans and all.
func (s *stores) collect(ctx context.Context, now time.Time) string {
	var b strings.Builder
	n, err := s.Meta().Reap(ctx, now, 1000)
	fmt.Fprintln(&b, show(err, "reaped %d", n))
	var holders []block.Holder
	of := map[block.Holder]naming.AccountID{}
	err = s.Blobs().WalkHolders(ctx, block.Holder{}, func(h block.Holder, a naming.AccountID) bool {
		holders = append(holders, h)
		of[h] = a
		return true
	})
	slices.SortFunc(holders, func(a, b block.Holder) int { return bytes.Compare(a[:], b[:]) })
	for _, h := range holders {
		fmt.Fprintln(&b, h, of[h])
	}
	fmt.Fprintln(&b, show(err, ""))
	alive, err := s.Meta().Alive(ctx, holders)
	fmt.Fprintln(&b, show(err, "alive %v", alive))
	dead, err := s.Meta().Dead(ctx, now, 10_000)
	fmt.Fprintln(&b, show(err, "%d dead", len(dead)))
	for i, h := range holders {
		if alive[i] || slices.Contains(dead, h) {
			continue
		}
		fmt.Fprintln(&b, "orphan", h, show(s.Meta().Abandon(ctx, h), ""))
	}
	dead, err = s.Meta().Dead(ctx, now.Add(-time.Duration(len(alive)%2)*time.Second), 10_000)
	slices.SortFunc(dead, func(a, b block.Holder) int { return bytes.Compare(a[:], b[:]) })
	fmt.Fprintln(&b, show(err, "dead %v", dead))
	fmt.Fprintln(&b, show(s.Blobs().Release(ctx, dead), ""), show(s.Meta().Forget(ctx, dead), ""))
	var after *block.ID
	var sum blob.SweepReport
	for {
		r, next, err := s.Blobs().Sweep(ctx, now, blob.Budget{Blocks: 5}, after)
		if err != nil {
			return show(err, "")
		}
		sum.Deleted += r.Deleted
		sum.Bytes += r.Bytes
		if after = next; next == nil {
			break
		}
	}
	if c, ok := blob.As[blob.Compactor](s.Blobs()); ok {
		if _, err := c.Compact(ctx); err != nil {
			return show(err, "")
		}
	}
	fmt.Fprintf(&b, "deleted %d of %d bytes\n", sum.Deleted, sum.Bytes)
	return b.String() + s.check(ctx)
}

func (s *stores) place(ctx context.Context, st step, now time.Time) string {
	a := st.arg
	id := container(a[0])
	switch st.op {
	case "seal":
		return show(s.Meta().Seal(ctx, id), "")
	case "unseal":
		return show(s.Meta().Unseal(ctx, id), "")
	case "drop":
		return show(s.Meta().Drop(ctx, id, account(a[0])), "")
	case "usage":
		u, err := s.Meta().ContainerUsage(ctx, id)
		v, err2 := s.Meta().AccountUsage(ctx, account(a[0]))
		empty, err3 := s.Meta().Empty(ctx, id, a[1]%2 == 0)
		return show(err, "%+v ", u) + show(err2, "%+v ", v) + show(err3, "%v", empty)
	case "changes":
		var b strings.Builder
		w := s.which(0, a[1], name(a[2]))
		err := s.Meta().Changes(ctx, id, w.ID, name(a[2]), func(c meta.Changed) bool {
			fmt.Fprintf(&b, "%+v\n", c)
			return b.Len() < a[3]%1000
		})
		return show(err, "") + b.String()
	}
	var due []string
	err := s.Meta().Due(ctx, now, 1000, func(d meta.DueVersion) bool {
		due = append(due, fmt.Sprintf("%+v", d))
		return true
	})
	slices.Sort(due) // those of one moment come in any order
	return show(err, "%q", due)
}

// check tells everything, and that every block of every version can be read (I4).
func (s *stores) check(ctx context.Context) string {
	var b strings.Builder
	for i := range 3 {
		cur := s.Meta().Scan(ctx, container(i), meta.View{Kind: meta.ViewAll})
		for {
			sum, err := cur.Next(ctx)
			if err != nil {
				return show(err, "")
			}
			if sum == nil {
				break
			}
			v, err := s.Meta().Get(ctx, container(i), sum.Name, meta.Which{By: meta.ByID, ID: sum.ID})
			if err != nil {
				return "BROKEN: scanned, but not there: " + show(err, "")
			}
			fmt.Fprintf(&b, "%v %+v\n", sum.Latest, *v)
			for _, ref := range v.Content.Map.Refs {
				data := make([]byte, ref.Len)
				if n, err := s.Blobs().Read(ctx, ref.ID, 0, data); err != nil || block.Sum(data[:n]) != ref.ID {
					return fmt.Sprintf("BROKEN: a block of version %d of %q: %d bytes, %v", v.ID, v.Name, n, err)
				}
			}
		}
		cur.Close()
		s.pending(ctx, &b, container(i), "")
		b.WriteString(s.place(ctx, step{op: "usage", arg: [8]int{i, 1}}, began))
	}
	return b.String()
}
