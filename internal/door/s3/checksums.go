package s3

import (
	"bytes"
	"crypto/md5" // Content-MD5 is part of the protocol
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/object"
)

// algorithmNames relate the algorithms to the ends of their headers (x-amz-checksum-...) and to XML elements (Checksum...).
var algorithmNames = [...]struct {
	a                      object.Algorithm
	header, lower, element string
}{
	{object.CRC32, "X-Amz-Checksum-Crc32", "x-amz-checksum-crc32", "ChecksumCRC32"},
	{object.CRC32C, "X-Amz-Checksum-Crc32c", "x-amz-checksum-crc32c", "ChecksumCRC32C"},
	{object.CRC64NVME, "X-Amz-Checksum-Crc64nvme", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME"},
	{object.SHA1, "X-Amz-Checksum-Sha1", "x-amz-checksum-sha1", "ChecksumSHA1"},
	{object.SHA256, "X-Amz-Checksum-Sha256", "x-amz-checksum-sha256", "ChecksumSHA256"},
}

// Values of x-amz-checksum-type.
const (
	composite  = "COMPOSITE"
	fullObject = "FULL_OBJECT"
)

// checksumType is how a checksum was made, as x-amz-checksum-type tells it.
func checksumType(s object.Checksum) string {
	if s.Parts > 0 {
		return composite
	}
	return fullObject
}

// setChecksums sets the headers of checksums and their type.
func (c *call) setChecksums(sums []object.Checksum) {
	for _, s := range sums {
		for _, n := range algorithmNames {
			if n.a == s.Algorithm {
				c.set(n.header, s.Encode())
				c.set("X-Amz-Checksum-Type", checksumType(s))
			}
		}
	}
}

// checksums writes the elements of checksums.
func (x *document) checksums(sums []object.Checksum) {
	for _, s := range sums {
		for _, n := range algorithmNames {
			if n.a == s.Algorithm {
				x.text(n.element, s.Encode())
			}
		}
	}
}

// proof is what a request says of its body, to be compared with what came.
type proof struct {
	md5      []byte // Content-MD5; nil: none
	sum      *object.Checksum
	trailing object.Algorithm // announced as a trailer
	whole    bool             // the body is a document, not an object's bytes
}

// readProof reads Content-MD5 and the checksum headers. Errors: InvalidDigest, BadDigest (a checksum that has not the length of its
// algorithm; AWS says InvalidRequest and so does Swift, ceph/s3-tests expect BadDigest), InvalidRequest, MalformedTrailer.
func (c *call) readProof() (proof, error) {
	var p proof
	if c.has("Content-Md5") {
		sum, err := base64.StdEncoding.DecodeString(c.h("Content-Md5"))
		if err != nil || len(sum) != md5.Size {
			return p, fail(InvalidDigest, "The Content-MD5 you specified was invalid.").with("Content-MD5", clip(c.h("Content-Md5")))
		}
		p.md5 = sum
	}
	if c.row.objectSums {
		return p, nil
	}
	return p, c.readChecksums(&p)
}

// readChecksums reads the one checksum that a request may have, in a header or announced as a trailer. That there is one only comes first, as at AWS.
func (c *call) readChecksums(p *proof) error {
	headers, trailers := 0, c.payload.trailers()
	name := ""
	for _, n := range algorithmNames {
		if c.has(n.header) {
			headers++
			s, err := parseChecksum(n.a, c.h(n.header))
			p.sum = &s
			if err != nil || s.Parts > 0 {
				name = n.lower
			}
		}
		if slices.Contains(trailers, n.lower) {
			p.trailing = n.a
		}
	}
	switch {
	case headers > 1, len(trailers) > 1:
		return fail(InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case headers == 1 && len(trailers) == 1:
		return fail(InvalidRequest, "Expecting a single x-amz-checksum- header")
	case name != "" && c.door.o.AsSwift:
		return fail(InvalidRequest, "Value for "+name+" header is invalid.")
	case name != "":
		return fail(BadDigest, "Value for "+name+" header is invalid.")
	}
	if err := p.checkDeclared(c.h("X-Amz-Sdk-Checksum-Algorithm")); err != nil {
		return err
	}
	if p.trailing != "" && !c.payload.auth.Payload.Trailing() {
		return fail(MalformedTrailer, "")
	}
	return nil
}

// checkDeclared compares what is there with x-amz-sdk-checksum-algorithm.
func (p *proof) checkDeclared(declared string) error {
	if declared == "" {
		return nil
	}
	a, ok := object.ParseAlgorithm(declared)
	switch {
	case !ok:
		return fail(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	case p.sum == nil && p.trailing == "":
		return fail(InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case p.sum != nil && p.sum.Algorithm != a, p.trailing != "" && p.trailing != a:
		return fail(InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

// algorithms are the checksums to compute.
func (p *proof) algorithms() []object.Algorithm {
	switch {
	case p.sum != nil:
		return []object.Algorithm{p.sum.Algorithm}
	case p.trailing != "":
		return []object.Algorithm{p.trailing}
	}
	return nil
}

// check compares the digests of what came. It runs after the last byte, when trailers are there.
func (p *proof) check(c *call, d object.Digests) error {
	// Trailers and signatures behind the last byte are read by asking for one byte more.
	var one [1]byte
	if n, err := c.bodyReader().Read(one[:]); n > 0 || !errors.Is(err, io.EOF) {
		if err == nil || errors.Is(err, io.EOF) {
			return fail(IncompleteBody, "The body is longer than was declared.")
		}
		return err
	}
	if err := c.payload.checkSHA256(d); err != nil {
		return err
	}
	if p.md5 != nil && !bytes.Equal(p.md5, d.MD5[:]) {
		// AWS writes the expected one of an object in hexadecimal digits and that of a document as it came.
		expected := hex.EncodeToString(p.md5)
		if p.whole {
			expected = base64.StdEncoding.EncodeToString(p.md5)
		}
		return fail(BadDigest, "The Content-MD5 you specified did not match what we received.").
			with("ExpectedDigest", expected).
			with("CalculatedDigest", base64.StdEncoding.EncodeToString(d.MD5[:]))
	}
	want := p.sum
	if p.trailing != "" {
		s, err := c.payload.trailer(p.trailing)
		if err != nil {
			return err
		}
		want = &s
	}
	if want == nil {
		return nil
	}
	for _, got := range d.Checksums {
		if got.Algorithm == want.Algorithm && got.Value == want.Value {
			return nil
		}
	}
	return fail(BadDigest, "The "+string(want.Algorithm)+" you specified did not match the calculated checksum.")
}

// parseChecksum reads a checksum as headers and documents carry it: base64, with "-N" when composite.
func parseChecksum(a object.Algorithm, text string) (object.Checksum, error) {
	s := object.Checksum{Algorithm: a}
	text = strings.TrimSpace(text)
	if value, parts, ok := strings.Cut(text, "-"); ok {
		n, err := strconv.Atoi(parts)
		if err != nil || n < 1 || n > partsMax {
			return s, fail(BadDigest, "")
		}
		s.Parts, text = n, value
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text) // bits behind the last byte are no checksum's
	if err != nil || len(raw) != a.Size() {
		return s, fail(BadDigest, "The "+string(a)+" you specified is not valid.")
	}
	s.Value = string(raw)
	return s, nil
}

// body prepares the request's body for the backend: how long it is said to be, what to compute over it, and how to prove it.
// Errors: MissingContentLength, EntityTooLarge and those of readProof.
func (c *call) body() (backend.Body, error) {
	if c.r.ProtoMajor == 1 && len(c.r.TransferEncoding) == 0 && c.r.Header["Content-Length"] == nil {
		return backend.Body{}, fail(MissingContentLength, "")
	}
	p, err := c.readProof()
	if err != nil {
		return backend.Body{}, err
	}
	return backend.Body{
		Reader:    c.bodyReader(),
		Size:      c.payload.size,
		Checksums: p.algorithms(),
		SHA256:    c.payload.hashed(),
		Prove:     func(d object.Digests) error { return p.check(c, d) },
	}, nil
}

// requestedAlgorithm reads x-amz-checksum-algorithm, "" when it is not there.
func (c *call) requestedAlgorithm() (object.Algorithm, error) {
	text := c.h("X-Amz-Checksum-Algorithm")
	if text == "" {
		return "", nil
	}
	a, ok := object.ParseAlgorithm(text)
	if !ok {
		return "", fail(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	return a, nil
}
