package wire

import (
	"context"
	"net/http"
	"strings"
)

// Origin is a request as its client sent it, before proxies: what addresses in answers are made of, and what a client signs.
type Origin struct {
	Scheme string // "http" or "https"
	Host   string
	Prefix string // of the path, without a slash at its end; "" for none
	Sent   bool   // the prefix still stands in the request's target
}

type originKey struct{}

// WithOrigin gives a request its origin.
func WithOrigin(r *http.Request, o Origin) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), originKey{}, o))
}

// OriginOf is the origin of a request: what was found out about it, or what the connection says.
func OriginOf(r *http.Request) Origin {
	if o, ok := r.Context().Value(originKey{}).(Origin); ok {
		return o
	}
	o := Origin{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		o.Scheme = "https"
	}
	return o
}

// URL is the address, without a path, by which the client reached us.
func (o *Origin) URL() string { return o.Scheme + "://" + o.Host + o.Prefix }

// Strip takes the prefix off a path that still has it.
func (o *Origin) Strip(path string) string {
	if !o.Sent {
		return path
	}
	if rest, ok := strings.CutPrefix(path, o.Prefix); ok && (rest == "" || rest[0] == '/') {
		if rest == "" {
			return "/"
		}
		return rest
	}
	return path
}

type sentHostKey struct{}

// WithSentHost gives a request whose target is a whole URL the Host header that was sent beside it.
func WithSentHost(r *http.Request, host string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), sentHostKey{}, host))
}

// SentHost is the Host header that was sent beside a target that is a whole URL, "" for none. It names nothing (RFC 9112, 3.2.2), but a client may have signed it.
func SentHost(r *http.Request) string {
	host, _ := r.Context().Value(sentHostKey{}).(string)
	return host
}
