// Package client speaks the Pithos+ API of a Pithos service: objects by blocks,
// versions, sharing, and changes as they come.
//
// An upload sends only blocks that the service does not have from this user
// yet, and a download fetches only blocks that the local file lacks. Both can be
// broken off and started again; what was sent or written already is not moved
// twice.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client is signed in to a service as one user. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	base    string // ".../v1"
	account string // whose containers are meant
	home    string // the user's own account
	token   string
}

// Options are the settings of a client; zero fields take the defaults named.
type Options struct {
	HTTP *http.Client // one with no overall time limit, since transfers may be long, that keeps 32 connections to the service
}

// connectionsMax is how many connections to the service are kept for the next request.
const connectionsMax = 32

// Error is an answer of the service that is no success. Message is the service's sentence.
type Error struct {
	Status  int
	Name    string // of the fault: "itemNotFound", "forbidden", ...
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Name, e.Message)
}

// IsNotFound reports whether err says that something is not there.
func IsNotFound(err error) bool { return statusOf(err) == http.StatusNotFound }

// IsDenied reports whether err says that the user may not, or is not signed in.
func IsDenied(err error) bool {
	return statusOf(err) == http.StatusForbidden || statusOf(err) == http.StatusUnauthorized
}

// IsChanged reports whether err says that a condition failed: somebody else was there first.
func IsChanged(err error) bool { return statusOf(err) == http.StatusPreconditionFailed }

// IsConflict reports whether err says that what is there stands in the way: a container that is not empty, for one.
func IsConflict(err error) bool { return statusOf(err) == http.StatusConflict }

// IsFull reports whether err says that there is no room: a quota, or the service's disks.
func IsFull(err error) bool {
	return statusOf(err) == http.StatusRequestEntityTooLarge || statusOf(err) == http.StatusInsufficientStorage
}

func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// SignIn signs in at a service, "http://host:8080", with a user ("account:name") and a password or the secret of an access key.
// Errors: *Error with status 401 when they are wrong.
func SignIn(ctx context.Context, service, user, secret string, o Options) (*Client, error) {
	c := newClient(service, o)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("the address of the service: %w", err)
	}
	req.Header.Set("X-Auth-User", user)
	req.Header.Set("X-Auth-Key", secret)
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer drop(res)
	_, account, ok := cutLast(res.Header.Get("X-Storage-Url"), "/")
	if !ok {
		return nil, fmt.Errorf("%s does not answer as a Pithos service", service)
	}
	c.token = res.Header.Get("X-Auth-Token")
	c.home, err = url.PathUnescape(account)
	c.account = c.home
	return c, err
}

// WithToken is a client for a token that was got before.
func WithToken(service, account, token string, o Options) *Client {
	c := newClient(service, o)
	c.account, c.home, c.token = account, account, token
	return c
}

func newClient(service string, o Options) *Client {
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
		if usual, ok := http.DefaultTransport.(*http.Transport); ok {
			t := usual.Clone()
			t.MaxIdleConnsPerHost = connectionsMax // the usual 2 would be closed and made anew between blocks
			o.HTTP.Transport = t
		}
	}
	return &Client{http: o.HTTP, base: strings.TrimSuffix(service, "/") + "/v1"}
}

// Account is the account that the user belongs to.
func (c *Client) Account() string { return c.account }

// Token is what the service gave at the sign-in.
func (c *Client) Token() string { return c.token }

// Of is the same client for the containers of another account, which shares with this one.
func (c *Client) Of(account string) *Client {
	other := *c
	other.account = account
	return &other
}

// ContainerInfo is a container in a list.
type ContainerInfo struct {
	Name     string    `json:"name"`
	Count    int64     `json:"count"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"last_modified"`
}

// Containers lists the containers of the account, or of another account those in which something is shared with this one.
func (c *Client) Containers(ctx context.Context) ([]ContainerInfo, error) {
	var all []ContainerInfo
	for marker := ""; ; {
		var page []ContainerInfo
		if err := c.getJSON(ctx, "?format=json&marker="+url.QueryEscape(marker), &page); err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return all, nil
		}
		all = append(all, page...)
		marker = page[len(page)-1].Name
	}
}

// SharingAccounts lists the accounts that share something with this one.
func (c *Client) SharingAccounts(ctx context.Context) ([]string, error) {
	req, err := c.request(ctx, http.MethodGet, "", nil)
	if err != nil {
		return nil, err
	}
	req.URL.Path, req.URL.RawPath = strings.TrimSuffix(req.URL.Path, c.account), ""
	req.URL.RawQuery = "format=json"
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer drop(res)
	var list []struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("a list of accounts: %w", err)
	}
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name
	}
	return names, nil
}

// Container names a container; nothing is asked of the service.
func (c *Client) Container(name string) *Container { return &Container{c: c, name: name} }

// request makes a request for a path below the account, "container/object?query", escaped.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	slash := "/"
	if path == "" || path[0] == '?' {
		slash = ""
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/"+url.PathEscape(c.account)+slash+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Auth-Token", c.token)
	return req, nil
}

// send sends a request and makes an error of every answer that is no success.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < http.StatusBadRequest && res.StatusCode != http.StatusNotModified {
		return res, nil
	}
	defer drop(res)
	return nil, faultOf(res)
}

// faultMax bounds how much of an error's body is read, bytes.
const faultMax = 64 << 10

func faultOf(res *http.Response) error {
	e := &Error{Status: res.StatusCode, Name: http.StatusText(res.StatusCode)}
	raw, err := io.ReadAll(io.LimitReader(res.Body, faultMax))
	if err != nil {
		return e
	}
	var body map[string]struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &body) == nil {
		for name, fault := range body {
			e.Name, e.Message = name, fault.Message
		}
	}
	return e
}

func (c *Client) getJSON(ctx context.Context, path string, into any) error {
	req, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer drop(res)
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// do sends a request whose answer has no body that matters.
func (c *Client) do(ctx context.Context, method, path string, header http.Header) (http.Header, error) {
	req, err := c.request(ctx, method, path, http.NoBody)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	drop(res)
	return res.Header, nil
}

// drop reads the rest of an answer, so that its connection can be used again.
func drop(res *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, faultMax)) // what it brings is not wanted
	_ = res.Body.Close()
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
