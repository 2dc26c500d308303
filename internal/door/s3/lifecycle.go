package s3

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/object"
	"pithos/internal/object/lifecycle"
	"pithos/internal/store/bucket"
)

// lifecycleXML names the bucket document with the configuration as it is given back; its rules are kept beside it for who applies them.
const lifecycleXML = "lifecycle.xml"

// Limits of a lifecycle configuration (API Reference, LifecycleRule and NoncurrentVersionExpiration).
const (
	rulesMax  = 1000
	ruleIDMax = 255
	newerMax  = 100
	daysMax   = 1<<31 - 1
)

// lifecycleDocument is the body of PutBucketLifecycleConfiguration.
type lifecycleDocument struct {
	XMLName xml.Name      `xml:"LifecycleConfiguration"`
	Rules   []ruleElement `xml:"Rule"`
}

type ruleElement struct {
	ID         string
	Status     string
	Prefix     *string // where it stood before there were filters
	Filter     *filterElement
	Expiration *struct {
		Days         *int64
		Date         string
		DeleteMarker *bool `xml:"ExpiredObjectDeleteMarker"`
	}
	Noncurrent *struct {
		Days  *int64 `xml:"NoncurrentDays"`
		Newer *int64 `xml:"NewerNoncurrentVersions"`
	} `xml:"NoncurrentVersionExpiration"`
	Abort *struct {
		Days *int64 `xml:"DaysAfterInitiation"`
	} `xml:"AbortIncompleteMultipartUpload"`
	Transitions []struct {
		Date string
		Days *int64
	} `xml:"Transition"`
	NoncurrentTransitions []struct{} `xml:"NoncurrentVersionTransition"`
}

// filterElement is a filter, or the list of demands in its And.
type filterElement struct {
	Prefix  *string
	Tags    []tagElement `xml:"Tag"`
	Larger  *int64       `xml:"ObjectSizeGreaterThan"`
	Smaller *int64       `xml:"ObjectSizeLessThan"`
	And     *filterElement
}

type tagElement struct {
	Key   *string
	Value string
}

