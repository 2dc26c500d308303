package s3

import (
	"context"
	"net/http"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
)

// putObject serves PutObject.
func putObject(ctx context.Context, c *call) (*reply, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	attributes, err := c.attributes(ctx)
	if err != nil {
		return nil, err
	}
	cond, err := c.writeCondition()
	if err != nil {
		return nil, err
	}
	v, err := c.door.b.Put(ctx, c.caller, backend.PutRequest{
		Container: c.ref(), Name: c.name, Attributes: attributes, If: cond, Body: body,
	})
	if err != nil {
		return nil, conditional(err)
	}
	c.set("Etag", quote(v.ETag))
	c.setVersion(v, false)
	c.told(ctx, v)
	c.setChecksums(v.Checksums)
	return empty(http.StatusOK), nil
}

// conditional gives a conflict of writers S3's word for it: the client reads again and decides.
func conditional(err error) error {
	if errs.Is(err, errs.Conflict) {
		return fail(ConditionalRequestConflict, "").because(err)
	}
	return err
}

// attributes reads what a request says of the object that it makes.
func (c *call) attributes(ctx context.Context) (backend.Attributes, error) {
	var a backend.Attributes
	var err error
	if a.StorageClass, err = c.storageClass(); err != nil {
		return a, err
	}
	if a.Meta, err = c.userMeta(); err != nil {
		return a, err
	}
	if a.ACL, err = c.objectACL(ctx); err != nil {
		return a, err
	}
	a.Canned = c.h("X-Amz-Acl")
	if a.Tags, err = c.headerTags(); err != nil {
		return a, err
	}
	if a.Retention, a.LegalHold, err = c.headerLock(); err != nil {
		return a, err
	}
	if a.Encryption, err = c.encryption(ctx); err != nil {
		return a, err
	}
	if a.ContentType = c.h("Content-Type"); a.ContentType == "" {
		a.ContentType = defaultContentType
	}
	a.Headers = object.Headers{
		ContentEncoding:    c.contentEncoding(),
		ContentLanguage:    c.h("Content-Language"),
		ContentDisposition: c.h("Content-Disposition"),
		CacheControl:       c.h("Cache-Control"),
		Expires:            c.h("Expires"),
		WebsiteRedirect:    c.h("X-Amz-Website-Redirect-Location"),
	}
	if err := c.swiftAttributes(&a); err != nil {
		return a, err
	}
	return a, checkRedirect(a.Headers.WebsiteRedirect)
}

// checkRedirect: a redirect goes to an object of the bucket or to a URL (API Reference, PutObject).
func checkRedirect(to string) error {
	if to == "" || strings.HasPrefix(to, "/") || strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") {
		return nil
	}
	return fail(InvalidArgument, "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.").
		with("ArgumentName", "x-amz-website-redirect-location")
}

// contentEncoding drops "aws-chunked", which describes the transfer and not the object. Swift, like AWS, keeps it when the body came without such framing;
// ceph/s3-tests want it dropped always.
func (c *call) contentEncoding() string {
	values := c.header["Content-Encoding"]
	if len(values) == 0 {
		return ""
	}
	joined := strings.Join(values, ", ")
	if !strings.Contains(joined, "aws-chunked") || c.door.o.AsSwift && !c.payload.auth.Payload.Streaming() {
		return joined
	}
	var kept []string
	for _, one := range headerList(values) {
		if one != "aws-chunked" {
			kept = append(kept, one)
		}
	}
	return strings.Join(kept, ", ")
}

// storageClass reads x-amz-storage-class. Every class that S3 knows is kept as a label; all are stored alike.
func (c *call) storageClass() (string, error) {
	switch class := c.h("X-Amz-Storage-Class"); class {
	case "", standardClass:
		return standardClass, nil
	case "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "EXPRESS_ONEZONE", "OUTPOSTS", "SNOW":
		return class, nil
	default:
		return "", fail(InvalidStorageClass, "").with("StorageClassRequested", clip(class))
	}
}

const metaPrefix = "X-Amz-Meta-"

// userMeta reads the x-amz-meta- headers. Names are kept in lower case, values byte by byte as they came; several headers of one name
// become one, joined by commas. Errors: MetadataTooLarge.
func (c *call) userMeta() (map[object.Domain]map[string]string, error) {
	var meta map[string]string
	total := 0
	for name, values := range c.header {
		if len(name) <= len(metaPrefix) || name[:len(metaPrefix)] != metaPrefix {
			// A name that is no token has no canonical form.
			if !c.door.o.AsSwift || len(name) <= len(metaPrefix) || !strings.EqualFold(name[:len(metaPrefix)], metaPrefix) {
				continue
			}
		}
		key, value := strings.ToLower(name[len(metaPrefix):]), strings.Join(values, ",")
		if meta == nil {
			meta = make(map[string]string)
		}
		total += len(key) + len(value)
		meta[key] = value
	}
	if meta == nil {
		return nil, nil
	}
	if total > c.door.o.Limits.MetaBytes {
		return nil, fail(MetadataTooLarge, "").with("Size", itoa(total)).with("MaxSizeAllowed", itoa(c.door.o.Limits.MetaBytes))
	}
	return map[object.Domain]map[string]string{object.UserMeta: meta}, nil
}
