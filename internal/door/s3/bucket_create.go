package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// locationDocument is the bucket document that keeps a location constraint as it was written.
const locationDocument = "location"

// createBucketDocument is the body of CreateBucket.
type createBucketDocument struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	LocationConstraint string
	Location           *struct{} // of directory buckets
	Bucket             *struct{}
	Tags               *tagList
}

// createBucket serves CreateBucket. Creating a bucket of one's own again, in the same way, succeeds, as at AWS in us-east-1; with another
// list or ownership it is BucketAlreadyExists, since AWS's way there, to change the list, has surprised many.
func createBucket(ctx context.Context, c *call) (*reply, error) {
	if c.caller.Anonymous() {
		return nil, fail(AccessDenied, "")
	}
	n := backend.NewContainer{Account: c.caller.Account, Name: naming.ContainerName(c.bucket), Bucket: c.bucket}
	if err := c.readConfiguration(&n); err != nil {
		return nil, err
	}
	var err error
	asked := c.has("X-Amz-Object-Ownership")
	if asked {
		if n.Config.Ownership, err = parseOwnership(c.h("X-Amz-Object-Ownership")); err != nil {
			return nil, badArgument("x-amz-object-ownership", c.h("X-Amz-Object-Ownership"), "Invalid x-amz-object-ownership header")
		}
	}
	switch lock := c.h("X-Amz-Bucket-Object-Lock-Enabled"); {
	case strings.EqualFold(lock, "true"):
		n.Config.ObjectLock, n.Config.Versioning = true, bucket.VersioningEnabled
	case lock != "" && !strings.EqualFold(lock, "false"):
		return nil, badArgument("x-amz-bucket-object-lock-enabled", lock, "The value must be true or false")
	}
	list, _, err := c.headerACL(ctx, c.caller.Canonical, c.caller.Canonical, true)
	if err != nil {
		return nil, err
	}
	n.Config.ACL = compact(list, c.caller.Canonical)
	if n.Config.Ownership == bucket.BucketOwnerEnforced && len(n.Config.ACL.Grants) > 0 {
		return nil, fail(InvalidBucketACLWithOwnership, "")
	}
	container, created, err := c.door.b.CreateContainer(ctx, c.caller, n)
	if err != nil {
		return nil, err
	}
	same := slices.Equal(container.Config.ACL.Grants, n.Config.ACL.Grants) && (!asked || container.Config.Ownership == n.Config.Ownership) &&
		(container.Config.ObjectLock || !n.Config.ObjectLock) && (n.Region == "" || container.Region == n.Region)
	if !created && !same {
		return nil, fail(BucketAlreadyExists, "")
	}
	if !created && c.door.o.AsSwift {
		return nil, c.ownedAlready()
	}
	c.set("Location", "/"+string(c.bucket))
	return empty(http.StatusOK), nil
}

// readConfiguration reads the body of CreateBucket, if there is one: location and tags.
func (c *call) readConfiguration(n *backend.NewContainer) error {
	if c.payload.size == 0 {
		return nil
	}
	raw, err := c.wholeBody(c.door.o.Limits.XMLBytes)
	if err != nil || len(raw) == 0 {
		return c.tooLong(err)
	}
	var doc createBucketDocument
	if err := decodeXML(raw, &doc); err != nil {
		return err
	}
	switch {
	case doc.Location != nil, doc.Bucket != nil:
		return fail(NotImplemented, "There are no directory buckets.")
	}
	n.Config.Documents = map[string][]byte{}
	if doc.Tags != nil {
		tags, err := doc.Tags.list(bucketTagsMax)
		if err != nil {
			return err
		}
		if content := bucketTags(tags); content != nil {
			n.Config.Documents[taggingDocument] = content
		}
	}
	switch {
	case doc.LocationConstraint == "" && !c.door.o.AsSwift:
		return nil
	case doc.LocationConstraint != c.door.o.Region && !slices.Contains(c.door.b.Regions(), doc.LocationConstraint):
		return fail(IllegalLocationConstraint, "The "+clip(doc.LocationConstraint)+
			" location constraint is incompatible for the region specific endpoint this request was sent to.")
	}
	n.Region, c.location = doc.LocationConstraint, doc.LocationConstraint
	n.Config.Documents[locationDocument] = []byte(doc.LocationConstraint)
	return nil
}

// headBucket serves HeadBucket.
func headBucket(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	c.set("X-Amz-Bucket-Region", container.Region)
	c.set("X-Amz-Access-Point-Alias", "false")
	return empty(http.StatusOK), nil
}

// deleteBucket serves DeleteBucket.
func deleteBucket(ctx context.Context, c *call) (*reply, error) {
	if err := c.door.b.DeleteContainer(ctx, c.caller, c.ref()); err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}
