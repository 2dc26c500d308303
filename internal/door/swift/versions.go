package swift

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Swift's versions are the container's versions, those of S3 too, with three differences, for which versions carry notes (backend.StateOf,
// backend.Hidden). A POST changes a version: here, it makes a later state of it, that has its id in Swift. An old version can be made the
// newest again under its own id: that is a later state of it too. And when the newest version is deleted, no older one takes its place: a hidden delete
// marker sees to that.

const (
	markerType = "application/x-deleted;swift_versions_deleted=1"
	emptyMD5   = "d41d8cd98f00b204e9800998ecf8427e"
)

// versionName is a version id as Swift shows it: its time in seconds.
func versionName(id object.VersionID) string {
	us := strconv.FormatUint(uint64(id), 10)
	if len(us) <= 6 {
		us = strings.Repeat("0", 7-len(us)) + us
	}
	return us[:len(us)-6] + "." + us[len(us)-6:]
}

// parseVersion reads a version id; ok is false when it is none.
func parseVersion(text string) (id object.VersionID, ok bool) {
	whole, part, _ := strings.Cut(text, ".")
	if len(part) > 6 || whole == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+part+strings.Repeat("0", 6-len(part)), 10, 63)
	return object.VersionID(n), err == nil
}

// shownVersion is a version as Swift sees it.
type shownVersion struct {
	name   string           // "null" for the newest, when it was made while the container kept no versions
	id     object.VersionID // that it is known by
	state  object.Summary   // its latest state
	states []object.VersionID
	latest bool
}

// versionsFrom makes Swift's view of all versions of one name, newest first in both.
func versionsFrom(stored []object.Summary) []shownVersion {
	var list []shownVersion
	index := map[object.VersionID]int{}
	for i := range stored {
		s := &stored[i]
		if backend.Hidden(s) {
			continue
		}
		id := backend.StateOf(s)
		at, known := index[id]
		if !known {
			at = len(list)
			for at > 0 && list[at-1].id < id { // a later state stands where its version does
				at--
			}
			list = append(list[:at], append([]shownVersion{{name: versionName(id), id: id, state: *s}}, list[at:]...)...)
			for j := at; j < len(list); j++ {
				index[list[j].id] = j
			}
		}
		list[at].states = append(list[at].states, s.ID)
		if i == 0 {
			list[at].latest = true
			if s.Null && id == s.ID {
				list[at].name = "null"
			}
		}
	}
	if len(stored) > 0 && backend.Hidden(&stored[0]) {
		for i := range list {
			if list[i].state.Kind == object.DeleteMarker {
				list[i].latest = true
				break
			}
		}
	}
	return list
}

