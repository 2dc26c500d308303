package swift

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// changedDocument holds the time of the last PUT or POST of a container, in RFC 3339.
const changedDocument = "swift-changed"

// modifiedOf is when a container was last changed.
func modifiedOf(c *bucket.Container) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, string(c.Config.Documents[changedDocument])); err == nil {
		return at
	}
	return c.Created
}

func refOf(c *bucket.Container) backend.Ref { return backend.Ref{Account: c.Account, Name: c.Name} }

// getContainer serves GET and HEAD of a container: its counters, its metadata and the list of its objects.
func getContainer(ctx context.Context, c *call) (*reply, error) {
	q, err := c.listing(true)
	if err != nil {
		return nil, err
	}
	versions := c.query.Has("versions") && c.r.Method == http.MethodGet
	vq := versionListing{listing: q}
	if versions {
		if vq, err = c.versionListing(q); err != nil {
			return nil, err
		}
		q = vq.listing
	}
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), access.ListBucket)
	if err != nil {
		return c.listUploads(ctx, q, err)
	}
	usage, err := c.door.b.ContainerUsage(ctx, c.caller, c.ref())
	if err != nil {
		return nil, err
	}
	var entries []entry
	c.versions = container.Config.Versioning != bucket.VersioningOff
	switch {
	case versions:
		entries, err = c.listVersions(ctx, vq)
	case c.r.Method != http.MethodHead:
		entries, err = c.listObjects(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	owner := c.owns()
	c.showMetadata("X-Container-Meta-", container.Config.Meta, owner)
	if owner {
		c.setIf("X-Container-Read", string(container.Config.Documents[backend.ReadersDocument]))
		c.setIf("X-Container-Write", string(container.Config.Documents[backend.WritersDocument]))
	}
	if owner {
		c.showSync(&container.Config)
	}
	c.setInt("X-Container-Object-Count", usage.Objects)
	c.setInt("X-Container-Bytes-Used", usage.Stored)
	c.showVersioning(&container)
	c.set("X-Storage-Policy", policyOf(&container.Config).name)
	c.setIf("X-Container-Rfc-Compliant-Etags", string(container.Config.Documents[etagsDocument]))
	c.set("X-Timestamp", timestamp(container.Created))
	c.set("Last-Modified", lastModified(modifiedOf(&container)))
	return c.list(q, "container", string(c.container), entries)
}

// putContainer makes a container, or changes the one that is there. Its name becomes a bucket's too when it is valid for one and free.
func putContainer(ctx context.Context, c *call) (*reply, error) {
	change, err := c.containerChange()
	if err != nil {
		return nil, err
	}
	asked, err := c.policy()
	if err != nil {
		return nil, err
	}
	again := func(found bucket.Container, cfg *bucket.Config) error {
		if err := asked.conflicts(&found.Config); err != nil {
			return err
		}
		return change(found, cfg)
	}
	changed, err := c.door.b.Configure(ctx, c.caller, c.ref(), access.PutContainer, again)
	switch {
	case err == nil:
		c.tellSync(&changed)
		return c.accepted(), nil
	case !errs.IsThing(err, errs.NotFound, errs.Container):
		return nil, err
	}
	n := backend.NewContainer{Account: c.owner, Name: c.container}
	if err := change(bucket.Container{}, &n.Config); err != nil {
		return nil, err
	}
	asked.keep(&n.Config)
	if _, prefix := c.owner.Reseller(); prefix == "" && naming.ValidBucket(string(c.container)) {
		n.Bucket = naming.BucketName(c.container)
	}
	if _, err := c.door.b.Account(ctx, c.owner); err != nil {
		return nil, err
	}
	made, created, err := c.door.b.CreateContainer(ctx, c.caller, n)
	if errs.IsThing(err, errs.Exists, errs.Bucket) {
		n.Bucket = "" // somebody else's bucket has the name: the container lives without
		made, created, err = c.door.b.CreateContainer(ctx, c.caller, n)
	}
	switch {
	case err != nil:
		return nil, err
	case created:
		c.tellSync(&made)
		return empty(http.StatusCreated), nil
	}
	// Somebody else made it at the same time.
	if changed, err = c.door.b.Configure(ctx, c.caller, c.ref(), access.PutContainer, again); err != nil {
		return nil, err
	}
	c.tellSync(&changed)
	return c.accepted(), nil
}

// postContainer changes a container's metadata and lists.
func postContainer(ctx context.Context, c *call) (*reply, error) {
	change, err := c.containerChange()
	if err != nil {
		return nil, err
	}
	changed, err := c.door.b.Configure(ctx, c.caller, c.ref(), access.PutContainer, change)
	if err != nil {
		return nil, err
	}
	c.tellSync(&changed)
	return empty(http.StatusNoContent), nil
}

func deleteContainer(ctx context.Context, c *call) (*reply, error) {
	err := c.door.b.DeleteContainer(ctx, c.caller, c.ref())
	if errs.Is(err, errs.NotEmpty) && c.keepsVersions(ctx) {
		if err = c.emptied(ctx); err == nil {
			err = c.door.b.DeleteContainer(ctx, c.caller, c.ref())
		}
	}
	if err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// owners are the headers that only who administers the account may send, beside the removals of the same; never written.
var owners = []string{
	"Container-Read", "Container-Write", "Container-Sync-Key", "Container-Sync-To", "Container-Meta-Temp-Url-Key", "Container-Meta-Temp-Url-Key-2",
}

// dropOwners takes such headers away from others, whom an account's list may let change containers: as in Swift they count as not sent.
func (c *call) dropOwners() {
	asked := slices.ContainsFunc(owners, func(name string) bool { return c.has("X-"+name) || c.has("X-Remove-"+name) })
	if !asked || c.owns() {
		return
	}
	for _, name := range owners {
		delete(c.r.Header, "X-"+name)
		delete(c.r.Header, "X-Remove-"+name)
	}
}

// containerChange reads what a request changes of a container.
func (c *call) containerChange() (func(bucket.Container, *bucket.Config) error, error) {
	c.dropOwners()
	changes, err := c.changes("Container")
	if err != nil {
		return nil, err
	}
	bytes, err := quota(changes, "quota-bytes", "Invalid bytes quota.")
	if err != nil {
		return nil, err
	}
	objects, err := quota(changes, "quota-count", "Invalid count quota.")
	if err != nil {
		return nil, err
	}
	versioning, err := c.versioningChange()
	if err != nil {
		return nil, err
	}
	lists := map[string]*access.List{}
	for _, l := range []struct {
		kind, document string
		reading        bool
	}{{"Read", backend.ReadersDocument, true}, {"Write", backend.WritersDocument, false}} {
		switch {
		case c.has("X-Container-" + l.kind):
			list, err := access.ParseList(c.h("X-Container-"+l.kind), l.reading)
			if err != nil {
				return nil, err
			}
			lists[l.document] = &list
		case c.has("X-Remove-Container-" + l.kind):
			lists[l.document] = new(access.List)
		}
	}
	syncing, err := c.syncChange()
	if err != nil {
		return nil, err
	}
	etags := c.quoteWish("Container")
	return func(_ bucket.Container, cfg *bucket.Config) error {
		if cfg.Meta == nil {
			cfg.Meta = map[string]string{}
		}
		if cfg.Documents == nil {
			cfg.Documents = map[string][]byte{}
		}
		for document, list := range lists {
			if *list == "" {
				delete(cfg.Documents, document)
			} else {
				cfg.Documents[document] = []byte(*list)
			}
		}
		if syncing != nil {
			if err := syncing(cfg); err != nil {
				return err
			}
		}
		if versioning != nil {
			if err := versioning(cfg); err != nil {
				return err
			}
		}
		if bytes != nil {
			cfg.Quota.Bytes, cfg.Quota.History = *bytes, *bytes > 0
		}
		if objects != nil {
			cfg.Quota.Objects = *objects
		}
		etags.keep(cfg)
		cfg.Documents[changedDocument] = []byte(c.started.UTC().Format(time.RFC3339Nano))
		return apply(cfg.Meta, changes)
	}, nil
}

// quota reads a quota among changes: nil when it stays, 0 when it goes, bucket.LimitNone when it is "0".
func quota(changes map[string]string, name, fault string) (*int64, error) {
	text, set := changes[name]
	if !set {
		return nil, nil
	}
	if text == "" {
		return new(int64), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, bad(fault)
	}
	if n == 0 {
		n = bucket.LimitNone
	}
	return &n, nil
}

// lastModified is a moment as an HTTP date, rounded up to whole seconds as Swift does.
func lastModified(at time.Time) string {
	return wire.FormatDate(roundUp(at))
}

func roundUp(at time.Time) time.Time {
	whole := at.Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return whole
}
