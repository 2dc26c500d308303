package swift

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
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
)

// Sync is the door's part in container sync. The zero value takes none: nothing is sent, and no signature is good.
type Sync struct {
	// Realms are asked at each use, since their file may change; nil: there are none.
	Realms func() *Realms
	// Current is this cluster, //REALM/CLUSTER, as /info shows it; "": it shows none.
	Current string
	// Hosts are where containers may be synchronised to by plain URL, without a realm: HOST for any port, or HOST:PORT. With any, requests that show
	// the key of a container in place of a signature are taken too.
	Hosts []string
	// Changed is told of a container whose settings were changed; nil: nobody minds.
	Changed func(*bucket.Container)
	// Client sends. It follows no redirect: a destination is what the operator has allowed, and nothing else.
	Client *http.Client
}

func (d *Door) realms() *Realms {
	if d.o.Sync.Realms == nil {
		return nil
	}
	return d.o.Sync.Realms()
}

// Bounds of requests to another cluster.
const (
	syncAskTime  = 30 * time.Second // of a request without a body
	syncPutTime  = time.Minute      // of one with a body, beside the time that this takes at syncPutRate
	syncPutRate  = 64 << 10         // bytes per second
	syncReadMost = 64 << 10         // bytes read of an answer
)

// SyncReady tells why a container cannot be sent; nil when it can.
func (d *Door) SyncReady(container *bucket.Container) error {
	_, err := d.syncAim(container)
	return err
}

func (d *Door) syncAim(container *bucket.Container) (*destination, error) {
	at, err := d.realms().aim(string(container.Config.Documents[backend.SyncToDocument]), d.o.Sync.Hosts)
	if err != nil {
		return nil, errs.E("swift.SyncAim", errs.Invalid, errs.Container, string(container.Name)).Because("", err.Error())
	}
	return at, nil
}

// SendChange brings the other container up to date about one name: it deletes the object there, or puts it, unless it has a change that is as new. pace is asked before
// each piece of a body, with the number of its bytes.
//
// Errors: Busy when nothing can be sent there now; every other kind is the object's own trouble.
func (d *Door) SendChange(ctx context.Context, container *bucket.Container, name naming.ObjectName, pace func(context.Context, int) error) (backend.Sent, error) {
	at, err := d.syncAim(container)
	if err != nil {
		return backend.Sent{}, err
	}
	p := &push{door: d, to: at, key: string(container.Config.Documents[backend.SyncKeyDocument]), container: container, name: name, pace: pace}
	newest, err := d.b.Newest(ctx, *container, name)
	switch {
	case errs.Is(err, errs.NotFound):
		return backend.Sent{}, nil // it is gone for good, or has expired: there too
	case err != nil:
		return backend.Sent{}, err
	case !newest.Visible():
		return p.remove(ctx, newest.Stamped())
	}
	known, err := p.has(ctx, newest.Stamped())
	if err != nil || known {
		return backend.Sent{}, err
	}
	return p.put(ctx)
}

// push is the way of one change to another cluster.
type push struct {
	door      *Door
	to        *destination
	key       string
	container *bucket.Container
	name      naming.ObjectName
	pace      func(context.Context, int) error
}

// request makes a request about the object, signed.
func (p *push) request(ctx context.Context, method string, stamp object.VersionID, body io.Reader) (*http.Request, error) {
	u := *p.to.at
	u.Path += "/" + string(p.name)
	u.RawPath = pathQuote(u.Path)
	r, err := http.NewRequestWithContext(ctx, method, u.Scheme+"://"+u.Host, body)
	if err != nil {
		return nil, errs.E("swift.push", errs.Invalid, errs.Request, "").With(err)
	}
	r.URL = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	at := syncTime(stamp)
	r.Header.Set("User-Agent", "pithos-container-sync")
	r.Header.Set("X-Timestamp", at)
	if p.to.realm == "" {
		r.Header.Set("X-Container-Sync-Key", p.key)
		return r, nil
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	nonce := hex.EncodeToString(raw[:])
	r.Header.Set("X-Container-Sync-Auth", p.to.realm+" "+nonce+" "+syncSignature(method, u.RawPath, at, nonce, p.to.key, p.key))
	return r, nil
}

// do sends a request and tells status and headers of the answer. Error: Busy.
func (p *push) do(r *http.Request) (int, http.Header, error) {
	res, err := p.door.o.Sync.Client.Do(r)
	if err != nil {
		var own *errs.Error
		if errors.As(err, &own) {
			return 0, nil, own // of the body, which is ours
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, nil, errs.E("swift.push", errs.Busy, errs.Container, p.to.at.Redacted()).With(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, syncReadMost) // so that the connection can be used again
	return res.StatusCode, res.Header, nil
}

// refused tells what the other cluster's refusal means: trouble of the container, or of this object alone.
func (p *push) refused(method string, status int) error {
	kind := errs.Invalid
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests, statusRateLimited,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusMovedPermanently, http.StatusFound,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusInsufficientStorage:
		kind = errs.Busy
	}
	return errs.E("swift.push", kind, errs.Container, p.to.at.Redacted()).Because("", "the other cluster answered "+method+" with "+strconv.Itoa(status))
}

// remove deletes the object there.
func (p *push) remove(ctx context.Context, stamp object.VersionID) (backend.Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, syncAskTime)
	defer cancel()
	r, err := p.request(ctx, http.MethodDelete, stamp, http.NoBody)
	if err != nil {
		return backend.Sent{}, err
	}
	status, _, err := p.do(r)
	switch {
	case err != nil:
		return backend.Sent{}, err
	case status/100 == 2, status == http.StatusNotFound, status == http.StatusConflict:
		return backend.Sent{Deleted: true}, nil
	}
	return backend.Sent{}, p.refused(http.MethodDelete, status)
}

// has tells whether the other cluster has a change that is as new.
func (p *push) has(ctx context.Context, stamp object.VersionID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, syncAskTime)
	defer cancel()
	r, err := p.request(ctx, http.MethodHead, stamp, http.NoBody)
	if err != nil {
		return false, err
	}
	r.URL.RawQuery = "symlink=get" // Swift follows a link otherwise
	status, header, err := p.do(r)
	switch {
	case err != nil:
		return false, err
	case status == http.StatusNotFound:
		return false, nil
	case status/100 != 2:
		return false, p.refused(http.MethodHead, status)
	}
	there, ok := parseSyncTime(header.Get("X-Timestamp"))
	return ok && there >= stamp, nil
}

