package s3

import (
	"context"
	"strconv"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/door/wire"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// copyObject serves CopyObject.
func copyObject(ctx context.Context, c *call) (*reply, error) {
	source, err := c.copySource(ctx)
	if err != nil {
		return nil, err
	}
	replace, err := c.directive("X-Amz-Metadata-Directive")
	if err != nil {
		return nil, err
	}
	replaceTags, err := c.directive("X-Amz-Tagging-Directive")
	if err != nil {
		return nil, err
	}
	attributes, err := c.attributes(ctx)
	if err != nil {
		return nil, err
	}
	algorithm, err := c.requestedAlgorithm()
	if err != nil {
		return nil, err
	}
	sourceKey, err := c.customerKey(sseSourceCustomer)
	if err != nil {
		return nil, err
	}
	sourceIf, err := wire.Conditions(c.header, "X-Amz-Copy-Source-")
	if err != nil {
		return nil, err
	}
	cond, err := c.writeCondition()
	if err != nil {
		return nil, err
	}
	v, src, err := c.door.b.Copy(ctx, c.caller, backend.CopyRequest{
		Source: source, SourceIf: sourceIf,
		Container: c.ref(), Name: c.name, If: cond,
		ReplaceAttributes: replace, ReplaceTags: replaceTags, Attributes: attributes, Checksum: algorithm, SourceKey: sourceKey,
		MD5: c.door.o.AsSwift,
	})
	if err != nil {
		return nil, copyError(source, err)
	}
	c.setVersion(v, false)
	c.told(ctx, v)
	c.setSourceVersion(source, src)
	x := newDocument("CopyObjectResult")
	x.time("LastModified", c.shownTime(v.Modified()))
	x.etag(v.ETag)
	x.checksumsTyped(v.Checksums)
	return x.reply(c, "CopyObjectResult"), nil
}

// checksumsTyped writes checksums and how they were made.
func (x *document) checksumsTyped(sums []object.Checksum) {
	x.checksums(sums)
	if len(sums) > 0 {
		x.text("ChecksumType", checksumType(sums[0]))
	}
}

// setSourceVersion tells which version was copied, where the source's bucket keeps versions.
func (c *call) setSourceVersion(source backend.Target, src *object.Version) {
	switch {
	case !src.Null:
		c.set("X-Amz-Copy-Source-Version-Id", formatVersion(src.ID))
	case source.Which.By == meta.TheNull:
		c.set("X-Amz-Copy-Source-Version-Id", nullVersion)
	}
}

// copyError: conditions on a source fail with 412 also where a read would answer 304 (API Reference, CopyObject).
func copyError(source backend.Target, err error) error {
	switch {
	case errs.Is(err, errs.NotModified):
		return fail(PreconditionFailed, "").because(err)
	case errs.ReasonOf(err) == errs.MarkerTarget:
		return fail(InvalidRequest, "The source of a copy request may not specifically refer to a delete marker by version id.").because(err)
	case source.Which.By != meta.Newest && errs.IsThing(err, errs.NotFound, errs.Version):
		return fail(NoSuchVersion, "").because(err)
	}
	return conditional(err)
}

// directive reads COPY or REPLACE; true is REPLACE.
func (c *call) directive(header string) (bool, error) {
	switch value := c.h(header); value {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, badArgument(strings.ToLower(header), value, "Unknown directive: it must be COPY or REPLACE")
	}
}

// copySource reads x-amz-copy-source: [/]BUCKET/KEY[?versionId=ID], percent-encoded. It honours x-amz-source-expected-bucket-owner.
func (c *call) copySource(ctx context.Context) (backend.Target, error) {
	var t backend.Target
	text := c.h("X-Amz-Copy-Source")
	bad := func(msg string) error { return badArgument("x-amz-copy-source", text, msg) }
	path, version := text, ""
	if i := strings.LastIndex(text, "?versionId="); i >= 0 {
		path, version = text[:i], text[i+len("?versionId="):]
		if version == "" {
			return t, bad("Version id cannot be the empty string")
		}
	}
	if c.door.o.AsSwift {
		if strings.Contains(path, "?") || strings.Contains(version, "&") {
			return t, bad("Unsupported copy source parameter.")
		}
		path = escapeStray(path)
	}
	path, err := unescapePath(path)
	if err != nil {
		return t, bad("The copy source is not a valid URL-encoded name")
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || key == "" {
		return t, bad("Copy source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if strings.HasPrefix(bucket, "arn:") {
		return t, fail(NotImplemented, "Access points are not implemented as a copy source.").with("Header", "x-amz-copy-source")
	}
	if t.Container.Bucket, err = naming.ParseBucket(bucket); err != nil {
		return t, err
	}
	if t.Name, err = naming.ParseObject(key); err != nil {
		return t, err
	}
	if version != "" {
		if t.Which, err = parseVersion(version); err != nil {
			return t, err
		}
	}
	c.logged.source = &copySource{t.Container.Bucket, t.Name}
	return t, c.expectOwner(ctx, t.Container.Bucket, c.h("X-Amz-Source-Expected-Bucket-Owner"))
}

// copyRange reads x-amz-copy-source-range: "bytes=first-last", both needed. Length -1 is all of the source.
func (c *call) copyRange() (off, length int64, err error) {
	text := c.h("X-Amz-Copy-Source-Range")
	if text == "" {
		return 0, -1, nil
	}
	spec, ok := strings.CutPrefix(text, "bytes=")
	first, last, cut := strings.Cut(spec, "-")
	from, errFrom := strconv.ParseUint(first, 10, 63)
	to, errTo := strconv.ParseUint(last, 10, 63)
	if !ok || !cut || errFrom != nil || errTo != nil || to < from || to == 1<<63-1 {
		return 0, 0, badArgument("x-amz-copy-source-range", text,
			"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	return int64(from), int64(to - from + 1), nil
}

// uploadPartCopy serves UploadPartCopy.
func uploadPartCopy(ctx context.Context, c *call) (*reply, error) {
	number, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	source, err := c.copySource(ctx)
	if err != nil {
		return nil, err
	}
	off, length, err := c.copyRange()
	if err != nil {
		return nil, err
	}
	sourceIf, err := wire.Conditions(c.header, "X-Amz-Copy-Source-")
	if err != nil {
		return nil, err
	}
	sourceKey, err := c.customerKey(sseSourceCustomer)
	if err != nil {
		return nil, err
	}
	key, err := c.customerKey(sseCustomer)
	if err != nil {
		return nil, err
	}
	p, src, err := c.door.b.PutPart(ctx, c.caller, backend.PartRequest{
		Container: c.ref(), Name: c.name, Upload: c.query.get("uploadId"), Number: number, Customer: key,
		From: &backend.PartSource{Source: source, If: sourceIf, Offset: off, Length: length, Key: sourceKey, MD5: c.door.o.AsSwift},
	})
	if err != nil {
		return nil, copyError(source, err)
	}
	c.setSourceVersion(source, src)
	if err := c.setEncryption(p.Encryption); err != nil {
		return nil, err
	}
	x := newDocument("CopyPartResult")
	x.time("LastModified", c.shownTime(p.Modified))
	x.etag(p.ETag)
	x.checksums(p.Checksums)
	return x.reply(c, "CopyPartResult"), nil
}

// partNumber reads ?partNumber.
func (c *call) partNumber() (int, error) {
	text := c.query.get("partNumber")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > partsMax {
		return 0, badArgument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive")
	}
	return n, nil
}
