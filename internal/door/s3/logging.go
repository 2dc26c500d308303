package s3

import (
	"context"
	"encoding/xml"
	"net/http"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// loggingDocument is the body of PutBucketLogging.
type loggingDocument struct {
	XMLName xml.Name `xml:"BucketLoggingStatus"`
	Enabled *struct {
		TargetBucket string
		TargetPrefix *string
		TargetGrants *struct {
			Grants []grantElement `xml:"Grant"`
		}
		TargetObjectKeyFormat *struct {
			SimplePrefix      *struct{}
			PartitionedPrefix *struct {
				PartitionDateSource string
			}
		}
	} `xml:"LoggingEnabled"`
}

// loggingPrefixMax bounds TargetPrefix, so that there is room for the rest of a name.
const loggingPrefixMax = naming.ObjectNameMax - 512

// getBucketLogging serves GetBucketLogging.
func getBucketLogging(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	x := newDocument("BucketLoggingStatus")
	if raw := container.Config.Documents[bucket.LoggingDocument]; len(raw) > 0 {
		l, err := bucket.DecodeLogging(raw)
		if err != nil {
			return nil, err
		}
		if err := c.writeLogging(ctx, x, &l); err != nil {
			return nil, err
		}
	}
	return x.reply(c, "BucketLoggingStatus"), nil
}

func (c *call) writeLogging(ctx context.Context, x *document, l *bucket.Logging) error {
	x.open("LoggingEnabled")
	x.text("TargetBucket", string(l.Target))
	if len(l.Grants) > 0 {
		x.open("TargetGrants")
		for _, g := range l.Grants {
			x.open("Grant")
			if err := c.writeGrantee(ctx, x, g, owner{}); err != nil {
				return err
			}
			x.text("Permission", string(g.Permission))
			x.close("Grant")
		}
		x.close("TargetGrants")
	}
	x.text("TargetPrefix", l.Prefix)
	if l.Partition != bucket.NoPartition {
		source := "EventTime"
		if l.Partition == bucket.PartitionByDelivery {
			source = "DeliveryTime"
		}
		x.open("TargetObjectKeyFormat")
		x.open("PartitionedPrefix")
		x.text("PartitionDateSource", source)
		x.close("PartitionedPrefix")
		x.close("TargetObjectKeyFormat")
	}
	x.close("LoggingEnabled")
	return nil
}

// putBucketLogging serves PutBucketLogging. The target must be of the same account, and the caller must be allowed to write into it.
func putBucketLogging(ctx context.Context, c *call) (*reply, error) {
	source, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	var doc loggingDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	var kept []byte
	if doc.Enabled != nil {
		l, err := c.logging(ctx, &doc, source)
		if err != nil {
			return nil, err
		}
		if kept, err = l.Encode(); err != nil {
			return nil, err
		}
	}
	rep, err := c.setDocument(ctx, bucket.LoggingDocument, kept, http.StatusOK)
	if log := c.door.o.AccessLog; log != nil && err == nil {
		log.Changed(c.bucket)
	}
	return rep, err
}

// logging reads and tests what a document says. Errors: MalformedXML, InvalidTargetBucketForLogging, AccessDenied, and those of grants.
func (c *call) logging(ctx context.Context, doc *loggingDocument, source bucket.Container) (*bucket.Logging, error) {
	e := doc.Enabled
	if e.TargetPrefix == nil || e.TargetBucket == "" || len(*e.TargetPrefix) > loggingPrefixMax {
		return nil, fail(MalformedXML, "")
	}
	l := &bucket.Logging{Prefix: *e.TargetPrefix}
	if f := e.TargetObjectKeyFormat; f != nil && f.PartitionedPrefix != nil {
		switch f.PartitionedPrefix.PartitionDateSource {
		case "EventTime":
			l.Partition = bucket.PartitionByEvent
		case "DeliveryTime":
			l.Partition = bucket.PartitionByDelivery
		default:
			return nil, fail(MalformedXML, "")
		}
		if f.SimplePrefix != nil {
			return nil, fail(MalformedXML, "")
		}
	}
	bad := func(why string) error {
		return fail(InvalidTargetBucketForLogging, why).with("TargetBucket", clip(e.TargetBucket))
	}
	name, err := naming.ParseBucket(e.TargetBucket)
	if err != nil {
		return nil, bad("The target bucket for logging does not exist")
	}
	l.Target = name
	target, err := c.door.b.Found(ctx, backend.Ref{Bucket: name})
	switch {
	case errs.Is(err, errs.NotFound):
		return nil, bad("The target bucket for logging does not exist")
	case err != nil:
		return nil, err
	case target.Account != source.Account:
		return nil, bad("The owner for the bucket to be logged and the target bucket must be the same")
	}
	if _, err := c.door.b.Container(ctx, c.caller, backend.Ref{Bucket: name}, access.PutObject); err != nil {
		return nil, err
	}
	if e.TargetGrants == nil {
		return l, nil
	}
	if target.Config.Ownership == bucket.BucketOwnerEnforced && len(e.TargetGrants.Grants) > 0 {
		return nil, bad("The target bucket for logging has access control lists disabled, so there can be no target grants")
	}
	l.Grants, err = c.grants(ctx, e.TargetGrants.Grants)
	return l, err
}
