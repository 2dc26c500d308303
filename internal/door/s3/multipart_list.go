package s3

import (
	"context"
	"strconv"
	"strings"

	"pithos/internal/access"
	"pithos/internal/door/wire"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// pageMax bounds the entries of one page of parts or uploads.
const pageMax = 1000

// listParts serves ListParts.
func listParts(ctx context.Context, c *call) (*reply, error) {
	limit, err := c.pageLimit("max-parts", c.query.get("max-parts"))
	if err != nil {
		return nil, err
	}
	after, err := markerNumber("part-number-marker", c.query.get("part-number-marker"))
	if err != nil {
		return nil, err
	}
	encode, err := c.encoding()
	if err != nil {
		return nil, err
	}
	upload := c.query.get("uploadId")
	u, parts, more, err := c.door.b.Parts(ctx, c.caller, c.ref(), c.name, upload, after, limit)
	if err != nil {
		return nil, err
	}
	initiator, err := c.initiator(ctx, u.Initiator)
	if err != nil {
		return nil, err
	}
	holder, err := c.owner(ctx, u.Template.Owner)
	if err != nil {
		return nil, err
	}
	x := newDocument("ListPartsResult")
	x.text("Bucket", string(c.bucket))
	x.text("Key", encode(string(c.name)))
	x.text("UploadId", upload)
	x.owner("Initiator", initiator)
	x.owner("Owner", holder)
	x.text("StorageClass", classOf(u.Template.StorageClass))
	x.int("PartNumberMarker", int64(after))
	next := after
	if len(parts) > 0 {
		next = parts[len(parts)-1].Number
	}
	x.int("NextPartNumberMarker", int64(next))
	x.int("MaxParts", int64(limit))
	c.encodingElement(x)
	x.bool("IsTruncated", more)
	if u.Checksum != "" {
		x.text("ChecksumAlgorithm", string(u.Checksum))
		x.text("ChecksumType", typeName(u.FullObject))
	}
	for i := range parts {
		p := &parts[i]
		x.open("Part")
		x.int("PartNumber", int64(p.Number))
		x.time("LastModified", c.shownTime(p.Modified))
		x.etag(p.ETag)
		x.int("Size", p.Size)
		x.checksums(p.Checksums)
		x.close("Part")
	}
	return x.reply(c, "ListPartsResult"), nil
}

// initiator is who began an upload. S3 shows users of IAM by their ARN; this door shows their account, as it does for owners.
func (c *call) initiator(ctx context.Context, user naming.UserID) (owner, error) {
	if user == "" {
		return owner{id: anonymousID, name: "anonymous"}, nil
	}
	account, _ := user.Split()
	return c.owner(ctx, account)
}

// anonymousID is the canonical id that S3 shows for whoever did not sign.
const anonymousID = "65a011a29cdf8ec533ec3d1ccaae921c"

func classOf(class string) string {
	if class == "" {
		return standardClass
	}
	return class
}

// pageLimit reads the size of a page: 0 to 2^31-1, at most pageMax are given.
func (c *call) pageLimit(name, text string) (int, error) {
	if text == "" {
		return pageMax, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, badArgument(name, text, "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return min(int(n), pageMax), nil
}

func markerNumber(name, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, badArgument(name, text, "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return int(n), nil
}

// encoding reads ?encoding-type: how names stand in a document.
func (c *call) encoding() (func(string) string, error) {
	switch text, ok := c.query.lookup("encoding-type"); {
	case !ok || text == "":
		return func(s string) string { return s }, nil
	case strings.EqualFold(text, "url"):
		return encodePath, nil
	default:
		return nil, badArgument("encoding-type", text, "Invalid Encoding Method specified in Request")
	}
}

// encodingElement tells the encoding if one was asked for.
func (c *call) encodingElement(x *document) {
	if c.query.get("encoding-type") != "" {
		x.text("EncodingType", "url")
	}
}

// listMultipartUploads serves ListMultipartUploads.
func listMultipartUploads(ctx context.Context, c *call) (*reply, error) {
	limit, err := c.pageLimit("max-uploads", c.query.get("max-uploads"))
	if err != nil {
		return nil, err
	}
	encode, err := c.encoding()
	if err != nil {
		return nil, err
	}
	keyMarker, idMarker := c.query.get("key-marker"), c.query.get("upload-id-marker")
	if keyMarker == "" {
		idMarker = "" // it has no meaning alone (API Reference)
	}
	prefix, delimiter := c.query.get("prefix"), c.query.get("delimiter")
	page, err := c.door.b.Uploads(ctx, c.caller, c.ref(), prefix, delimiter, keyMarker, idMarker, limit)
	if err != nil {
		return nil, err
	}
	x := newDocument("ListMultipartUploadsResult")
	x.text("Bucket", string(c.bucket))
	x.text("KeyMarker", encode(keyMarker))
	x.text("UploadIdMarker", idMarker)
	switch {
	case page.Truncated:
		x.text("NextKeyMarker", encode(page.NextName))
		x.text("NextUploadIdMarker", page.NextID)
	case c.door.o.AsSwift:
		c.swiftMarkers(x, &page, encode)
	}
	x.textIf("Delimiter", encode(delimiter))
	if prefix != "" || !c.door.o.AsSwift {
		x.text("Prefix", encode(prefix))
	}
	x.int("MaxUploads", int64(limit))
	c.encodingElement(x)
	x.bool("IsTruncated", page.Truncated)
	known := c.newOwners()
	for i := range page.Uploads {
		u := &page.Uploads[i]
		initiator := owner{id: anonymousID, name: "anonymous"}
		if u.Initiator != "" {
			account, _ := u.Initiator.Split()
			if initiator, err = known.get(ctx, account); err != nil {
				return nil, err
			}
		}
		holder, err := known.get(ctx, u.Template.Owner)
		if err != nil {
			return nil, err
		}
		x.open("Upload")
		x.text("Key", encode(string(u.Name)))
		x.text("UploadId", u.ID)
		x.owner("Initiator", initiator)
		x.owner("Owner", holder)
		x.text("StorageClass", classOf(u.Template.StorageClass))
		x.time("Initiated", u.Initiated)
		if u.Checksum != "" {
			x.text("ChecksumAlgorithm", string(u.Checksum))
			x.text("ChecksumType", typeName(u.FullObject))
		}
		x.close("Upload")
	}
	for _, p := range page.Prefixes {
		x.open("CommonPrefixes")
		x.text("Prefix", encode(p))
		x.close("CommonPrefixes")
	}
	return x.reply(c, "ListMultipartUploadsResult"), nil
}

// getObjectAttributes serves GetObjectAttributes.
func getObjectAttributes(ctx context.Context, c *call) (*reply, error) {
	wanted := map[string]bool{}
	for _, name := range headerList(c.header["X-Amz-Object-Attributes"]) {
		switch name {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			wanted[name] = true
		default:
			return nil, badArgument("x-amz-object-attributes", name, "Invalid attribute name specified.")
		}
	}
	if len(wanted) == 0 {
		return nil, fail(InvalidRequest, "The x-amz-object-attributes header is missing or has no attributes.")
	}
	limit, err := c.pageLimit("x-amz-max-parts", c.h("X-Amz-Max-Parts"))
	if err != nil {
		return nil, err
	}
	after, err := markerNumber("x-amz-part-number-marker", c.h("X-Amz-Part-Number-Marker"))
	if err != nil {
		return nil, err
	}
	// It needs the permission to read the object too (API Reference, GetObjectAttributes).
	if _, err := c.open(ctx, access.GetObject); err != nil {
		return nil, err
	}
	o, err := c.open(ctx, c.versioned(access.GetObjectAttributes, access.GetObjectVersionAttributes))
	if err != nil {
		return nil, err
	}
	v := o.Version
	if err := c.checkRead(v, &o.Container); err != nil {
		return nil, err
	}
	if err := c.unseal(ctx, o); err != nil {
		return nil, err
	}
	c.set("Last-Modified", wire.FormatDate(v.Modified()))
	c.setVersion(v, o.Container.Config.Versioning != bucket.VersioningOff)
	x := newDocument("GetObjectAttributesResponse")
	if wanted["ETag"] {
		x.text("ETag", v.ETag) // without quotes here, unlike everywhere else
	}
	if wanted["Checksum"] && len(v.Checksums) > 0 {
		x.open("Checksum")
		x.checksumsTyped(v.Checksums)
		x.close("Checksum")
	}
	if wanted["ObjectParts"] && len(v.Parts) > 0 {
		x.objectParts(v, after, limit)
	}
	if wanted["StorageClass"] {
		x.text("StorageClass", classOf(v.StorageClass))
	}
	if wanted["ObjectSize"] {
		x.int("ObjectSize", v.Size)
	}
	return x.reply(c, "GetObjectAttributesResponse"), nil
}

// objectParts writes a page of a version's parts. They are numbered by their place, as reads by partNumber are.
func (x *document) objectParts(v *object.Version, after, limit int) {
	from := min(after, len(v.Parts))
	to := min(from+limit, len(v.Parts))
	x.open("ObjectParts")
	x.int("PartsCount", int64(len(v.Parts)))
	x.int("PartNumberMarker", int64(after))
	x.int("NextPartNumberMarker", int64(to))
	x.int("MaxParts", int64(limit))
	x.bool("IsTruncated", to < len(v.Parts))
	for i := from; i < to; i++ {
		p := &v.Parts[i]
		x.open("Part")
		x.int("PartNumber", int64(i+1))
		x.int("Size", p.Size)
		x.checksums(p.Checksums)
		x.close("Part")
	}
	x.close("ObjectParts")
}
