package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// What a program needs that keeps something in step with a container.

// Totals tells how many objects the container shows and how many bytes they have. known is false for a user who may not know: the container is another account's.
func (k *Container) Totals(ctx context.Context) (objects, bytes int64, known bool, err error) {
	h, err := k.c.do(ctx, http.MethodHead, k.path(""), nil)
	if err != nil {
		return 0, 0, false, err
	}
	objects, err1 := strconv.ParseInt(h.Get("X-Container-Object-Count"), 10, 64)
	bytes, err2 := strconv.ParseInt(h.Get("X-Container-Bytes-Used"), 10, 64)
	return objects, bytes, err1 == nil && err2 == nil, nil
}

// Now is the point from which Changes tells what is still to come.
func (k *Container) Now(ctx context.Context) (string, error) {
	var c Changes
	if err := k.c.getJSON(ctx, k.path("")+"?changes=now", &c); err != nil {
		return "", err
	}
	return c.Next, nil
}

// MoveNew is Move to a name that must be free, and with tree to a folder that must be: nothing is ever replaced. See IsChanged.
func (k *Container) MoveNew(ctx context.Context, name string, to *Container, target string, tree bool) error {
	_, err := to.c.do(ctx, http.MethodPut, to.path(target)+treeQuery(tree), http.Header{
		"X-Move-From": {"/" + k.path(name)}, "X-Source-Account": {url.PathEscape(k.c.account)}, "If-None-Match": {"*"}, "Content-Length": {"0"},
	})
	return err
}

// RemoveMatching is Remove of an object that must have this root hash. See IsChanged.
func (k *Container) RemoveMatching(ctx context.Context, name, hash string) error {
	_, err := k.c.do(ctx, http.MethodDelete, k.path(name), http.Header{"If-Match": {hash}})
	return err
}

// PutFolder makes an object that stands for a folder; ifHash is as in PutOptions.
func (k *Container) PutFolder(ctx context.Context, name, ifHash string) (Report, error) {
	h, err := (&hashmap{Hashes: []string{}}).root()
	if err != nil {
		return Report{}, err
	}
	u := &upload{k: k, name: name, h: &hashmap{Hashes: []string{}}, o: PutOptions{ContentType: FolderType, IfHash: ifHash}, report: Report{Hash: h}}
	_, err = u.commit(ctx)
	return u.report, err
}

// Service is the address of the service, as it was given.
func (c *Client) Service() string { return strings.TrimSuffix(c.base, "/v1") }
