package s3

import (
	"context"
	"crypto/md5" // Content-MD5 is part of the protocol
	"crypto/sha256"
	"io"
	"net/http"
	"slices"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// payload is the body of a request as the operation sees it: chunk framing undone, signatures of chunks checked.
type payload struct {
	auth  *sigv4.Auth
	paced *wire.Body  // below, at the client's pace; nil when there is no body
	body  *sigv4.Body // nil when there is no body
	size  int64       // declared, -1 when the client did not say
	begun bool        // somebody read of it
	// stalled: the client stopped sending, or left.
	stalled bool
}

// authenticate tells who sent the request and prepares its payload, of which nothing is read yet.
func (d *Door) authenticate(ctx context.Context, c *call) error {
	r := c.r
	if r.Method == http.MethodOptions {
		// A browser's preflight for a presigned URL carries the signature of the request to come.
		c.caller.RequestID, c.caller.Facts = c.id, c
		c.payload = payload{auth: &sigv4.Auth{DecodedLength: -1}, size: r.ContentLength}
		return nil
	}
	signed := sigv4.Request{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header,
		ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding, Bucket: c.vhost, Places: d.places(c), StrictLife: d.o.AsSwift,
	}
	if d.o.AsSwift {
		signed.ChunkMin = chunkMin
	}
	var who access.Principal
	a, err := d.verifier.Verify(ctx, &signed, func(ctx context.Context, accessKey string) (string, error) {
		id, p, err := d.b.Identify(ctx, accessKey)
		who = p
		return id.Key.Secret, err
	})
	if err != nil {
		return err
	}
	c.caller = backend.Caller{Principal: who, RequestID: c.id, Facts: c}
	c.signed = a.Scheme != sigv4.Anonymous
	c.payload = payload{auth: a, size: r.ContentLength}
	if a.Payload.Streaming() {
		c.payload.size = a.DecodedLength
	}
	if r.Body != nil && r.Body != http.NoBody {
		c.payload.paced = wire.NewBody(c.w.w, r, d.o.Clock, d.o.Pace)
		c.payload.body = a.Body(c.payload.paced, false)
	}
	if a.Scheme == sigv4.V4Query || a.Scheme == sigv4.V2Query {
		c.takeHoisted(a)
	}
	return nil
}

// places are the hosts and prefixes that a client may have signed, besides what has come: those it is known to have used, then all that the service is
// known by.
func (d *Door) places(c *call) []sigv4.Place {
	var list []sigv4.Place
	if host := d.sentHost(c); host != "" {
		list = append(list, sigv4.Place{Host: host})
	}
	if len(d.o.Places) == 0 && (c.origin.Prefix == "" || c.origin.Sent) {
		return list
	}
	if c.origin.Prefix != "" && !c.origin.Sent {
		list = append(list, sigv4.Place{Host: c.origin.Host, Prefix: c.origin.Prefix})
	}
	for _, p := range d.o.Places {
		list = append(list, p)
		if p.Prefix != "" {
			list = append(list, sigv4.Place{Host: p.Host}) // the prefix has come with the path
		}
	}
	return list
}

// sentHost is the Host header that a client of Swift's may have signed though its target is a whole URL with another host: Swift takes the header. It counts only where
// neither host names a bucket, so that what is addressed does not hang on either.
func (d *Door) sentHost(c *call) string {
	if !d.o.AsSwift {
		return ""
	}
	if host := wire.SentHost(c.r); c.vhost == "" && d.vhost(host) == "" {
		return host
	}
	return ""
}

// takeHoisted moves the headers that a presigned query carries to the headers. A header that was sent as such stays.
func (c *call) takeHoisted(a *sigv4.Auth) {
	c.presigned = true
	cloned := false
	a.EachHoisted(func(lower, value string) {
		name := http.CanonicalHeaderKey(lower)
		if !strings.HasPrefix(lower, "x-amz-") {
			// Version 2 carries Content-Type and Content-MD5 too, under names that no operation has a parameter of.
			c.query = slices.DeleteFunc(c.query, func(p param) bool { return strings.EqualFold(p.name, lower) })
		}
		if c.has(name) {
			return
		}
		if !cloned {
			c.header, cloned = c.r.Header.Clone(), true
		}
		c.header[name] = []string{value}
	})
}

// bodyReader gives the payload, counting.
func (c *call) bodyReader() io.Reader { return (*bodyReader)(c) }

type bodyReader call

func (b *bodyReader) Read(p []byte) (int, error) {
	b.payload.begun = true
	if b.payload.body == nil {
		return 0, io.EOF
	}
	n, err := b.payload.body.Read(p)
	b.received += int64(n)
	if late := b.turn.Bytes(b.r.Context(), n); late != nil && err == nil {
		return n, late
	}
	if reason := errs.ReasonOf(err); reason == errs.SlowBody || reason == errs.IncompleteBody {
		b.payload.stalled = true
	}
	return n, err
}

// hashed reports whether the signature covers the payload's hash.
func (p *payload) hashed() bool { return p.auth.Payload == sigv4.Hashed }

// checkSHA256 compares the signed hash with the payload's.
func (p *payload) checkSHA256(d object.Digests) error {
	return p.auth.Proves(d.SHA256)
}

// trailers are the trailers that the request announced, names in lower case.
func (p *payload) trailers() []string { return p.auth.Trailers }

// trailer is a checksum that came behind the body.
func (p *payload) trailer(a object.Algorithm) (object.Checksum, error) {
	name := "x-amz-checksum-" + strings.ToLower(string(a))
	if p.body != nil {
		if text, ok := p.body.Trailer(name); ok {
			s, err := parseChecksum(a, text)
			if err != nil || s.Parts > 0 {
				return s, fail(InvalidRequest, "Value for "+name+" trailing header is invalid.")
			}
			return s, nil
		}
	}
	return object.Checksum{}, fail(MalformedTrailer, "")
}

// release gives the connection's read deadline back.
func (p *payload) release() {
	if p.paced != nil {
		p.paced.Release()
	}
}

// proveWhole checks a body that was read into memory against what the request says of it.
func (c *call) proveWhole(raw []byte) error {
	p, err := c.readProof()
	if err != nil {
		return err
	}
	p.whole = true
	d := object.Digests{Size: int64(len(raw))}
	if p.md5 != nil {
		d.MD5 = md5.Sum(raw)
	}
	if c.payload.hashed() {
		d.SHA256 = sha256.Sum256(raw)
	}
	for _, a := range p.algorithms() {
		h := a.New()
		_, _ = h.Write(raw)
		d.Checksums = append(d.Checksums, object.Checksum{Algorithm: a, Value: string(h.Sum(nil))})
	}
	return p.check(c, d)
}
