package s3

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// bucketsMax bounds the buckets of one answer of ListBuckets.
const bucketsMax = 10000

// listBuckets serves ListBuckets. Whoever did not sign owns no buckets and sees none.
func listBuckets(ctx context.Context, c *call) (*reply, error) {
	limit := bucketsMax
	if text, ok := c.query.lookup("max-buckets"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > bucketsMax {
			return nil, badArgument("max-buckets", text, "Argument max-buckets must be an integer between 1 and 10000")
		}
		limit = n
	}
	after, err := decodeToken(c.query.get("continuation-token"))
	if err != nil {
		return nil, err
	}
	prefix := c.query.get("prefix")
	var found []bucket.Container
	more := false
	if !c.caller.Anonymous() {
		found, more, err = c.ownBuckets(ctx, after, prefix, limit)
		if err != nil && !(c.door.o.AsSwift && errs.Is(err, errs.Denied)) { // in Swift everybody may ask for what is theirs: nothing
			return nil, err
		}
	}
	x := newDocument("ListAllMyBucketsResult")
	if c.caller.Anonymous() {
		x.owner("Owner", owner{id: anonymousID, name: "anonymous"})
	} else {
		o, err := c.owner(ctx, c.caller.Account)
		if err != nil {
			return nil, err
		}
		x.owner("Owner", o)
	}
	x.open("Buckets")
	for i := range found {
		x.open("Bucket")
		x.text("Name", string(found[i].Bucket))
		x.time("CreationDate", c.shownTime(found[i].Created))
		if !c.door.o.AsSwift {
			x.text("BucketRegion", found[i].Region)
		}
		x.close("Bucket")
	}
	x.close("Buckets")
	if prefix != "" {
		x.text("Prefix", prefix)
	}
	if more {
		x.text("ContinuationToken", encodeToken(string(found[len(found)-1].Name)))
	}
	return x.reply(c, "ListAllMyBucketsResult"), nil
}

// ownBuckets lists the caller's containers that have a global name, which begins with prefix, after a container's name; more says that
// there are others.
func (c *call) ownBuckets(ctx context.Context, after, prefix string, limit int) (found []bucket.Container, more bool, err error) {
	region, inRegion := c.query.lookup("bucket-region")
	after = max(after, before(prefix))
	for {
		page, truncated, err := c.door.b.Containers(ctx, c.caller, c.caller.Account, naming.ContainerName(after), bucketsMax)
		if err != nil {
			return nil, false, err
		}
		for i := range page {
			p := &page[i]
			if p.Bucket == "" || !strings.HasPrefix(string(p.Bucket), prefix) || inRegion && p.Region != region {
				continue
			}
			if len(found) == limit {
				return found, true, nil
			}
			found = append(found, *p)
		}
		if !truncated || len(page) == 0 || string(page[len(page)-1].Name) > prefix+"\xff" && prefix != "" {
			return found, false, nil
		}
		after = string(page[len(page)-1].Name)
	}
}

// before is a string smaller than prefix and greater than every name in UTF-8 that is smaller than prefix and does not begin with it.
func before(prefix string) string {
	if prefix == "" {
		return ""
	}
	last := len(prefix) - 1
	if prefix[last] == 0 {
		return prefix[:last]
	}
	return prefix[:last] + string([]byte{prefix[last] - 1, 0xff})
}

// Tokens are opaque: base64 of a version byte and a position.
const tokenVersion = "\x01"

// encodeToken makes a continuation token for the entries after a position.
func encodeToken(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenVersion + after))
}

// decodeToken reads a continuation token; "" is the beginning.
func decodeToken(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(raw), tokenVersion)
	if err != nil || !ok || len(after) > 2*naming.ObjectNameMax {
		return "", badArgument("continuation-token", token, "The continuation token provided is incorrect")
	}
	return after, nil
}