// rules reads and checks the document; rules without an id get one. Errors: MalformedXML, InvalidArgument, InvalidRequest, NotImplemented for what
// would move objects to another storage class.
func (d *lifecycleDocument) rules() ([]lifecycle.Rule, error) {
	if len(d.Rules) == 0 || len(d.Rules) > rulesMax {
		return nil, fail(MalformedXML, "")
	}
	seen := map[string]bool{}
	rules := make([]lifecycle.Rule, len(d.Rules))
	for i := range d.Rules {
		e := &d.Rules[i]
		if e.ID == "" {
			e.ID = rand.Text()
		}
		switch {
		case len(e.ID) > ruleIDMax:
			return nil, fail(InvalidArgument, "ID length should not exceed allowed limit of 255")
		case seen[e.ID]:
			return nil, fail(InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule")
		case e.Status != enabled && e.Status != "Disabled":
			return nil, fail(MalformedXML, "")
		}
		seen[e.ID] = true
		r := &rules[i]
		r.ID, r.Disabled = e.ID, e.Status != enabled
		if err := e.filter(r); err != nil {
			return nil, err
		}
		if err := e.actions(r); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// filter reads what the rule is for. AWS takes one demand, or several inside And; several side by side, which other services take, mean all of them.
func (e *ruleElement) filter(r *lifecycle.Rule) error {
	if e.Filter == nil {
		if e.Prefix != nil {
			r.Prefix = *e.Prefix
		}
		return nil
	}
	if e.Prefix != nil {
		return fail(MalformedXML, "")
	}
	for f := e.Filter; f != nil; f = f.And {
		if f != e.Filter && f.And != nil {
			return fail(MalformedXML, "")
		}
		if f.Prefix != nil {
			switch {
			case strings.HasPrefix(*f.Prefix, r.Prefix):
				r.Prefix = *f.Prefix
			case !strings.HasPrefix(r.Prefix, *f.Prefix):
				return fail(InvalidRequest, "The prefixes of a filter exclude each other.")
			}
		}
		for _, t := range f.Tags {
			if t.Key == nil {
				return fail(MalformedXML, "")
			}
			r.Tags = append(r.Tags, object.Tag{Key: *t.Key, Value: t.Value})
		}
		if f.Larger != nil {
			r.Larger = f.Larger
		}
		if f.Smaller != nil {
			r.Smaller = f.Smaller
		}
	}
	if r.Larger != nil && *r.Larger < 0 || r.Smaller != nil && *r.Smaller < 1 || r.Larger != nil && r.Smaller != nil && *r.Larger >= *r.Smaller {
		return fail(InvalidRequest, "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return checkTags(r.Tags, objectTagsMax)
}

// actions reads what the rule does.
func (e *ruleElement) actions(r *lifecycle.Rule) error {
	for _, t := range e.Transitions {
		if _, err := midnight(t.Date); t.Date != "" && err != nil {
			return err
		}
	}
	if len(e.Transitions)+len(e.NoncurrentTransitions) > 0 {
		return fail(NotImplemented, "Transitions are not implemented: there is one tier of storage.")
	}
	if e.Expiration == nil && e.Noncurrent == nil && e.Abort == nil {
		return fail(InvalidRequest, "At least one action needs to be specified in a rule")
	}
	if err := e.expiration(r); err != nil {
		return err
	}
	if n := e.Noncurrent; n != nil {
		if n.Days == nil {
			return fail(MalformedXML, "")
		}
		if err := positive(*n.Days, "'NoncurrentDays' for NoncurrentVersionExpiration action", &r.NoncurrentDays); err != nil {
			return err
		}
		if n.Newer != nil {
			if *n.Newer > newerMax {
				return fail(InvalidArgument, "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must not be greater than 100")
			}
			if err := positive(*n.Newer, "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action", &r.Newer); err != nil {
				return err
			}
		}
	}
	if a := e.Abort; a != nil {
		switch {
		case a.Days == nil:
			return fail(MalformedXML, "")
		case len(r.Tags) > 0:
			return fail(InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Tags.")
		case r.Larger != nil || r.Smaller != nil:
			return fail(InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with object sizes.")
		}
		return positive(*a.Days, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action", &r.AbortDays)
	}
	return nil
}

func (e *ruleElement) expiration(r *lifecycle.Rule) error {
	x := e.Expiration
	if x == nil {
		return nil
	}
	given := 0
	for _, g := range []bool{x.Days != nil, x.Date != "", x.DeleteMarker != nil} {
		if g {
			given++
		}
	}
	if given != 1 {
		return fail(MalformedXML, "")
	}
	switch {
	case x.Days != nil:
		return positive(*x.Days, "'Days' for Expiration action", &r.Days)
	case x.Date != "":
		var err error
		r.Date, err = midnight(x.Date)
		return err
	case len(r.Tags) > 0:
		return fail(InvalidRequest, "ExpiredObjectDeleteMarker cannot be specified with Tags.")
	}
	r.Markers = *x.DeleteMarker
	return nil
}

func positive(n int64, what string, into *int) error {
	if n < 1 || n > daysMax {
		return fail(InvalidArgument, what+" must be a positive integer")
	}
	*into = int(n)
	return nil
}

// midnight reads a date, which must be a midnight in UTC.
func midnight(s string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if at, err = time.Parse(time.DateOnly, s); err != nil {
			return at, fail(MalformedXML, "")
		}
	}
	if at = at.UTC(); !at.Equal(at.Truncate(lifecycle.Day)) {
		return at, fail(InvalidArgument, "'Date' must be at midnight GMT")
	}
	if at.Year() > 9999 { // in UTC; no format of dates has room for it
		return at, fail(MalformedXML, "")
	}
	return at, nil
}

// write gives the rules back in the form in which they came.
func (d *lifecycleDocument) write(x *document) {
	for i := range d.Rules {
		e := &d.Rules[i]
		x.open("Rule")
		x.text("ID", e.ID)
		if e.Filter != nil {
			x.open("Filter")
			x.filter(e.Filter)
			x.close("Filter")
		} else if e.Prefix != nil {
			x.text("Prefix", *e.Prefix)
		}
		x.text("Status", e.Status)
		if n := e.Expiration; n != nil {
			x.open("Expiration")
			x.intIf("Days", n.Days)
			if at, err := midnight(n.Date); err == nil {
				x.time("Date", at)
			}
			if n.DeleteMarker != nil {
				x.bool("ExpiredObjectDeleteMarker", *n.DeleteMarker)
			}
			x.close("Expiration")
		}
		if n := e.Noncurrent; n != nil {
			x.open("NoncurrentVersionExpiration")
			x.intIf("NoncurrentDays", n.Days)
			x.intIf("NewerNoncurrentVersions", n.Newer)
			x.close("NoncurrentVersionExpiration")
		}
		if n := e.Abort; n != nil {
			x.open("AbortIncompleteMultipartUpload")
			x.intIf("DaysAfterInitiation", n.Days)
			x.close("AbortIncompleteMultipartUpload")
		}
		x.close("Rule")
	}
}

func (x *document) filter(f *filterElement) {
	if f.Prefix != nil {
		x.text("Prefix", *f.Prefix)
	}
	for _, t := range f.Tags {
		x.open("Tag")
		x.text("Key", *t.Key)
		x.text("Value", t.Value)
		x.close("Tag")
	}
	x.intIf("ObjectSizeGreaterThan", f.Larger)
	x.intIf("ObjectSizeLessThan", f.Smaller)
	if f.And != nil {
		x.open("And")
		x.filter(f.And)
		x.close("And")
	}
}

func (x *document) intIf(name string, n *int64) {
	if n != nil {
		x.int(name, *n)
	}
}

// getBucketLifecycle serves GetBucketLifecycleConfiguration.
func getBucketLifecycle(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	rules := container.Config.Documents[lifecycleXML]
	if len(rules) == 0 {
		return nil, fail(NoSuchLifecycleConfiguration, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("LifecycleConfiguration")
	x.raw(string(rules))
	return x.reply(c, "LifecycleConfiguration"), nil
}

// putBucketLifecycle serves PutBucketLifecycleConfiguration.
func putBucketLifecycle(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc lifecycleDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	rules, err := doc.rules()
	if err != nil {
		return nil, err
	}
	raw, err := lifecycle.Encode(rules)
	if err != nil {
		return nil, err
	}
	var x document
	doc.write(&x)
	return c.setLifecycle(ctx, raw, x.b, http.StatusOK)
}

// deleteBucketLifecycle serves DeleteBucketLifecycle.
func deleteBucketLifecycle(ctx context.Context, c *call) (*reply, error) {
	return c.setLifecycle(ctx, nil, nil, http.StatusNoContent)
}

func (c *call) setLifecycle(ctx context.Context, rules, shown []byte, status int) (*reply, error) {
	_, err := c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		if rules == nil {
			delete(config.Documents, lifecycle.Document)
			delete(config.Documents, lifecycleXML)
			return nil
		}
		if config.Documents == nil {
			config.Documents = map[string][]byte{}
		}
		config.Documents[lifecycle.Document], config.Documents[lifecycleXML] = rules, shown
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(status), nil
}

// setExpiration tells when and by which rule a version is going to expire. A date of its own comes before the bucket's rules.
func (c *call) setExpiration(container *bucket.Container, v *object.Version) error {
	at, id := v.Expires, "delete-at"
	if c.door.o.AsSwift {
		id = "swift-object-expiration"
	}
	if raw := container.Config.Documents[lifecycle.Document]; len(raw) > 0 && v.Latest {
		rules, err := lifecycle.Decode(raw)
		if err != nil {
			return err
		}
		if when, rule := lifecycle.Expiry(rules, v); !when.IsZero() && (at.IsZero() || when.Before(at)) {
			at, id = when, rule
		}
	}
	if !at.IsZero() {
		c.set("X-Amz-Expiration", `expiry-date="`+wire.FormatDate(at)+`", rule-id="`+headerText(id)+`"`)
	}
	return nil
}

// headerText makes text fit into a quoted string of a header, percent-encoded where it must be.
func headerText(s string) string {
	if validHeader("x", s) && !strings.ContainsAny(s, `"\`) {
		return s
	}
	return encodePath(s)
}

// told tells of the version that was just written: how it is encrypted; where versions are suspended, that it is the null version; and when it is going to expire. The
// write stands whether or not that can be found out.
func (c *call) told(ctx context.Context, v *object.Version) {
	c.logged.size = v.Size
	_ = c.setEncryption(v.Encryption)
	container, err := c.door.b.Found(ctx, c.ref())
	if err != nil {
		return
	}
	written := *v
	written.Latest = true
	_ = c.setExpiration(&container, &written)
}
