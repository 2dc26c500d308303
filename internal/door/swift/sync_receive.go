package swift

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// Container sync, the receiving side: a request of another cluster that is signed with the key of a realm and that of the container may look at, put and
// delete objects of the container, at the time that it names (swift/common/middleware/container_sync.py). It may do less than in Swift: a signature opens
// neither reading nor listing, and the query, over which it does not go, is ignored.

// syncAhead is how far the clock of another cluster may be ahead of ours. A change from farther ahead would hold whatever is written here back for so long.
const syncAhead = 5 * time.Minute

// syncTime is the moment of a version as clusters tell it each other: seconds with five decimals and, where that is not exact, Swift's offset behind it.
func syncTime(id object.VersionID) string {
	text := timestamp(id.Time())
	if rest := uint64(id % 10); rest > 0 {
		text += fmt.Sprintf("_%016x", rest)
	}
	return text
}

// parseSyncTime reads a timestamp of Swift: a number of seconds, perhaps with an offset behind it.
func parseSyncTime(text string) (object.VersionID, bool) {
	number, offset, has := strings.Cut(strings.TrimSpace(text), "_")
	whole, part, _ := strings.Cut(number, ".")
	seconds, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || seconds > deleteAtMax {
		return 0, false
	}
	tens, err := strconv.ParseUint((part + "00000")[:5], 10, 64)
	if err != nil {
		return 0, false
	}
	var rest uint64
	if has {
		if rest, err = strconv.ParseUint(offset, 16, 64); err != nil {
			return 0, false
		}
	}
	id := object.VersionID(seconds*1_000_000 + tens*10 + min(rest, 9))
	return id, id > 0
}

// openSync tells whether another cluster asks. Error: 401 for a signature that is not good.
func (c *call) openSync(ctx context.Context) (bool, error) {
	signed := c.h("X-Container-Sync-Auth")
	plain := len(c.door.o.Sync.Hosts) > 0 && c.level == objectLevel && c.h("X-Container-Sync-Key") != "" && c.h("X-Timestamp") != ""
	if signed == "" && !plain || c.level < containerLevel {
		return false, nil
	}
	key, err := c.syncKey(ctx)
	if err != nil {
		return false, err
	}
	if signed == "" {
		// As in Swift, where the key is not that of the container a token may do.
		if key == "" || !hmac.Equal([]byte(key), []byte(c.h("X-Container-Sync-Key"))) {
			return false, nil
		}
	} else {
		at := c.h("X-Timestamp")
		if at == "" {
			at = "0"
		}
		parts := strings.Fields(signed)
		if len(parts) != 3 || !c.door.realms().signed(parts[0], c.r.Method, pathQuote(c.path), at, parts[1], parts[2], key) {
			return false, refusal(http.StatusUnauthorized, "X-Container-Sync-Auth header not valid; contact cluster operator for support.").
				carrying("Www-Authenticate", c.syncRealm())
		}
	}
	if c.level != objectLevel || c.r.Method != http.MethodHead && c.r.Method != http.MethodPut && c.r.Method != http.MethodDelete {
		return false, refusal(http.StatusMethodNotAllowed, "").carrying("Allow", "HEAD, PUT, DELETE")
	}
	c.query = url.Values{}
	c.synced, c.caller.RequestID, c.caller.Facts = true, c.id, c
	c.caller.Principal = c.bearer(access.Scope{Account: c.owner, Container: naming.ContainerName(c.rawNames[0])})
	return true, nil
}

// syncRealm is the challenge to a cluster whose signature is not good.
func (c *call) syncRealm() string {
	_, rest, _ := strings.Cut(c.realm(), " ")
	return "SwiftContainerSync " + rest
}

