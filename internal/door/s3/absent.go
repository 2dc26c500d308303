package s3

import (
	"context"
	"encoding/xml"
	"net/http"
)

// The sub-resources of this file cannot be configured, or only to what they are, so the truthful answer to a read is that nothing is configured. Terraform and
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

// putBucketRequestPayment serves PutBucketRequestPayment: nobody but the owner can be made to pay.
func putBucketRequestPayment(ctx context.Context, c *call) (*reply, error) {
	var doc struct {
		XMLName xml.Name `xml:"RequestPaymentConfiguration"`
		Payer   string
	}
	if err := c.setting(ctx, &doc); err != nil {
		return nil, err
	}
	switch doc.Payer {
	case "BucketOwner":
		return empty(http.StatusOK), nil
	case "Requester":
		return nil, fail(NotImplemented, "Requester Pays is not implemented: nobody is charged for requests.")
	}
	return nil, fail(MalformedXML, "")
}

// accelerateDocument names the bucket document that keeps that acceleration was suspended.
const accelerateDocument = "accelerate"

const suspended = "Suspended"

// getBucketAccelerate serves GetBucketAccelerateConfiguration.
func getBucketAccelerate(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	x := newDocument("AccelerateConfiguration")
	x.textIf("Status", string(container.Config.Documents[accelerateDocument]))
	return x.reply(c, "AccelerateConfiguration"), nil
}

// putBucketAccelerate serves PutBucketAccelerateConfiguration.
func putBucketAccelerate(ctx context.Context, c *call) (*reply, error) {
	var doc struct {
		XMLName xml.Name `xml:"AccelerateConfiguration"`
		Status  string
	}
	if err := c.setting(ctx, &doc); err != nil {
		return nil, err
	}
	switch doc.Status {
	case suspended:
		return c.setDocument(ctx, accelerateDocument, []byte(suspended), http.StatusOK)
	case "Enabled":
		return nil, fail(NotImplemented, "Transfer acceleration is not implemented.")
	}
	return nil, fail(MalformedXML, "")
}

// putBucketNotification serves PutBucketNotificationConfiguration: the empty one, which is what there is.
func putBucketNotification(ctx context.Context, c *call) (*reply, error) {
	var doc struct {
		XMLName xml.Name `xml:"NotificationConfiguration"`
		Any     []struct {
			XMLName xml.Name
		} `xml:",any"`
	}
	if err := c.setting(ctx, &doc); err != nil {
		return nil, err
	}
	if len(doc.Any) > 0 {
		return nil, fail(NotImplemented, "Event notifications are not implemented.").with("Element", clip(doc.Any[0].XMLName.Local))
	}
	return empty(http.StatusOK), nil
}

// getBucketAbac serves GetBucketAbac: access by tags of the bucket is never on.
func getBucketAbac(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	x := newDocument("AbacStatus")
	x.text("Status", "Disabled")
	return x.reply(c, "AbacStatus"), nil
}

// setting reads the document of a sub-resource for who may set it.
func (c *call) setting(ctx context.Context, doc any) error {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return err
	}
	return c.xmlBody(doc)
}

// nothingToDelete answers the removal of what cannot have been set.
func nothingToDelete(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	return empty(http.StatusNoContent), nil
}

// noConfiguration answers for a configuration by id where there are none.
func noConfiguration(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	return nil, fail(NoSuchConfiguration, "").with("Id", clip(c.query.get("id")))
}

// noConfigurations lists no configurations.
func noConfigurations(root string) handler {
	return func(ctx context.Context, c *call) (*reply, error) {
		if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
			return nil, err
		}
		x := newDocument(root)
		x.bool("IsTruncated", false)
		return x.reply(c, root), nil
	}
}
