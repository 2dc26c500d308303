package wire

import "context"

// announceKey finds in a request's context the way to its connection.
type announceKey struct{}

// WithAnnounce gives the requests of a connection a way to add header lines that net/http would leave out. announce keeps lines, each with its line end, for the
// next answer on the connection.
func WithAnnounce(ctx context.Context, announce func(lines string)) context.Context {
	return context.WithValue(ctx, announceKey{}, announce)
}

// AnnounceEmpty lets the answer that comes next, of status 204 or 304, tell that its length is 0, as Swift does and its clients expect. net/http takes the header
// Content-Length off such answers (RFC 9110, 8.6). Over HTTP/2 it does nothing: there it would be an error (RFC 9113, 8.1.1).
func AnnounceEmpty(ctx context.Context) {
	if announce, ok := ctx.Value(announceKey{}).(func(string)); ok {
		announce("Content-Length: 0\r\n")
	}
}

// Announce adds a header to the answer that comes next whose name net/http would leave out since it is no token. name and value must be free of control
// characters, and the name of colons and spaces. Over HTTP/2 and TLS it does nothing.
func Announce(ctx context.Context, name, value string) {
	if announce, ok := ctx.Value(announceKey{}).(func(string)); ok {
		announce(name + ": " + value + "\r\n")
	}
}