// versionsOf finds the versions of an object.
func (c *call) versionsOf(ctx context.Context, t backend.Target) (stored []object.Summary, err error) {
	r := backend.ListRequest{Container: t.Container, View: meta.View{Kind: meta.ViewAll}, Prefix: string(t.Name), Limit: pageMax}
	for {
		page, err := c.door.b.List(ctx, c.caller, r)
		if err != nil {
			return nil, err
		}
		for i := range page.Entries {
			if page.Entries[i].Name != t.Name {
				return stored, nil
			}
			stored = append(stored, page.Entries[i])
		}
		if !page.Truncated {
			return stored, nil
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
}

// chosen is what the parameter version-id names.
type chosen struct {
	container bucket.Container
	stored    []object.Summary
	list      []shownVersion
	version   *shownVersion // nil: there is none of that id
}

// choose finds the version that the request names. Only the account's administrators see other versions than the newest.
func (c *call) choose(ctx context.Context, t backend.Target) (*chosen, error) {
	text := c.query.Get("version-id")
	if c.r.Method == http.MethodPost {
		return nil, bad("POST to a specific version is not allowed")
	}
	container, err := c.door.b.Container(ctx, c.caller, t.Container, access.ListBucketVersions)
	if err != nil {
		return nil, err
	}
	if !c.administers(container.Account) && text != "null" {
		return nil, c.denied()
	}
	ch := &chosen{container: container}
	id, ok := parseVersion(text)
	switch {
	case container.Config.Versioning == bucket.VersioningOff && text != "null":
		return nil, bad("version-aware operations require that the container is versioned")
	case !ok && text != "null":
		return nil, bad("Invalid version parameter")
	}
	if ch.stored, err = c.versionsOf(ctx, t); err != nil {
		return nil, err
	}
	ch.list = versionsFrom(ch.stored)
	for i := range ch.list {
		v := &ch.list[i]
		if v.name == text || v.id == id && text != "null" {
			ch.version = v
			return ch, nil
		}
		for _, state := range v.states {
			if state == id {
				ch.version = v
			}
		}
	}
	return ch, nil
}

// current is the newest version, nil when the object is deleted.
func (ch *chosen) current() *shownVersion {
	for i := range ch.list {
		if v := &ch.list[i]; v.latest && v.state.Visible() {
			return v
		}
	}
	return nil
}

// versioned gives the target that a read is about: the version that version-id names, if it names one. A delete marker is 404 with its id.
func (c *call) versioned(ctx context.Context, t backend.Target) (backend.Target, error) {
	if c.query.Get("version-id") == "" {
		return t, nil
	}
	ch, err := c.choose(ctx, t)
	switch {
	case err != nil:
		return t, err
	case ch.version == nil:
		return t, refusal(http.StatusNotFound, "")
	case !ch.version.state.Visible():
		return t, refusal(http.StatusNotFound, "").carrying("X-Object-Version-Id", ch.version.name).carrying("Content-Type", markerType)
	}
	t.Which = meta.Which{By: meta.ByID, ID: ch.version.state.ID}
	return t, nil
}

// describeVersion sets the headers that tell which version it is.
func (c *call) describeVersion(s *shown) {
	if len(s.o.Via) > 0 && s.o.Container.Name == c.container && s.o.Container.Account == c.owner {
		if s.o.Container.Config.Versioning != bucket.VersioningOff {
			c.set("X-Object-Version-Id", c.versionNameOf(&s.o.Version.Summary))
		}
		return
	}
	if s.o.Container.Config.Versioning == bucket.VersioningOff || len(s.o.Via) > 0 {
		if c.query.Get("version-id") != "" {
			c.set("X-Object-Version-Id", c.query.Get("version-id"))
		}
		return
	}
	name := c.versionNameOf(&s.o.Version.Summary)
	c.set("X-Object-Version-Id", name)
	if name != "null" && c.query.Get("version-id") == "" {
		c.set("Content-Location", targetPath(c.target())+"?version-id="+name)
	}
}

// versionNameOf names the newest version, or one that was found by its id.
func (c *call) versionNameOf(s *object.Summary) string {
	id := backend.StateOf(s)
	if s.Null && id == s.ID && (c.query.Get("version-id") == "" || c.query.Get("version-id") == "null") {
		return "null"
	}
	return versionName(id)
}

// restoreVersion serves PUT with version-id: the version becomes the newest again.
func (c *call) restoreVersion(ctx context.Context) (*reply, error) {
	if c.query.Get("version-id") == "null" {
		return nil, bad("Invalid version parameter")
	}
	if len(c.r.TransferEncoding) == 0 && !c.has("Content-Length") {
		return nil, refusal(http.StatusLengthRequired, "Missing Content-Length header.")
	}
	body, err := c.payload()
	if err != nil {
		return nil, err
	}
	if n, _ := body.Reader.Read(make([]byte, 1)); n > 0 || body.Size > 0 {
		return nil, bad("PUT version-id requests require a zero byte body")
	}
	ch, err := c.choose(ctx, c.target())
	if err != nil {
		return nil, err
	}
	if ch.version == nil || !ch.version.state.Visible() {
		return nil, refusal(http.StatusNotFound, "The specified version does not exist")
	}
	source := c.target()
	source.Which = meta.Which{By: meta.ByID, ID: ch.version.state.ID}
	id := ch.version.id
	v, _, err := c.door.b.Copy(ctx, c.caller, backend.CopyRequest{
		Source: source, Container: c.ref(), Name: c.name, Verbatim: true,
		Change: func(v *object.Version, a *backend.Attributes) error {
			a.Expires, a.Owner, a.Note = v.Expires, v.Owner, backend.AsStateOf(v.Note, id)
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return c.stored(v), nil
}

// deleteVersion serves DELETE with version-id.
func (c *call) deleteVersion(ctx context.Context) (*reply, error) {
	ch, err := c.choose(ctx, c.target())
	if err != nil {
		return nil, err
	}
	now, text := ch.current(), c.query.Get("version-id")
	switch {
	case text == "null" && now == nil, text != "null" && ch.version == nil:
		return nil, refusal(http.StatusNotFound, "")
	case text == "null" && now.name != "null":
		// As in Swift, where this deletes the name and leaves its versions.
		if err := c.hideVersions(ctx, c.target()); err != nil {
			return nil, err
		}
		c.set("X-Object-Version-Id", "null")
		return empty(http.StatusNoContent), nil
	}
	v := ch.version
	if v == now {
		now = nil
		if len(ch.list) > 1 {
			if err := c.hideVersions(ctx, c.target()); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range v.states {
		if err := c.forget(ctx, c.target(), id); err != nil {
			return nil, err
		}
	}
	if len(ch.list) == 1 {
		if err := c.sweep(ctx, c.target()); err != nil {
			return nil, err
		}
	}
	c.set("X-Object-Version-Id", v.name)
	c.set("X-Object-Current-Version-Id", "null")
	if now != nil {
		c.set("X-Object-Current-Version-Id", now.name)
	}
	return empty(http.StatusNoContent), nil
}

// hideVersions leaves an object without a newest version.
func (c *call) hideVersions(ctx context.Context, t backend.Target) error {
	_, err := c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: t, Note: backend.HiddenNote()})
	return err
}

// forget removes a stored version for good.
func (c *call) forget(ctx context.Context, t backend.Target, id object.VersionID) error {
	t.Which = meta.Which{By: meta.ByID, ID: id}
	_, err := c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: t})
	return err
}

// sweep removes what is left of an object that has no version any more: hidden markers.
func (c *call) sweep(ctx context.Context, t backend.Target) error {
	stored, err := c.versionsOf(ctx, t)
	if err != nil || len(versionsFrom(stored)) > 0 {
		return err
	}
	for i := range stored {
		if err := c.forget(ctx, t, stored[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// markDeleted deletes an object in a container that keeps versions: it gets a delete marker, also when there is nothing, which is 404 all the same.
func (c *call) markDeleted(ctx context.Context) (*reply, error) {
	_, missing := c.door.b.Open(ctx, c.caller, c.target(), object.Precondition{}, access.DeleteObject)
	if missing != nil && !errs.Is(missing, errs.NotFound) {
		return nil, missing
	}
	d, err := c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: c.target()})
	if err != nil {
		return nil, err
	}
	if missing != nil {
		return nil, refusal(http.StatusNotFound, "").because(missing).carrying("X-Object-Version-Id", versionName(d.Version))
	}
	c.set("X-Object-Version-Id", versionName(d.Version))
	return empty(http.StatusNoContent), nil
}

// emptied removes what is left of a container whose objects have no version any more. Error: 409 when one has.
func (c *call) emptied(ctx context.Context) error {
	r := backend.ListRequest{Container: c.ref(), View: meta.View{Kind: meta.ViewAll}, Limit: pageMax}
	for {
		page, err := c.door.b.List(ctx, c.caller, r)
		if err != nil {
			return err
		}
		for i := range page.Entries {
			s := &page.Entries[i]
			if !backend.Hidden(s) {
				return refusal(http.StatusConflict, "Delete all versions before deleting container.")
			}
			if err := c.forget(ctx, backend.Target{Container: c.ref(), Name: s.Name}, s.ID); err != nil {
				return err
			}
		}
		if !page.Truncated {
			return nil
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
}