// put sends the object as it is now.
func (p *push) put(ctx context.Context) (backend.Sent, error) {
	c := p.door.within(ctx, p.container, p.name)
	s, err := c.show(ctx, c.target(), look{link: true, manifest: true})
	if errs.Is(err, errs.NotFound) {
		return backend.Sent{}, nil // deleted meanwhile: that comes by itself
	}
	if err == nil {
		err = c.describe(s)
	}
	if err != nil {
		return backend.Sent{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, syncPutTime+time.Duration(s.Size/syncPutRate)*time.Second)
	defer cancel()
	body, feed := io.Pipe()
	var reader io.Reader = body
	if s.Size == 0 {
		reader = http.NoBody
	}
	r, err := p.request(ctx, http.MethodPut, s.Stamped(), reader)
	if err != nil {
		return backend.Sent{}, err
	}
	r.ContentLength = s.Size
	c.syncHeaders(s, r.Header)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_ = feed.CloseWithError(s.copyTo(ctx, &paced{feed, ctx, p.pace}, 0, s.Size)) // it never fails
	}()
	status, _, err := p.do(r)
	_ = body.Close() // the copy ends if the other side did not want all of it
	<-fed
	switch {
	case err != nil:
		return backend.Sent{}, err
	case status/100 != 2:
		return backend.Sent{}, p.refused(http.MethodPut, status)
	}
	return backend.Sent{Put: true, Bytes: s.Size}, nil
}

// paced asks before each piece that it writes.
type paced struct {
	w    io.Writer
	ctx  context.Context //nolint:containedctx // an io.Writer of one request has no other way to it
	pace func(context.Context, int) error
}

func (p *paced) Write(b []byte) (int, error) {
	if err := p.pace(p.ctx, len(b)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// within is a call of the service itself about one of its objects.
func (d *Door) within(ctx context.Context, container *bucket.Container, name naming.ObjectName) *call {
	r := (&http.Request{Method: http.MethodGet, Header: http.Header{}, Body: http.NoBody}).WithContext(ctx)
	return &call{
		door: d, r: r, w: wire.Sink{W: nowhere{http.Header{}}}, out: http.Header{}, id: "container-sync", started: d.o.Clock.Now(), query: url.Values{}, inside: true,
		account: reseller + string(container.Account), base: string(container.Account), owner: container.Account, container: container.Name, name: name,
		level: objectLevel, caller: backend.Caller{Principal: access.Principal{Operator: true}, RequestID: "container-sync"},
		administers: func(naming.AccountID) bool { return true },
	}
}

// syncHeaders gives a request the headers of the object that describe has found, in Swift's inner form: manifests and links are themselves.
func (c *call) syncHeaders(s *shown, to http.Header) {
	for _, name := range []string{
		"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control", "Expires", "X-Robots-Tag", "X-Delete-At",
		"X-Object-Manifest", "X-Static-Large-Object", "X-Symlink-Target", "X-Symlink-Target-Account", "X-Symlink-Target-Etag", "X-Symlink-Target-Bytes",
	} {
		if values := c.out[name]; len(values) > 0 {
			to[name] = values
		}
	}
	for name, values := range c.out {
		if strings.HasPrefix(name, "X-Object-Meta-") {
			to[name] = values
		}
	}
	if s.o.Kind == object.StaticManifest {
		to.Set("Content-Type", typeOf(s.o.ContentType))
	}
	// The ETag of what S3 assembled or encrypted is no MD5 of the bytes.
	if s.Kind != object.Link && len(s.o.Encryption) == 0 && len(s.ETag) == 32 {
		to.Set("Etag", s.ETag)
	}
}
