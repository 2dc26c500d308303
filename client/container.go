package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Container is a container of an account. It is safe for concurrent use.
type Container struct {
	c    *Client
	name string

	mu        sync.Mutex
	blockSize int64 // 0: not asked yet
}

// Entry is an object, or in a listing by folders one that stands for all names with a prefix (Prefix is set, and nothing else).
type Entry struct {
	Name        string `json:"name"`
	Prefix      string `json:"subdir"`
	Bytes       int64  `json:"bytes"`
	ContentType string `json:"content_type"`
	Hash        string `json:"x_object_hash"` // root hash
	UUID        string `json:"x_object_uuid"`
	Version     uint64 `json:"x_object_version"`
	Modified    string `json:"last_modified"`              // as the service writes it; see Made
	Stamp       string `json:"x_object_version_timestamp"` // when the version was made, seconds with a fraction, or a date
	ModifiedBy  string `json:"x_object_modified_by"`
	Sharing     string `json:"x_object_sharing"`    // "read=a,b; write=c"
	SharedBy    string `json:"x_object_shared_by"`  // the folder that the sharing comes from, "account/container/folder"; Stat tells it
	AllowedTo   string `json:"x_object_allowed_to"` // "read" or "write", of objects that others share
	Public      string `json:"x_object_public"`     // URL of the public link

	Meta map[string]string `json:"meta,omitempty"` // by name in lower case; Stat tells it, listings do not
}

// Folder reports whether the object stands for a folder.
func (e *Entry) Folder() bool { return isFolder(e.ContentType) }

func isFolder(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	return kind == FolderType || kind == "application/folder"
}

// Made is when the version was made; zero when the service did not tell.
func (e *Entry) Made() time.Time {
	if s, err := strconv.ParseFloat(e.Stamp, 64); err == nil {
		return time.UnixMicro(int64(s * 1e6)).UTC()
	}
	at, _ := http.ParseTime(e.Stamp) // zero when it is none
	return at.UTC()
}

// FolderType is the content type of objects that stand for folders.
const FolderType = "application/directory"

// ListOptions says which objects a listing shows.
type ListOptions struct {
	Prefix string
	// Delimiter rolls names up that have it behind the prefix: "/" lists one folder.
	Delimiter string
	At        time.Time // as it was before this moment; zero: now
	Shared    bool      // what is shared alone
	PageMax   int       // entries that one request asks for: 0 for as many as the service gives
}

// path is the escaped path of the container, or of an object in it.
func (k *Container) path(name string) string {
	p := url.PathEscape(k.name)
	if name != "" {
		p += "/" + escapeName(name)
	}
	return p
}

// escapeName escapes a name for a path; slashes stay.
func escapeName(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
		if p == "." || p == ".." { // no client or proxy may take them for steps
			parts[i] = strings.ReplaceAll(p, ".", "%2E")
		}
	}
	return strings.Join(parts, "/")
}

// Name is the container's name.
func (k *Container) Name() string { return k.name }

// Create makes the container, with versions kept; that it is there already is no error.
func (k *Container) Create(ctx context.Context) error {
	_, err := k.c.do(ctx, http.MethodPut, k.path(""), nil)
	return err
}

// Delete removes the container, which must show no objects, with all the history in it.
func (k *Container) Delete(ctx context.Context) error {
	_, err := k.c.do(ctx, http.MethodDelete, k.path(""), nil)
	return err
}

// Empty deletes all objects in the container; their versions stay.
func (k *Container) Empty(ctx context.Context) error {
	_, err := k.c.do(ctx, http.MethodDelete, k.path("")+treeQuery(true), nil)
	return err
}

// BlockSize is the size at which the container's objects are cut, bytes. It is asked once.
func (k *Container) BlockSize(ctx context.Context) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blockSize > 0 {
		return k.blockSize, nil
	}
	h, err := k.c.do(ctx, http.MethodHead, k.path(""), nil)
	if err != nil {
		return 0, err
	}
	if hash := h.Get("X-Container-Block-Hash"); hash != "sha256" {
		return 0, fmt.Errorf("the container's blocks are named by %q; this library knows sha256", hash)
	}
	if k.blockSize, err = strconv.ParseInt(h.Get("X-Container-Block-Size"), 10, 64); err != nil || k.blockSize <= 0 {
		return 0, errors.New("the container tells no block size")
	}
	return k.blockSize, nil
}

