package pithos

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// changedDocument holds the time of a container's own last change, in RFC 3339. The Swift door keeps it too.
const changedDocument = "swift-changed"

// changedOf is when the container itself was last changed.
func changedOf(c *bucket.Container) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, string(c.Config.Documents[changedDocument])); err == nil {
		return at
	}
	return c.Created
}

// policies are the words of the policy (Pithos+ 1.7).
const (
	policyQuota      = "quota"
	policyVersioning = "versioning"
	policyProject    = "project"
	versioningAuto   = "auto"
	versioningNone   = "none"
)

// policy is a container's policy as a listing shows it.
type policy struct {
	Quota      string `json:"quota"`
	Versioning string `json:"versioning"`
	Project    string `json:"project"`
}

func policyOf(c *bucket.Container) policy {
	p := policy{Quota: strconv.FormatInt(c.Config.Quota.Bytes, 10), Versioning: versioningNone, Project: string(c.Account)}
	if c.Config.Versioning == bucket.VersioningEnabled {
		p.Versioning = versioningAuto
	}
	return p
}

// policyGiven reads the policy headers. found is false without any.
func (c *call) policyGiven() (given map[string]string, err error) {
	given = map[string]string{}
	for key, value := range c.headers {
		name, ok := strings.CutPrefix(key, "X-Container-Policy-")
		if !ok {
			continue
		}
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		switch {
		case value == "":
		case name == policyQuota:
			if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < 0 {
				return nil, bad("The quota is a number of bytes, 0 for none")
			}
		case name == policyVersioning:
			if value != versioningAuto && value != versioningNone {
				return nil, bad("The versioning is auto or none")
			}
		case name == policyProject:
			if value != string(c.owner) {
				return nil, bad("The account is the only project that can pay for its containers")
			}
		}
		if name != policyQuota && name != policyVersioning && name != policyProject {
			return nil, bad("Unknown policy " + clip(name))
		}
		given[name] = value
	}
	return given, nil
}

// applyPolicy sets what was given; merge keeps the rest, otherwise it becomes the default.
func applyPolicy(cfg *bucket.Config, given map[string]string, merge bool) error {
	if len(given) == 0 {
		return nil
	}
	quota, ok := given[policyQuota]
	if ok || !merge {
		cfg.Quota.Bytes, _ = strconv.ParseInt(quota, 10, 64) // checked above; "" is 0
		cfg.Quota.History = false
	}
	versioning, ok := given[policyVersioning]
	if !ok && merge {
		return nil
	}
	if versioning != versioningNone {
		cfg.Versioning = bucket.VersioningEnabled
		return nil
	}
	switch {
	case cfg.ObjectLock:
		return refusal(http.StatusConflict, "The container has object lock, which needs versioning")
	case cfg.Versioning == bucket.VersioningEnabled:
		cfg.Versioning = bucket.VersioningSuspended
	}
	return nil
}

// getContainer serves HEAD and GET of a container (Pithos+ 5).
func getContainer(ctx context.Context, c *call) (*reply, error) {
	if c.given("changes") && c.r.Method == http.MethodGet {
		return getChanges(ctx, c)
	}
	until, past := c.until()
	container, owner, err := c.openContainer(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case !owner && (past || c.given("public")):
		return nil, forbidden()
	case past && !container.Created.Before(until):
		return nil, refusal(http.StatusNotFound, "The container did not exist then")
	}
	modified, err := c.lastChange(ctx, container)
	if err != nil {
		return nil, err
	}
	if err := c.checkTimes(modified); err != nil {
		return nil, err
	}
	c.set("Last-Modified", wire.FormatDate(modified))
	if err := c.describeContainer(ctx, container, modified, owner, until, past); err != nil {
		return nil, err
	}
	if c.r.Method == http.MethodHead {
		return empty(http.StatusNoContent), nil
	}
	return c.listObjects(ctx, container, owner, until, past)
}

// openContainer finds the container of the path for its owner, or for somebody with whom something in it is shared.
func (c *call) openContainer(ctx context.Context) (container bucket.Container, owner bool, err error) {
	container, err = c.door.b.Container(ctx, c.caller, c.ref(), access.ListBucket)
	if err == nil {
		return container, true, nil
	}
	if !denied(err) {
		return container, false, err
	}
	container, found := c.door.b.Found(ctx, c.ref())
	if found != nil {
		return container, false, found
	}
	shares, e := c.door.b.SharesWith(ctx, c.caller, c.owner, &container)
	if e != nil {
		return container, false, e
	}
	if !shares {
		return container, false, err
	}
	return container, false, nil
}

func (c *call) describeContainer(ctx context.Context, container bucket.Container, modified time.Time, owner bool, until time.Time, past bool) error {
	c.setInt("X-Container-Block-Size", c.door.b.BlockSize(container))
	c.set("X-Container-Block-Hash", hashName)
	keys, err := c.knownKeys(ctx, container.ID, modified, owner, until, past)
	if err != nil {
		return err
	}
	c.set("X-Container-Object-Meta", strings.Join(keys, ","))
	if !owner {
		return nil
	}
	usage, err := c.usage(ctx, container, until, past)
	if err != nil {
		return err
	}
	c.setInt("X-Container-Object-Count", usage.Objects)
	c.setInt("X-Container-Bytes-Used", usage.Bytes)
	p := policyOf(&container)
	c.set("X-Container-Policy-Quota", p.Quota)
	c.set("X-Container-Policy-Versioning", p.Versioning)
	c.set("X-Container-Policy-Project", escape(p.Project))
	told := container.Config.Meta
	if past {
		told = backend.MetaAt(&container.Config, until)
	}
	c.showMeta("X-Container-Meta-", told)
	return nil
}

