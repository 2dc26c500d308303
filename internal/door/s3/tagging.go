package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"pithos/internal/access"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Limits of tags (S3 User Guide, "Categorizing your objects using tags" and "Using cost allocation S3 bucket tags"). Lengths count in UTF-16, as
// AWS stores them.
const (
	objectTagsMax = 10
	bucketTagsMax = 50
	tagKeyMax     = 128
	tagValueMax   = 256
)

// taggingDocument names the bucket document that keeps a bucket's tags: their elements as this door writes them.
const taggingDocument = "tagging"

// tagList is a list of tags in a document.
type tagList struct {
	Tags []struct {
		Key   *string
		Value string
	} `xml:"Tag"`
}

// tagsDocument is the body of PutObjectTagging and PutBucketTagging.
type tagsDocument struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  *tagList
}

// list gives the tags, ordered by key. Errors: MalformedXML, and those of checkTags.
func (l *tagList) list(most int) ([]object.Tag, error) {
	if l == nil {
		return nil, fail(MalformedXML, "")
	}
	tags := make([]object.Tag, 0, len(l.Tags))
	for _, t := range l.Tags {
		if t.Key == nil {
			return nil, fail(MalformedXML, "")
		}
		tags = append(tags, object.Tag{Key: *t.Key, Value: t.Value})
	}
	return tags, checkTags(tags, most)
}

// checkTags sorts tags by key and tests them. Errors: InvalidTag.
func checkTags(tags []object.Tag, most int) error {
	if len(tags) > most {
		return fail(InvalidTag, "There may be at most "+itoa(most)+" tags.")
	}
	slices.SortStableFunc(tags, func(a, b object.Tag) int { return strings.Compare(a.Key, b.Key) })
	for i, t := range tags {
		switch {
		case t.Key == "" || utf16Len(t.Key) > tagKeyMax || !tagText(t.Key):
			return fail(InvalidTag, "The TagKey you have provided is invalid").with("TagKey", clip(t.Key))
		case utf16Len(t.Value) > tagValueMax || !tagText(t.Value):
			return fail(InvalidTag, "The TagValue you have provided is invalid").with("TagKey", clip(t.Key)).with("TagValue", clip(t.Value))
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return fail(InvalidTag, "System tags cannot be added/updated by requester").with("TagKey", clip(t.Key))
		case i > 0 && t.Key == tags[i-1].Key:
			return fail(InvalidTag, "Cannot provide multiple Tags with the same key").with("TagKey", clip(t.Key))
		}
	}
	return nil
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// tagText reports whether a tag may have the text: letters, digits and white space of any script, and + - = . _ : / @.
func tagText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Zs, r) && !strings.ContainsRune("+-=._:/@", r) {
			return false
		}
	}
	return true
}

// headerTags reads x-amz-tagging: tags written like a query. A key without "=" has the empty value.
func (c *call) headerTags() ([]object.Tag, error) {
	text := c.h("X-Amz-Tagging")
	if text == "" {
		return nil, nil
	}
	bad := fail(InvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.").
		with("ArgumentName", "x-amz-tagging")
	var tags []object.Tag
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(text, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, errKey := url.QueryUnescape(key)
		value, errValue := url.QueryUnescape(value)
		if errKey != nil || errValue != nil || seen[key] {
			return nil, bad
		}
		seen[key] = true
		tags = append(tags, object.Tag{Key: key, Value: value})
	}
	return tags, checkTags(tags, objectTagsMax)
}

// tagSet writes a TagSet.
func (x *document) tagSet(tags []object.Tag) {
	x.open("TagSet")
	for _, t := range tags {
		x.open("Tag")
		x.text("Key", t.Key)
		x.text("Value", t.Value)
		x.close("Tag")
	}
	x.close("TagSet")
}

// versioned is the action that a request needs: that of versions when it names one.
func (c *call) versioned(plain, version access.Action) access.Action {
	if which, err := c.which(); err == nil && which.By != meta.Newest {
		return version
	}
	return plain
}

// getObjectTagging serves GetObjectTagging.
func getObjectTagging(ctx context.Context, c *call) (*reply, error) {
	o, err := c.open(ctx, c.versioned(access.GetObjectTagging, access.GetObjectVersionTagging))
	if err != nil {
		return nil, err
	}
	c.setVersion(o.Version, o.Container.Config.Versioning != bucket.VersioningOff)
	x := newDocument("Tagging")
	x.tagSet(o.Tags)
	return x.reply(c, "Tagging"), nil
}

// putObjectTagging serves PutObjectTagging. It replaces the tags of the version; no new version is made.
func putObjectTagging(ctx context.Context, c *call) (*reply, error) {
	action := c.versioned(access.PutObjectTagging, access.PutObjectVersionTagging)
	tags, bad := c.bodyTags()
	if bad != nil {
		// Whether it is allowed can depend on the tags; who may not set any learns that first.
		if _, err := c.open(ctx, action); err != nil {
			return nil, err
		}
		return nil, bad
	}
	return c.setTags(ctx, action, tags, http.StatusOK)
}

// bodyTags reads the tags in the body of the request.
func (c *call) bodyTags() ([]object.Tag, error) {
	var doc tagsDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	return doc.TagSet.list(objectTagsMax)
}

// deleteObjectTagging serves DeleteObjectTagging.
func deleteObjectTagging(ctx context.Context, c *call) (*reply, error) {
	action := c.versioned(access.DeleteObjectTagging, access.DeleteObjectVersionTagging)
	return c.setTags(ctx, action, nil, http.StatusNoContent)
}

func (c *call) setTags(ctx context.Context, action access.Action, tags []object.Tag, status int) (*reply, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	versions := false
	v, err := c.door.b.SetTags(ctx, c.caller, t, action, tags, func(container bucket.Container) {
		versions = container.Config.Versioning != bucket.VersioningOff
	})
	if err != nil {
		return nil, err
	}
	c.setVersion(v, versions)
	return empty(status), nil
}

// getBucketTagging serves GetBucketTagging.
func getBucketTagging(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	tags := container.Config.Documents[taggingDocument]
	if len(tags) == 0 {
		return nil, fail(NoSuchTagSet, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("Tagging")
	x.raw(string(tags))
	return x.reply(c, "Tagging"), nil
}

// putBucketTagging serves PutBucketTagging.
func putBucketTagging(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc tagsDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	tags, err := doc.TagSet.list(bucketTagsMax)
	if err != nil {
		return nil, err
	}
	return c.setDocument(ctx, taggingDocument, bucketTags(tags), http.StatusNoContent)
}

// bucketTags is the document that keeps a bucket's tags; none for none.
func bucketTags(tags []object.Tag) []byte {
	if len(tags) == 0 {
		return nil
	}
	var x document
	x.tagSet(tags)
	return x.b
}

// deleteBucketTagging serves DeleteBucketTagging.
func deleteBucketTagging(ctx context.Context, c *call) (*reply, error) {
	return c.setDocument(ctx, taggingDocument, nil, http.StatusNoContent)
}

// setDocument keeps a sub-resource of the bucket, or forgets it when content is empty.
func (c *call) setDocument(ctx context.Context, name string, content []byte, status int) (*reply, error) {
	_, err := c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		if len(content) == 0 {
			delete(config.Documents, name)
			return nil
		}
		if config.Documents == nil {
			config.Documents = map[string][]byte{}
		}
		config.Documents[name] = content
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(status), nil
}
