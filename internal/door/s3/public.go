package s3

import (
	"context"
	"encoding/xml"
	"net/http"

	"pithos/internal/store/bucket"
)

// publicDocument is the body of PutPublicAccessBlock. What it leaves out is false.
type publicDocument struct {
	XMLName               xml.Name `xml:"PublicAccessBlockConfiguration"`
	BlockPublicAcls       bool
	IgnorePublicAcls      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

// getPublicAccessBlock serves GetPublicAccessBlock.
func getPublicAccessBlock(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	public := container.Config.PublicAccess
	if public == nil {
		return nil, fail(NoSuchPublicAccessBlock, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("PublicAccessBlockConfiguration")
	x.bool("BlockPublicAcls", public.BlockACLs)
	x.bool("IgnorePublicAcls", public.IgnoreACLs)
	x.bool("BlockPublicPolicy", public.BlockPolicy)
	x.bool("RestrictPublicBuckets", public.RestrictPolicy)
	return x.reply(c, "PublicAccessBlockConfiguration"), nil
}

// putPublicAccessBlock serves PutPublicAccessBlock.
func putPublicAccessBlock(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc publicDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	return c.setPublicAccess(ctx, &bucket.PublicAccess{
		BlockACLs: doc.BlockPublicAcls, IgnoreACLs: doc.IgnorePublicAcls,
		BlockPolicy: doc.BlockPublicPolicy, RestrictPolicy: doc.RestrictPublicBuckets,
	}, http.StatusOK)
}

// deletePublicAccessBlock serves DeletePublicAccessBlock.
func deletePublicAccessBlock(ctx context.Context, c *call) (*reply, error) {
	return c.setPublicAccess(ctx, nil, http.StatusNoContent)
}

func (c *call) setPublicAccess(ctx context.Context, want *bucket.PublicAccess, status int) (*reply, error) {
	_, err := c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		config.PublicAccess = want
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(status), nil
}
