package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"

	"pithos/internal/errs"
	"pithos/internal/store/bucket"
)

// defaultRegion is the region that S3 shows as an empty location.
const defaultRegion = "us-east-1"

// getBucketLocation serves GetBucketLocation. The location of us-east-1 is empty, unless the bucket was created with that name in a
// constraint (which AWS refuses and other services allow): then it is shown as it was written.
func getBucketLocation(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	location := container.Region
	if location == defaultRegion {
		location = string(container.Config.Documents[locationDocument])
	}
	x := newDocument("LocationConstraint")
	x.b = appendEscaped(x.b, location)
	return x.reply(c, "LocationConstraint"), nil
}

// getBucketVersioning serves GetBucketVersioning. A bucket that never had a setting has none in the document.
func getBucketVersioning(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	x := newDocument("VersioningConfiguration")
	switch container.Config.Versioning {
	case bucket.VersioningEnabled:
		x.text("Status", "Enabled")
	case bucket.VersioningSuspended:
		x.text("Status", "Suspended")
	case bucket.VersioningOff:
	}
	return x.reply(c, "VersioningConfiguration"), nil
}

// versioningDocument is the body of PutBucketVersioning.
type versioningDocument struct {
	XMLName   xml.Name `xml:"VersioningConfiguration"`
	Status    string
	MfaDelete string
}

// putBucketVersioning serves PutBucketVersioning.
func putBucketVersioning(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc versioningDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	var want bucket.Versioning
	switch doc.Status {
	case "Enabled":
		want = bucket.VersioningEnabled
	case "Suspended":
		want = bucket.VersioningSuspended
	case "":
		if c.door.o.AsSwift {
			return nil, fail(MalformedXML, "")
		}
		return nil, fail(IllegalVersioning, "The Versioning element must be specified")
	default:
		return nil, fail(MalformedXML, "")
	}
	switch doc.MfaDelete {
	case "", "Disabled":
	case "Enabled":
		return nil, fail(NotImplemented, "MFA delete is not implemented.")
	default:
		return nil, fail(MalformedXML, "")
	}
	_, err := c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		config.Versioning = want
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(http.StatusOK), nil
}

var errOwnership = errors.New("unknown object ownership")

func parseOwnership(s string) (bucket.Ownership, error) {
	switch o := bucket.Ownership(s); o {
	case bucket.BucketOwnerEnforced, bucket.BucketOwnerPreferred, bucket.ObjectWriter:
		return o, nil
	}
	return "", errOwnership
}

// getBucketOwnershipControls serves GetBucketOwnershipControls.
func getBucketOwnershipControls(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	if container.Config.Ownership == "" {
		return nil, fail(OwnershipControlsNotFound, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("OwnershipControls")
	x.open("Rule")
	x.text("ObjectOwnership", string(container.Config.Ownership))
	x.close("Rule")
	return x.reply(c, "OwnershipControls"), nil
}

// ownershipDocument is the body of PutBucketOwnershipControls.
type ownershipDocument struct {
	XMLName xml.Name `xml:"OwnershipControls"`
	Rules   []struct {
		ObjectOwnership string
	} `xml:"Rule"`
}

// putBucketOwnershipControls serves PutBucketOwnershipControls.
func putBucketOwnershipControls(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc ownershipDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	if len(doc.Rules) != 1 {
		return nil, fail(MalformedXML, "")
	}
	want, err := parseOwnership(doc.Rules[0].ObjectOwnership)
	if err != nil {
		return nil, fail(MalformedXML, "").because(err)
	}
	return c.setOwnership(ctx, want, http.StatusOK)
}

// deleteBucketOwnershipControls serves DeleteBucketOwnershipControls.
func deleteBucketOwnershipControls(ctx context.Context, c *call) (*reply, error) {
	return c.setOwnership(ctx, "", http.StatusNoContent)
}

func (c *call) setOwnership(ctx context.Context, want bucket.Ownership, status int) (*reply, error) {
	_, err := c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		config.Ownership = want
		return nil
	})
	if errs.ReasonOf(err) == errs.ACLsInTheWay {
		return nil, fail(InvalidBucketACLWithOwnership, "").because(err)
	}
	if err != nil {
		return nil, err
	}
	return empty(status), nil
}
