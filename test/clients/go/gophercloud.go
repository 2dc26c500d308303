package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
	store "github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

// swiftContainer is a container through gophercloud.
type swiftContainer struct {
	swift *gophercloud.ServiceClient
	name  string
}

// newGophercloud signs in at Keystone v3 with what the usual OS_ variables tell: a password or an application credential.
func newGophercloud(ctx context.Context, name string) (bucket, error) {
	who, err := openstack.AuthOptionsFromEnv()
	if err != nil {
		return nil, err
	}
	provider, err := openstack.AuthenticatedClient(ctx, who)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	swift, err := openstack.NewObjectStorageV1(provider, gophercloud.EndpointOpts{})
	if err != nil {
		return nil, fmt.Errorf("find the object store in the catalogue: %w", err)
	}
	return swiftContainer{swift, name}, nil
}

func (c swiftContainer) create(ctx context.Context) error {
	if err := containers.Create(ctx, c.swift, c.name, containers.CreateOpts{Metadata: map[string]string{"colour": "red"}}).Err; err != nil {
		return err
	}
	about, err := containers.Get(ctx, c.swift, c.name, nil).ExtractMetadata()
	if err == nil && about["Colour"] != "red" {
		return fmt.Errorf("container %s has the metadata %q", c.name, about)
	}
	return err
}

func (c swiftContainer) put(ctx context.Context, key string, body []byte) error {
	o := store.CreateOpts{Content: bytes.NewReader(body), ContentType: "text/x-test", Metadata: map[string]string{"colour": "green"}}
	if err := store.Create(ctx, c.swift, c.name, key, o).Err; err != nil {
		return err
	}
	answer := store.Get(ctx, c.swift, c.name, key, nil)
	about, err := answer.ExtractMetadata()
	if err != nil {
		return err
	}
	head, err := answer.Extract()
	if err == nil && (about["Colour"] != "green" || head.ContentType != "text/x-test" || head.ContentLength != int64(len(body))) {
		return fmt.Errorf("%q has the metadata %q and the head %+v", key, about, head)
	}
	return err
}

func (c swiftContainer) get(ctx context.Context, key string) ([]byte, error) {
	return c.read(ctx, key, store.DownloadOpts{})
}

func (c swiftContainer) part(ctx context.Context, key string, from, to int64) ([]byte, error) {
	return c.read(ctx, key, store.DownloadOpts{Range: fmt.Sprintf("bytes=%d-%d", from, to)})
}

func (c swiftContainer) read(ctx context.Context, key string, o store.DownloadOpts) ([]byte, error) {
	answer := store.Download(ctx, c.swift, c.name, key, o)
	return answer.ExtractContent()
}

// large writes a static large object, whose segments are objects of the same container.
func (c swiftContainer) large(ctx context.Context, key string, body []byte) error {
	type segment struct {
		Path string `json:"path"`
		ETag string `json:"etag"`
		Size int    `json:"size_bytes"`
	}
	var manifest []segment
	for len(body) > 0 {
		piece := body[:min(len(body), 6<<20)]
		body = body[len(piece):]
		name := fmt.Sprintf("%s/segments/%d", key, len(manifest))
		if err := store.Create(ctx, c.swift, c.name, name, store.CreateOpts{Content: bytes.NewReader(piece)}).Err; err != nil {
			return err
		}
		sum := md5.Sum(piece)
		manifest = append(manifest, segment{"/" + c.name + "/" + name, hex.EncodeToString(sum[:]), len(piece)})
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	// The ETag of an answer to a manifest is not that of its text, so the client must not compare them.
	return store.Create(ctx, c.swift, c.name, key, store.CreateOpts{Content: bytes.NewReader(text), MultipartManifest: "put", NoETag: true}).Err
}

// names lists in pages of two.
func (c swiftContainer) names(ctx context.Context, o store.ListOpts) ([]string, error) {
	o.Limit = 2
	var names []string
	err := store.List(c.swift, c.name, o).EachPage(ctx, func(_ context.Context, page pagination.Page) (bool, error) {
		some, err := store.ExtractNames(page)
		names = append(names, some...)
		return err == nil, err
	})
	return names, err
}

func (c swiftContainer) list(ctx context.Context, prefix string) ([]string, error) {
	return c.names(ctx, store.ListOpts{Prefix: prefix})
}

func (c swiftContainer) folders(ctx context.Context, prefix string) ([]string, error) {
	names, err := c.names(ctx, store.ListOpts{Prefix: prefix, Delimiter: "/"})
	var folders []string
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			folders = append(folders, name)
		}
	}
	return folders, err
}

func (c swiftContainer) copy(ctx context.Context, from, to string) error {
	return store.Copy(ctx, c.swift, c.name, from, store.CopyOpts{Destination: "/" + c.name + "/" + to}).Err
}

func (c swiftContainer) once(ctx context.Context, key string, body []byte) (bool, error) {
	err := store.Create(ctx, c.swift, c.name, key, store.CreateOpts{Content: bytes.NewReader(body), IfNoneMatch: "*"}).Err
	if gophercloud.ResponseCodeIs(err, http.StatusPreconditionFailed) {
		return true, nil
	}
	return false, err
}

func (c swiftContainer) link(ctx context.Context, key string) (string, error) {
	if err := containers.Update(ctx, c.swift, c.name, containers.UpdateOpts{TempURLKey: "secret key"}).Err; err != nil {
		return "", err
	}
	return store.CreateTempURL(ctx, c.swift, c.name, key, store.CreateTempURLOpts{Method: store.GET, TTL: 60, Digest: "sha256"})
}

func (c swiftContainer) remove(ctx context.Context, keys []string) error {
	answer, err := store.BulkDelete(ctx, c.swift, c.name, keys[1:]).Extract()
	if err != nil {
		return err
	}
	if answer.NumberDeleted != len(keys)-1 || len(answer.Errors) > 0 {
		return fmt.Errorf("of %d objects were deleted: %+v", len(keys)-1, answer)
	}
	return store.Delete(ctx, c.swift, c.name, keys[0], nil).Err
}

func (c swiftContainer) drop(ctx context.Context) error {
	return containers.Delete(ctx, c.swift, c.name).Err
}