// usage counts a container, now or at a moment, and says when it last changed before that.
func (c *call) usage(ctx context.Context, container bucket.Container, until time.Time, past bool) (meta.Usage, error) {
	if !past {
		return c.door.b.ContainerUsage(ctx, c.caller, c.ref())
	}
	u, last, err := c.door.b.PastUsage(ctx, c.caller, c.ref(), until)
	c.set("X-Container-Until-Timestamp", wire.FormatDate(later(container.Created, last)))
	return u, err
}

// keysMax is how many objects are read for the list of metadata keys of a container; of a larger one the list is left incomplete.
const keysMax = 1000

// metaKeys are the distinct metadata keys of the objects that the caller sees (Pithos+ 5.1).
func (c *call) metaKeys(ctx context.Context, owner bool, until time.Time, past bool) ([]string, error) {
	keys := map[string]bool{}
	r := backend.ListRequest{Container: c.ref(), Limit: keysMax}
	page, err := c.page(ctx, r, owner, until, past)
	if err != nil {
		return nil, err
	}
	for i := range page.Entries {
		v, err := c.version(ctx, &page.Entries[i])
		if notFound(err) || denied(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for name := range v.Meta[object.UserMeta] {
			keys[escape(normalise(name))] = true
		}
	}
	names := make([]string, 0, len(keys))
	for k := range keys {
		names = append(names, k)
	}
	slices.Sort(names)
	return names, nil
}

// putContainer makes a container, or changes the one that is there (Pithos+ 6.1).
func putContainer(ctx context.Context, c *call) (*reply, error) {
	if err := c.mustOwn(); err != nil {
		return nil, err
	}
	change, err := c.containerChange(true)
	if err != nil {
		return nil, err
	}
	for range 2 {
		_, err = c.door.b.Configure(ctx, c.caller, c.ref(), access.PutContainer, change)
		if err == nil {
			return empty(http.StatusAccepted), nil
		}
		if !notFound(err) {
			return nil, err
		}
		n := backend.NewContainer{Account: c.owner, Name: c.container}
		n.Config.Versioning = bucket.VersioningEnabled
		if err := change(bucket.Container{}, &n.Config); err != nil {
			return nil, err
		}
		if naming.ValidBucket(string(c.container)) {
			n.Bucket = naming.BucketName(c.container)
		}
		_, created, err := c.door.b.CreateContainer(ctx, c.caller, n)
		if errs.IsThing(err, errs.Exists, errs.Bucket) {
			n.Bucket = "" // somebody else's bucket has the name: the container lives without
			_, created, err = c.door.b.CreateContainer(ctx, c.caller, n)
		}
		if err != nil {
			return nil, err
		}
		if created {
			return empty(http.StatusCreated), nil
		}
	}
	return nil, err
}

// containerChange reads what the request changes of a container's metadata and policy.
func (c *call) containerChange(merge bool) (func(bucket.Container, *bucket.Config) error, error) {
	given := c.metadata("X-Container-Meta-", merge)
	policy, err := c.policyGiven()
	if err != nil {
		return nil, err
	}
	at := c.started.UTC().Format(time.RFC3339Nano)
	return func(_ bucket.Container, cfg *bucket.Config) error {
		if cfg.Meta, err = mergeMeta(cfg.Meta, given, merge); err != nil {
			return err
		}
		if cfg.Documents == nil {
			cfg.Documents = map[string][]byte{}
		}
		cfg.Documents[changedDocument] = []byte(at)
		return applyPolicy(cfg, policy, merge)
	}, nil
}

// postContainer changes metadata and policy, and takes in loose blocks (Pithos+ 6.2, 6.3).
func postContainer(ctx context.Context, c *call) (*reply, error) {
	if err := c.mustOwn(); err != nil {
		return nil, err
	}
	blocks := c.h("Content-Type") == octetStream && (c.r.ContentLength > 0 || len(c.r.TransferEncoding) > 0)
	described := false
	for key := range c.headers {
		described = described || strings.HasPrefix(key, "X-Container-Meta-") || strings.HasPrefix(key, "X-Remove-Container-Meta-") || strings.HasPrefix(key, "X-Container-Policy-")
	}
	if !blocks || described {
		change, err := c.containerChange(c.merges())
		if err != nil {
			return nil, err
		}
		if _, err := c.door.b.Configure(ctx, c.caller, c.ref(), access.PutContainer, change); err != nil {
			return nil, err
		}
	}
	if !blocks {
		return empty(c.changed()), nil
	}
	ids, err := c.door.b.PutBlocks(ctx, c.caller, c.ref(), c.payload())
	if err != nil {
		return nil, err
	}
	return c.sendHashes(http.StatusAccepted, ids), nil
}

// deleteContainer removes a container, empties it, or purges its history (Pithos+ 6.4).
func deleteContainer(ctx context.Context, c *call) (*reply, error) {
	if err := c.mustOwn(); err != nil {
		return nil, err
	}
	text := c.query.Get("until")
	at, ok := parseUntil(text)
	var err error
	switch {
	case ok && !strings.Contains(text, "."):
		_, err = c.door.b.Purge(ctx, c.caller, c.ref(), "", at, false)
	case !ok && c.query.Get("delimiter") != "":
		err = c.door.b.DeleteTree(ctx, c.caller, c.ref(), "", c.query.Get("delimiter"), object.Precondition{})
	default:
		err = c.door.b.DeleteWithHistory(ctx, c.caller, c.ref())
	}
	if err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}
