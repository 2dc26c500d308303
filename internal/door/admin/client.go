package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Client speaks this API to a running server, or to a Door in the same process.
type Client struct {
	Base  string            // "http://127.0.0.1:9090"
	Token string            // see TokenFile
	HTTP  http.RoundTripper // http.DefaultTransport, or Local
}

// Do sends a request and decodes the answer into out unless that is nil. An error that the server tells is a *Failure.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	resp, err := c.send(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// Run starts a task, calls progress for each of its lines of progress, and decodes its report into out.
func (c *Client) Run(ctx context.Context, task string, query url.Values, progress func(Progress), out any) error {
	resp, err := c.send(ctx, http.MethodPost, "/v1/"+task, query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for {
		var l struct {
			Progress *Progress
			Report   json.RawMessage
			Error    *Failure
		}
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("the server stopped before the end: %w", err)
		}
		switch {
		case l.Error != nil:
			return l.Error
		case l.Report != nil:
			return json.Unmarshal(l.Report, out)
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		}
	}
}

// Each calls fn for every item of a list, page after page.
func Each[T any](ctx context.Context, c *Client, path string, query url.Values, fn func(T)) error {
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	for {
		var page Page[T]
		if err := c.Do(ctx, http.MethodGet, path, q, nil, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			fn(item)
		}
		if page.Next == "" {
			return nil
		}
		q.Set("after", page.Next)
	}
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	u := c.Base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	rt := c.HTTP
	if rt == nil {
		rt = http.DefaultTransport
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	var e errorBody
	if err := json.NewDecoder(io.LimitReader(resp.Body, bodyMax)).Decode(&e); err != nil || e.Error == nil {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	return nil, e.Error
}

// Local carries requests to a handler in this process.
type Local struct{ Handler http.Handler }

// RoundTrip implements http.RoundTripper. The handler runs until the body of the answer is closed or read to its end.
func (l Local) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	pr, pw := io.Pipe()
	w := &localWriter{header: http.Header{}, body: pw, ready: make(chan int, 1)}
	server := r.Clone(ctx)
	if server.Body == nil {
		server.Body = http.NoBody
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Handler.ServeHTTP(w, server)
		w.WriteHeader(http.StatusOK)
		_ = pw.Close() // never fails
	}()
	status := <-w.ready
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Header: w.header, Request: r,
		Body: &localBody{PipeReader: pr, cancel: cancel, done: done},
	}, nil
}

// localWriter is the handler's side of Local. ready gets the status once; the header is not touched by the handler afterwards.
type localWriter struct {
	header http.Header
	body   *io.PipeWriter
	ready  chan int
	sent   bool
}

func (w *localWriter) Header() http.Header { return w.header }

func (w *localWriter) WriteHeader(status int) {
	if !w.sent {
		w.sent = true
		w.ready <- status
	}
}

func (w *localWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *localWriter) Flush() {}

// localBody ends the handler when the reader closes.
type localBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   <-chan struct{}
}

func (b *localBody) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}