// syncKey is the key of the container in the path; "" when it has none, or is not there.
func (c *call) syncKey(ctx context.Context) (string, error) {
	account, err := c.door.b.Account(ctx, c.owner)
	if errs.Is(err, errs.NotFound) || err == nil && account.Disabled {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	c.ownerID = account.Canonical
	found, err := c.peek(ctx, naming.ContainerName(c.rawNames[0]))
	if err != nil || found == nil {
		return "", err
	}
	return string(found.Config.Documents[backend.SyncKeyDocument]), nil
}

// serveSync does what another cluster asks.
func (c *call) serveSync(ctx context.Context) (*reply, error) {
	container, err := c.door.b.Found(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	newest, err := c.door.b.Newest(ctx, container, c.name)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if c.r.Method == http.MethodHead {
		return c.headSynced(newest)
	}
	stamp, ok := parseSyncTime(c.h("X-Timestamp"))
	switch {
	case !ok:
		return nil, bad("X-Timestamp should be a UNIX timestamp float value; was " + quoted(c.h("X-Timestamp")))
	case stamp > object.IDAt(c.started.Add(syncAhead)):
		return nil, bad("X-Timestamp is ahead of this cluster's clock: " + quoted(c.h("X-Timestamp")))
	case c.has("X-Copy-From"):
		return nil, bad("Container sync copies nothing.")
	case len(container.Config.Documents[archiveDocument]) > 0:
		return nil, refusal(http.StatusNotImplemented, "Container sync into a container with X-Versions-Location or X-History-Location is not served here.")
	}
	if c.r.Method == http.MethodDelete {
		return c.deleteSynced(ctx, newest, stamp)
	}
	if newest != nil && newest.Stamped() >= stamp {
		return c.tooOld(), nil // before anything of the body is read
	}
	switch {
	case flag(c.h("X-Static-Large-Object")):
		err = c.putSyncedManifest(ctx, stamp)
	case c.h("X-Symlink-Target") != "":
		err = c.putSyncedLink(ctx, stamp)
	default:
		err = c.putSynced(ctx, stamp)
	}
	if errs.ReasonOf(err) == errs.Older {
		return c.tooOld(), nil
	}
	if err != nil {
		return nil, err
	}
	return empty(http.StatusCreated), nil
}

// tooOld answers a change that is not the newest, as Swift's proxy does.
func (c *call) tooOld() *reply {
	rep := c.accepted()
	rep.refused = true
	return rep
}

// headSynced tells how new an object is, without following links.
func (c *call) headSynced(v *object.Version) (*reply, error) {
	if v == nil || !v.Visible() || !v.Expires.IsZero() && !v.Expires.After(c.started) {
		return nil, refusal(http.StatusNotFound, "")
	}
	c.set("X-Timestamp", syncTime(v.Stamped()))
	c.set("Last-Modified", lastModified(v.Made()))
	c.set("Etag", v.ETag)
	c.set("Content-Type", typeOf(v.ContentType))
	c.setInt("Content-Length", v.Size)
	return empty(http.StatusOK), nil
}

// deleteSynced deletes an object as of a time, and remembers that, whether or not there is one.
func (c *call) deleteSynced(ctx context.Context, newest *object.Version, stamp object.VersionID) (*reply, error) {
	d, err := c.door.b.Delete(ctx, c.caller, backend.DeleteRequest{Target: c.target(), Stamp: stamp})
	switch {
	case errs.ReasonOf(err) == errs.Older && newest != nil && newest.Visible():
		return nil, refusal(http.StatusConflict, "").because(err)
	case errs.ReasonOf(err) == errs.Older, err == nil && d.Nothing:
		return nil, refusal(http.StatusNotFound, "").because(err)
	case err != nil:
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// putSynced writes an object with its bytes, or a dynamic manifest.
func (c *call) putSynced(ctx context.Context, stamp object.VersionID) error {
	body, err := c.payload()
	if err != nil {
		return err
	}
	a, err := c.attributes()
	if err != nil {
		return err
	}
	if err := c.manifested(&a); err != nil {
		return err
	}
	a.Stamp, a.Encryption.PlainETag = stamp, true
	_, err = c.door.b.Put(ctx, c.caller, backend.PutRequest{Container: c.ref(), Name: c.name, Attributes: a, Body: body})
	return err
}

// putSyncedLink writes a link. One that is pinned to an ETag is taken as it is while its target has not come yet.
func (c *call) putSyncedLink(ctx context.Context, stamp object.VersionID) error {
	body, err := c.payload()
	if err != nil {
		return err
	}
	var one [1]byte
	if n, _ := io.ReadFull(body.Reader, one[:]); n > 0 || body.Size > 0 {
		return bad("Symlink requests require a zero byte body")
	}
	link, err := c.linkTarget()
	if err != nil {
		return err
	}
	a, err := c.attributes()
	if err != nil {
		return err
	}
	if link.ETag != "" && c.pinLink(ctx, link, &a, true) != nil {
		if link.Bytes, err = strconv.ParseInt(c.h("X-Symlink-Target-Bytes"), 10, 64); err != nil || link.Bytes < 0 {
			return bad("Bad X-Symlink-Target-Bytes header value")
		}
	}
	a.Kind, a.Note, a.Stamp = object.Link, link.Encode(), stamp
	_, err = c.door.b.Put(ctx, c.caller, backend.PutRequest{Container: c.ref(), Name: c.name, Attributes: a, Body: backend.Body{Reader: strings.NewReader("")}})
	return err
}

// putSyncedManifest makes a static large object out of the manifest that another cluster has stored. Here a manifest is joined with its segments, so it is
// refused until they have come; the other side tries again. Segments may lie in containers of the account that take part in container sync themselves: what
// others keep there is no cluster's business.
func (c *call) putSyncedManifest(ctx context.Context, stamp object.VersionID) error {
	raw, err := c.manifestBody()
	if err != nil {
		return err
	}
	if sum := md5.Sum(raw); c.expectedETag() != "" && c.expectedETag() != hex.EncodeToString(sum[:]) {
		return refusal(http.StatusUnprocessableEntity, "")
	}
	given, err := rawManifest(raw)
	if err != nil {
		return bad("Manifest must be valid JSON.\n").because(err)
	}
	p := staticPut{to: c.target()}
	if p.entries, err = parseManifest(given, p.to); err != nil {
		return err
	}
	if p.attributes, err = c.attributes(); err != nil {
		return err
	}
	p.attributes.Stamp = stamp
	if err := c.mayHaveSegments(ctx, p.entries); err != nil {
		return err
	}
	c.caller.Principal = c.bearer(access.Scope{Account: c.owner})
	_, problems, err := c.storeStatic(ctx, p)
	if len(problems) > 0 {
		return refusal(http.StatusConflict, "The segment "+clip(problems[0][0])+" is not here yet: "+problems[0][1])
	}
	return err
}

// mayHaveSegments refuses manifests with segments in containers that take no part in container sync.
func (c *call) mayHaveSegments(ctx context.Context, entries []manifestEntry) error {
	seen := map[naming.ContainerName]bool{c.container: true}
	for i := range entries {
		in := entries[i].place.Container.Name
		if entries[i].data != nil || seen[in] {
			continue
		}
		found, err := c.peek(ctx, in)
		if err != nil {
			return err
		}
		if found == nil || len(found.Config.Documents[backend.SyncKeyDocument]) == 0 {
			return refusal(http.StatusConflict, "The container "+clip(string(in))+" has segments of the object and takes no part in container sync.")
		}
		seen[in] = true
	}
	return nil
}

// syncChange reads what a request changes of a container's part in container sync; nil for nothing. Error: 400 for a destination that is not allowed.
func (c *call) syncChange() (func(cfg *bucket.Config) error, error) {
	documents := map[string]*string{}
	for header, document := range map[string]string{"Container-Sync-To": backend.SyncToDocument, "Container-Sync-Key": backend.SyncKeyDocument} {
		switch value := c.h("X-" + header); {
		case c.has("X-" + header):
			documents[document] = &value
		case c.h("X-Remove-"+header) != "":
			documents[document] = new(string)
		}
	}
	to := documents[backend.SyncToDocument]
	if to != nil && strings.Trim(*to, "/") == "" {
		*to = ""
	}
	if to != nil && *to != "" {
		if _, err := c.door.realms().aim(*to, c.door.o.Sync.Hosts); err != nil {
			return nil, err
		}
	}
	enables := c.has("X-Versions-Enabled")
	if len(documents) == 0 && !enables {
		return nil, nil
	}
	return func(cfg *bucket.Config) error {
		if len(cfg.Documents[backend.SyncToDocument]) > 0 && enables {
			return bad("Cannot enable object versioning on a container configured as source of container syncing.")
		}
		for document, value := range documents {
			if *value == "" {
				delete(cfg.Documents, document)
			} else {
				cfg.Documents[document] = []byte(*value)
			}
		}
		if to != nil && *to != "" && (enables || cfg.Versioning != bucket.VersioningOff) {
			return bad("Cannot configure container sync on a container with object versioning configured.")
		}
		return nil
	}, nil
}

// showSync sets the headers of container sync, for who administers the account.
func (c *call) showSync(cfg *bucket.Config) {
	c.setIf("X-Container-Sync-To", string(cfg.Documents[backend.SyncToDocument]))
	c.setIf("X-Container-Sync-Key", string(cfg.Documents[backend.SyncKeyDocument]))
}

// tellSync tells of a container whose settings were changed.
func (c *call) tellSync(container *bucket.Container) {
	if tell := c.door.o.Sync.Changed; tell != nil {
		tell(container)
	}
}