// List gives objects in the byte order of their names, page after page. The loop ends after an error.
func (k *Container) List(ctx context.Context, o ListOptions) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		q := url.Values{"format": {"json"}}
		if o.Prefix != "" {
			q.Set("prefix", o.Prefix)
		}
		if o.Delimiter != "" {
			q.Set("delimiter", o.Delimiter)
		}
		if !o.At.IsZero() {
			q.Set("until", fmt.Sprintf("%d.%06d", o.At.Unix(), o.At.Nanosecond()/1000))
		}
		if o.Shared {
			q.Set("shared", "")
		}
		if o.PageMax > 0 {
			q.Set("limit", strconv.Itoa(o.PageMax))
		}
		for {
			var page []Entry
			if err := k.c.getJSON(ctx, k.path("")+"?"+q.Encode(), &page); err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			last := page[len(page)-1]
			q.Set("marker", last.Name+last.Prefix)
		}
	}
}

// Stat is what HEAD tells of an object.
func (k *Container) Stat(ctx context.Context, name string) (*Entry, error) {
	return k.StatVersion(ctx, name, 0)
}

// StatVersion is what HEAD tells of a version of an object, 0 for the newest.
func (k *Container) StatVersion(ctx context.Context, name string, version uint64) (*Entry, error) {
	path := k.path(name)
	if version != 0 {
		path += "?version=" + strconv.FormatUint(version, 10)
	}
	h, err := k.c.do(ctx, http.MethodHead, path, nil)
	if err != nil {
		return nil, err
	}
	return entryOf(name, h), nil
}

func entryOf(name string, h http.Header) *Entry {
	e := &Entry{
		Name: name, ContentType: h.Get("Content-Type"), Hash: h.Get("X-Object-Hash"), UUID: h.Get("X-Object-Uuid"), ModifiedBy: decoded(h.Get("X-Object-Modified-By")),
		Modified: h.Get("Last-Modified"), Stamp: h.Get("X-Object-Version-Timestamp"), Sharing: decoded(h.Get("X-Object-Sharing")), SharedBy: decoded(h.Get("X-Object-Shared-By")), AllowedTo: h.Get("X-Object-Allowed-To"), Public: h.Get("X-Object-Public"),
	}
	e.Bytes, _ = strconv.ParseInt(h.Get("Content-Length"), 10, 64) // absent is 0
	e.Version, _ = strconv.ParseUint(h.Get("X-Object-Version"), 10, 64)
	e.Meta = headersBehind("X-Object-Meta-", h)
	return e
}

// headersBehind are the headers whose names begin with a prefix, decoded, by the rest of the name in lower case.
func headersBehind(prefix string, h http.Header) map[string]string {
	m := map[string]string{}
	for name, values := range h {
		if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) || len(values) == 0 {
			continue
		}
		m[strings.ToLower(decoded(name[len(prefix):]))] = decoded(values[0])
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

// decoded undoes the escapes of a header (Pithos+ 2.5); text that has none that are right stands for itself.
func decoded(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// Open reads an object; version 0 is the newest. The caller closes it.
func (k *Container) Open(ctx context.Context, name string, version uint64) (io.ReadCloser, *Entry, error) {
	path := k.path(name)
	if version != 0 {
		path += "?version=" + strconv.FormatUint(version, 10)
	}
	req, err := k.c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, nil, err
	}
	res, err := k.c.send(req)
	if err != nil {
		return nil, nil, err
	}
	return res.Body, entryOf(name, res.Header), nil
}

// MakeFolder makes an object that stands for a folder.
func (k *Container) MakeFolder(ctx context.Context, name string) error {
	_, err := k.c.do(ctx, http.MethodPut, k.path(name), http.Header{"Content-Type": {FolderType}, "Content-Length": {"0"}})
	return err
}

// Remove deletes an object; its versions stay. With tree everything below name + "/" goes too.
func (k *Container) Remove(ctx context.Context, name string, tree bool) error {
	_, err := k.c.do(ctx, http.MethodDelete, k.path(name)+treeQuery(tree), nil)
	return err
}

func treeQuery(tree bool) string {
	if tree {
		return "?delimiter=%2F"
	}
	return ""
}

// Copy copies an object to another place without moving data; with tree everything below it too.
func (k *Container) Copy(ctx context.Context, name string, to *Container, target string, tree bool) error {
	return k.transfer(ctx, "COPY", name, to, target, tree)
}

// Move gives an object another place without moving data; with tree everything below it too.
func (k *Container) Move(ctx context.Context, name string, to *Container, target string, tree bool) error {
	return k.transfer(ctx, "MOVE", name, to, target, tree)
}

// CopyVersion copies a version of an object, which may be deleted by now, to another place without moving data.
func (k *Container) CopyVersion(ctx context.Context, name string, version uint64, to *Container, target string) error {
	_, err := k.c.do(ctx, "COPY", k.path(name), http.Header{
		"Destination": {"/" + to.path(target)}, "Destination-Account": {url.PathEscape(to.c.account)}, "X-Source-Version": {strconv.FormatUint(version, 10)},
	})
	return err
}

func (k *Container) transfer(ctx context.Context, method, name string, to *Container, target string, tree bool) error {
	_, err := k.c.do(ctx, method, k.path(name)+treeQuery(tree), http.Header{
		"Destination": {"/" + to.path(target)}, "Destination-Account": {url.PathEscape(to.c.account)},
	})
	return err
}

// Version is one version of an object.
type Version struct {
	ID   uint64    `json:"version,string"`
	Made time.Time `json:"made"`
}

// Versions lists the versions of an object, deletions left out, the oldest first.
func (k *Container) Versions(ctx context.Context, name string) ([]Version, error) {
	var body struct {
		Versions [][2]json.RawMessage `json:"versions"`
	}
	if err := k.c.getJSON(ctx, k.path(name)+"?version=list&format=json", &body); err != nil {
		return nil, err
	}
	list := make([]Version, len(body.Versions))
	for i, pair := range body.Versions {
		id, err := strconv.ParseUint(string(pair[0]), 10, 64)
		at, err2 := strconv.ParseFloat(strings.Trim(string(pair[1]), `"`), 64)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("versions of %s: the service's answer is not understood", name)
		}
		list[i] = Version{ID: id, Made: time.UnixMicro(int64(at * 1e6)).UTC()}
	}
	return list, nil
}

