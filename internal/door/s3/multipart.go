package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// createMultipartUpload serves CreateMultipartUpload.
func createMultipartUpload(ctx context.Context, c *call) (*reply, error) {
	attributes, err := c.attributes(ctx)
	if err != nil {
		return nil, err
	}
	algorithm, full, err := c.uploadChecksum()
	if err != nil {
		return nil, err
	}
	u, err := c.door.b.BeginUpload(ctx, c.caller, backend.NewUpload{
		Container: c.ref(), Name: c.name, Attributes: attributes, Checksum: algorithm, FullObject: full,
	})
	if err != nil {
		return nil, err
	}
	if err := c.setEncryption(u.Template.Encryption); err != nil {
		return nil, err
	}
	if algorithm != "" {
		c.set("X-Amz-Checksum-Algorithm", string(algorithm))
		c.set("X-Amz-Checksum-Type", typeName(full))
	}
	x := newDocument("InitiateMultipartUploadResult")
	x.text("Bucket", string(c.bucket))
	x.text("Key", string(c.name))
	x.text("UploadId", u.ID)
	return x.reply(c, "InitiateMultipartUploadResult"), nil
}

func typeName(full bool) string {
	if full {
		return fullObject
	}
	return composite
}

// uploadChecksum reads the checksum that an upload asks for. Not every algorithm goes with every type: a CRC-64 is only made over
// the full object, a SHA only over the parts' checksums (User Guide, "Checking object integrity").
func (c *call) uploadChecksum() (a object.Algorithm, full bool, err error) {
	if a, err = c.requestedAlgorithm(); err != nil {
		return "", false, err
	}
	kind := c.h("X-Amz-Checksum-Type")
	switch {
	case kind != "" && kind != composite && kind != fullObject:
		return "", false, fail(InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	case a == "" && kind != "":
		return "", false, fail(InvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case a == object.CRC64NVME && kind == composite, (a == object.SHA1 || a == object.SHA256) && kind == fullObject:
		return "", false, fail(InvalidRequest, "The "+kind+" checksum type cannot be used with the "+strings.ToLower(string(a))+" checksum algorithm.")
	}
	return a, kind == fullObject || a == object.CRC64NVME, nil
}

// uploadPart serves UploadPart.
func uploadPart(ctx context.Context, c *call) (*reply, error) {
	number, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	key, err := c.customerKey(sseCustomer)
	if err != nil {
		return nil, err
	}
	p, _, err := c.door.b.PutPart(ctx, c.caller, backend.PartRequest{
		Container: c.ref(), Name: c.name, Upload: c.query.get("uploadId"), Number: number, Body: body, Customer: key,
	})
	if err != nil {
		return nil, err
	}
	if err := c.setEncryption(p.Encryption); err != nil {
		return nil, err
	}
	c.set("Etag", quote(p.ETag))
	if c.door.o.AsSwift {
		c.set("Last-Modified", wire.FormatDate(c.shownTime(p.Modified)))
	}
	for _, s := range p.Checksums {
		for _, n := range algorithmNames {
			if n.a == s.Algorithm {
				c.set(n.header, s.Encode())
			}
		}
	}
	return empty(http.StatusOK), nil
}

// partElement is a part in CompleteMultipartUpload.
type partElement struct {
	Number    int     `xml:"PartNumber"`
	ETag      *string `xml:"ETag"` // must be there, if only empty
	CRC32     string  `xml:"ChecksumCRC32"`
	CRC32C    string  `xml:"ChecksumCRC32C"`
	CRC64NVME string  `xml:"ChecksumCRC64NVME"`
	SHA1      string  `xml:"ChecksumSHA1"`
	SHA256    string  `xml:"ChecksumSHA256"`
}

// completeDocument is the body of CompleteMultipartUpload.
type completeDocument struct {
	XMLName xml.Name      `xml:"CompleteMultipartUpload"`
	Parts   []partElement `xml:"Part"`
}

// completeMultipartUpload serves CompleteMultipartUpload. Assembly moves references only, so the answer comes at once and needs no
// white space to keep the connection alive.
func completeMultipartUpload(ctx context.Context, c *call) (*reply, error) {
	r := backend.CompleteRequest{Container: c.ref(), Name: c.name, Upload: c.query.get("uploadId"), Size: -1, WhileNewest: c.door.o.AsSwift}
	var err error
	if r.If, err = c.writeCondition(); err != nil {
		return nil, err
	}
	if r.Checksum, err = c.expectedChecksum(ctx); err != nil {
		return nil, err
	}
	if text := c.h("X-Amz-Mp-Object-Size"); text != "" {
		if r.Size, err = strconv.ParseInt(text, 10, 64); err != nil || r.Size < 0 {
			return nil, badArgument("x-amz-mp-object-size", text, "The size must be a number of bytes")
		}
	}
	if r.Customer, err = c.customerKey(sseCustomer); err != nil {
		return nil, err
	}
	if r.Parts, err = c.completionParts(); err != nil {
		return nil, c.uploadFirst(ctx, err)
	}
	v, err := c.door.b.Complete(ctx, c.caller, r)
	if err != nil {
		return nil, conditional(whichPart(err, &r))
	}
	c.setVersion(v, false)
	c.told(ctx, v)
	x := newDocument("CompleteMultipartUploadResult")
	x.text("Location", c.objectURL())
	x.text("Bucket", string(c.bucket))
	x.text("Key", string(c.name))
	x.etag(v.ETag)
	x.checksumsTyped(v.Checksums)
	return x.reply(c, "CompleteMultipartUploadResult"), nil
}

// whichPart tells of which part a refused completion speaks, as AWS does.
func whichPart(err error, r *backend.CompleteRequest) error {
	var e *errs.Error
	if errs.ReasonOf(err) != errs.PartMissing || !errors.As(err, &e) {
		return err
	}
	f := fail(InvalidPart, "").because(err).with("UploadId", r.Upload)
	for _, p := range r.Parts {
		if number := itoa(p.Number); number == e.Name {
			return f.with("PartNumber", number).with("ETag", clip(p.ETag))
		}
	}
	return f
}

// completionParts reads the list of parts. Quotes around ETags may be missing. A part that is listed twice in a row counts as listed
// last: clients that upload a part again append it to their list, and other services take that (ceph/s3-tests demand it).
func (c *call) completionParts() ([]backend.CompletePart, error) {
	var doc completeDocument
	if err := c.xmlBody(&doc); err != nil {
		var f *fault
		if errors.As(err, &f) && f.code == MissingRequestBody {
			return nil, fail(MalformedXML, "").because(err)
		}
		return nil, err
	}
	if len(doc.Parts) == 0 || len(doc.Parts) > partsMax {
		return nil, fail(MalformedXML, "")
	}
	parts := make([]backend.CompletePart, 0, len(doc.Parts))
	for i := range doc.Parts {
		p := &doc.Parts[i]
		if p.Number < 1 || p.Number > partsMax {
			return nil, badArgument("PartNumber", itoa(p.Number), "Part number must be an integer between 1 and 10000, inclusive")
		}
		if p.ETag == nil {
			return nil, fail(MalformedXML, "")
		}
		sums, err := p.checksums()
		if err != nil {
			return nil, err
		}
		if last := len(parts) - 1; last >= 0 && parts[last].Number == p.Number {
			parts = parts[:last]
		}
		parts = append(parts, backend.CompletePart{Number: p.Number, ETag: strings.Trim(strings.TrimSpace(*p.ETag), `"`), Checksums: sums})
	}
	return parts, nil
}

func (p *partElement) checksums() ([]object.Checksum, error) {
	var sums []object.Checksum
	for _, s := range [...]struct {
		a    object.Algorithm
		text string
	}{{object.CRC32, p.CRC32}, {object.CRC32C, p.CRC32C}, {object.CRC64NVME, p.CRC64NVME}, {object.SHA1, p.SHA1}, {object.SHA256, p.SHA256}} {
		if s.text == "" {
			continue
		}
		sum, err := parseChecksum(s.a, s.text)
		if err != nil || sum.Parts > 0 {
			return nil, fail(InvalidPart, "The checksum of part "+itoa(p.Number)+" is not valid.")
		}
		sums = append(sums, sum)
	}
	return sums, nil
}

// expectedChecksum reads the checksum that a completed object must have.
func (c *call) expectedChecksum(ctx context.Context) (*object.Checksum, error) {
	var found *object.Checksum
	for _, n := range algorithmNames {
		if !c.has(n.header) {
			continue
		}
		if found != nil {
			return nil, fail(InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		s, err := parseChecksum(n.a, c.h(n.header))
		if err != nil {
			return nil, fail(BadDigest, "Value for "+n.lower+" header is invalid.")
		}
		found = &s
	}
	if found != nil && c.sumless(ctx) {
		found = nil
	}
	return found, nil
}

// abortMultipartUpload serves AbortMultipartUpload.
func abortMultipartUpload(ctx context.Context, c *call) (*reply, error) {
	if err := c.door.b.AbortUpload(ctx, c.caller, c.ref(), c.name, c.query.get("uploadId")); err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}
