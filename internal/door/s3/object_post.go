package s3

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// postObject serves PostObject: the upload form of a browser. The form is read up to its file, then judged; only then, while it is received, the
// file. The policy, if there is one, says who sends the form; without one it is anybody.
func postObject(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Owner(ctx, c.ref()); err != nil {
		return nil, err
	}
	if err := c.formAlone(); err != nil {
		return nil, err
	}
	f, err := readForm(c.h("Content-Type"), c.bodyReader())
	if err != nil {
		return nil, err
	}
	given, ok := f.fields["key"]
	switch {
	case !ok:
		return nil, missingFormField("key")
	case given == "":
		return nil, badArgument("key", "", "User key must have a length greater than 0.")
	}
	if bucket, ok := f.fields["bucket"]; ok && bucket != string(c.bucket) {
		return nil, outsidePolicy("the form is for another bucket.")
	}
	if !f.has("bucket") {
		f.names = append(f.names, "bucket") // a policy must speak of it, whether or not the form does
		f.fields["bucket"] = string(c.bucket)
	}
	least, err := c.admitForm(ctx, f)
	if err != nil {
		return nil, err
	}
	if c.name, err = naming.ParseObject(given); err != nil {
		return nil, err
	}
	c.level = objectLevel
	v, err := c.putForm(ctx, f, least)
	if err != nil {
		return nil, conditional(err)
	}
	c.set("Etag", quote(v.ETag))
	c.setVersion(v, false)
	c.told(ctx, v)
	c.setChecksums(v.Checksums)
	return c.formReply(f, v), nil
}

// formAlone refuses what would stand beside a form and is not covered by its policy.
func (c *call) formAlone() error {
	if c.signed {
		return fail(InvalidRequest, "A form is signed in its fields; an Authorization header or a presigned URL does not go with it.")
	}
	for name := range c.header {
		if strings.HasPrefix(name, "X-Amz-") && name != "X-Amz-User-Agent" && name != "X-Amz-Expected-Bucket-Owner" {
			return badArgument(strings.ToLower(name), c.h(name), "With a form this must be one of its fields, not a header.")
		}
	}
	return nil
}

func missingFormField(name string) error {
	return badArgument(name, "", "Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.")
}

// admitForm finds out who sends the form, and holds it to its policy. It returns the least size of the file.
func (c *call) admitForm(ctx context.Context, f *form) (least int64, err error) {
	if !f.has("policy") {
		for _, name := range []string{"signature", "awsaccesskeyid", "x-amz-signature", "x-amz-credential", "x-amz-algorithm"} {
			if f.has(name) {
				return 0, missingFormField("policy")
			}
		}
		return 0, nil
	}
	signed := sigv4.Form{
		Policy: f.fields["policy"], Algorithm: f.fields["x-amz-algorithm"], Credential: f.fields["x-amz-credential"], Date: f.fields["x-amz-date"],
		Signature: f.fields["x-amz-signature"], AccessKey: f.fields["awsaccesskeyid"], SignatureV2: f.fields["signature"], Token: f.fields["x-amz-security-token"],
	}
	var who access.Principal
	auth, err := c.door.verifier.VerifyForm(ctx, &signed, func(ctx context.Context, accessKey string) (string, error) {
		id, p, err := c.door.b.Identify(ctx, accessKey)
		who = p
		return id.Key.Secret, err
	})
	if err != nil {
		return 0, err
	}
	c.caller.Principal, c.signed, c.payload.auth = who, true, auth
	if err := c.enterUser(); err != nil {
		return 0, err
	}
	policy, err := parsePolicy(signed.Policy)
	if err != nil {
		return 0, err
	}
	f.file.most = policy.most
	return policy.least, policy.check(c.door.o.Clock.Now(), f)
}

// putForm writes the file. From here on the fields are to the call what headers are to PutObject.
func (c *call) putForm(ctx context.Context, f *form, least int64) (*object.Version, error) {
	var err error
	if c.header, err = f.header(); err != nil {
		return nil, err
	}
	if err := c.checkFeatures(); err != nil {
		return nil, err
	}
	attributes, err := c.attributes(ctx)
	if err != nil {
		return nil, err
	}
	if f.has("tagging") {
		if attributes.Tags, err = f.tags(); err != nil {
			return nil, err
		}
	}
	cond, err := c.writeCondition()
	if err != nil {
		return nil, err
	}
	p, err := c.readProof()
	if err != nil {
		return nil, err
	}
	return c.door.b.Put(ctx, c.caller, backend.PutRequest{
		Container: c.ref(), Name: c.name, Attributes: attributes, If: cond,
		Body: backend.Body{Reader: f.file, Size: -1, Checksums: p.algorithms(), Prove: func(d object.Digests) error {
			if d.Size < least {
				return fail(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size").
					with("ProposedSize", itoa(int(d.Size))).with("MinSizeAllowed", itoa(int(least)))
			}
			if err := f.finish(); err != nil {
				return err
			}
			return p.check(c, d)
		}},
	})
}

// tags reads the field "tagging": the document that PutObjectTagging has.
func (f *form) tags() ([]object.Tag, error) {
	text := f.fields["tagging"]
	if text == "" {
		return nil, nil
	}
	var doc tagsDocument
	if err := decodeXML([]byte(text), &doc); err != nil {
		return nil, err
	}
	return doc.TagSet.list(objectTagsMax)
}

// formReply answers as the form asks: a redirect, or a status.
func (c *call) formReply(f *form, v *object.Version) *reply {
	to := f.fields["success_action_redirect"]
	if to == "" {
		to = f.fields["redirect"] // its old name
	}
	if u, ok := redirectURL(to); ok {
		query := "bucket=" + url.QueryEscape(string(c.bucket)) + "&key=" + url.QueryEscape(string(c.name)) + "&etag=" + url.QueryEscape(quote(v.ETag))
		if u.RawQuery != "" {
			query = u.RawQuery + "&" + query
		}
		u.RawQuery = query
		c.set("Location", u.String())
		return empty(http.StatusSeeOther)
	}
	c.set("Location", c.objectURL())
	switch f.fields["success_action_status"] {
	case "200":
		return empty(http.StatusOK)
	case "201":
		var x document
		x.begin()
		x.open("PostResponse")
		x.text("Location", c.objectURL())
		x.text("Bucket", string(c.bucket))
		x.text("Key", string(c.name))
		x.etag(v.ETag)
		x.close("PostResponse")
		c.set("Content-Type", "application/xml")
		return &reply{status: http.StatusCreated, body: x.b}
	}
	return empty(http.StatusNoContent)
}

// redirectURL reads where a form wants its sender to go on; what is no URL of the web counts as not said (S3 API Reference, "POST Object").
func redirectURL(to string) (*url.URL, bool) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, false
	}
	return u, true
}
