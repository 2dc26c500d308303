package s3

import "context"

// The sub-resources of this file cannot be configured yet, so the truthful answer to a read is that nothing is configured. Terraform and
// other tools read them all and take a wrong code for a failure.

// notConfigured answers with the code that S3 has for "this bucket has none".
func notConfigured(code code) handler {
	return func(ctx context.Context, c *call) (*reply, error) {
		if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
			return nil, err
		}
		return nil, fail(code, "").with("BucketName", string(c.bucket))
	}
}

// emptyDocument answers with a document that says that nothing is configured.
func emptyDocument(root string) handler {
	return func(ctx context.Context, c *call) (*reply, error) {
		if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
			return nil, err
		}
		return newDocument(root).reply(c, root), nil
	}
}

// getBucketRequestPayment serves GetBucketRequestPayment: the owner pays, since nobody is charged.
func getBucketRequestPayment(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	x := newDocument("RequestPaymentConfiguration")
	x.text("Payer", "BucketOwner")
	return x.reply(c, "RequestPaymentConfiguration"), nil
}

// getObjectTorrent serves GetObjectTorrent for whoever may read the object: there never is a torrent of it.
func getObjectTorrent(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.open(ctx, c.row.action); err != nil {
		return nil, err
	}
	return nil, fail(NoSuchKey, "There is no torrent of this object.")
}