// Restore makes an old version the newest again, as a new version.
func (k *Container) Restore(ctx context.Context, name string, version uint64) error {
	_, err := k.c.do(ctx, http.MethodPut, k.path(name), http.Header{
		"X-Copy-From": {"/" + k.path(name)}, "X-Source-Account": {url.PathEscape(k.c.account)},
		"X-Source-Version": {strconv.FormatUint(version, 10)}, "Content-Length": {"0"},
	})
	return err
}

// Share replaces the lists of who may read and write an object, and below a folder what is in it; empty lists share nothing.
func (k *Container) Share(ctx context.Context, name string, read, write []string) error {
	var parts []string
	if len(read) > 0 {
		parts = append(parts, "read="+url.PathEscape(strings.Join(read, ",")))
	}
	if len(write) > 0 {
		parts = append(parts, "write="+url.PathEscape(strings.Join(write, ",")))
	}
	_, err := k.c.do(ctx, http.MethodPost, k.path(name)+"?update", http.Header{"X-Object-Sharing": {strings.Join(parts, "; ")}})
	return err
}

// Publish makes a public link and gives its URL.
func (k *Container) Publish(ctx context.Context, name string) (string, error) {
	if _, err := k.c.do(ctx, http.MethodPost, k.path(name)+"?update", http.Header{"X-Object-Public": {"true"}}); err != nil {
		return "", err
	}
	e, err := k.Stat(ctx, name)
	if err != nil {
		return "", err
	}
	return e.Public, nil
}

// Unpublish withdraws the public link.
func (k *Container) Unpublish(ctx context.Context, name string) error {
	_, err := k.c.do(ctx, http.MethodPost, k.path(name)+"?update", http.Header{"X-Object-Public": {"false"}})
	return err
}

// Change is one change in a container.
type Change struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	Deleted bool   `json:"deleted"`
	// The rest, as in Entry, is for those who ask for Details, and then of the last change of each name alone. It is left out (Hash is "") when the object is gone by
	// now, or its root hash would have to be worked out first.
	Bytes       int64  `json:"bytes"`
	ContentType string `json:"content_type"`
	Hash        string `json:"x_object_hash"`
	UUID        string `json:"x_object_uuid"`
	ModifiedBy  string `json:"x_object_modified_by"`
	Modified    string `json:"last_modified"`
}

// ChangesOptions say how changes are told.
type ChangesOptions struct {
	Wait    time.Duration // for something to come: whole seconds, 60 at most
	Details bool          // what a listing tells of the objects too
}

// Changes is what came after a point, and where to go on.
type Changes struct {
	Changes []Change `json:"changes"`
	Next    string   `json:"next"`
	More    bool     `json:"more"`
}

// Changes asks what came after a point, "" for the beginning (see also Now). A change may be told twice and is never left out. Only the owner of the
// container may ask.
func (k *Container) Changes(ctx context.Context, point string, o ChangesOptions) (*Changes, error) {
	q := url.Values{"changes": {point}, "wait": {strconv.Itoa(int(o.Wait / time.Second))}}
	if o.Details {
		q.Set("details", "")
	}
	var c Changes
	if err := k.c.getJSON(ctx, k.path("")+"?"+q.Encode(), &c); err != nil {
		return nil, err
	}
	return &c, nil
}
