package s3

import (
	"context"
	"strconv"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// entryBytes is about what an entry of a listing takes in its document.
const entryBytes = 400

// listing is what the listings of objects and versions have in common.
type listing struct {
	prefix, delimiter string
	limit             int
	encode            func(string) string
	encoded           bool
	blankDelimiter    bool // the delimiter shows also when it is empty
	asSwift           bool
}

// readListing reads the common parameters.
func (c *call) readListing() (l listing, err error) {
	if l.limit, err = c.pageLimit("max-keys", c.query.get("max-keys")); err != nil {
		return l, err
	}
	if l.encode, err = c.encoding(); err != nil {
		return l, err
	}
	for _, name := range headerList(c.header["X-Amz-Optional-Object-Attributes"]) {
		// Nothing is ever archived, so the one attribute has nothing to show.
		if name != "RestoreStatus" {
			return l, badArgument("x-amz-optional-object-attributes", name, "Invalid attribute name specified")
		}
	}
	l.prefix, l.delimiter = c.query.get("prefix"), c.query.get("delimiter")
	l.encoded, l.asSwift = c.query.get("encoding-type") != "", c.door.o.AsSwift
	return l, nil
}

// page asks for a page of the current objects.
func (c *call) objectsPage(ctx context.Context, l *listing, after string) (backend.Page, error) {
	return c.door.b.List(ctx, c.caller, backend.ListRequest{
		Container: c.ref(), View: meta.View{Kind: meta.ViewCurrent}, Prefix: l.prefix, Delimiter: l.delimiter, After: after, Limit: l.limit,
	})
}

// begin starts a listing's document with room for the page; prefix is how it shows the prefix that was asked for.
func (l *listing) begin(c *call, root, prefix string, page *backend.Page) *document {
	x := newDocument(root)
	room := make([]byte, len(x.b), 1024+entryBytes*(len(page.Entries)+len(page.Prefixes)))
	copy(room, x.b)
	x.b = room
	x.text("Name", string(c.bucket))
	x.text("Prefix", prefix)
	return x
}

// common writes the elements that all listings have.
func (l *listing) common(x *document, page *backend.Page) {
	x.int("MaxKeys", int64(l.limit))
	if l.delimiter != "" || l.blankDelimiter {
		x.text("Delimiter", l.encode(l.delimiter))
	}
	if l.encoded {
		x.text("EncodingType", "url")
	}
	x.bool("IsTruncated", page.Truncated)
}

func (l *listing) prefixes(x *document, page *backend.Page) {
	for _, p := range page.Prefixes {
		x.open("CommonPrefixes")
		x.text("Prefix", l.encode(p))
		x.close("CommonPrefixes")
	}
}

// listObjects serves ListObjects (version 1).
func listObjects(ctx context.Context, c *call) (*reply, error) {
	l, err := c.readListing()
	if err != nil {
		return nil, err
	}
	marker := c.query.get("marker")
	page, err := c.objectsPage(ctx, &l, marker)
	if err != nil {
		return nil, err
	}
	// Version 1 does not encode the prefix that it repeats, and its clients do not decode it.
	x := l.begin(c, "ListBucketResult", l.prefix, &page)
	x.text("Marker", l.encode(marker))
	// Without a delimiter the last key is the next marker, and S3 leaves this out.
	if page.Truncated && l.delimiter != "" {
		x.text("NextMarker", l.encode(page.NextAfter))
	}
	l.common(x, &page)
	if err := c.contents(ctx, x, &l, &page, true); err != nil {
		return nil, err
	}
	l.prefixes(x, &page)
	return x.reply(c, "ListBucketResult"), nil
}

// listObjectsV2 serves ListObjectsV2.
func listObjectsV2(ctx context.Context, c *call) (*reply, error) {
	l, err := c.readListing()
	if err != nil {
		return nil, err
	}
	token, hasToken := c.query.lookup("continuation-token")
	startAfter, hasStart := c.query.lookup("start-after")
	after, err := decodeToken(token)
	if err != nil {
		return nil, err
	}
	if token == "" {
		after = startAfter // which only counts for the first page
	}
	fetchOwner := false
	switch text := c.query.get("fetch-owner"); strings.ToLower(text) {
	case "", "false":
	case "true":
		fetchOwner = true
	default:
		return nil, badArgument("fetch-owner", text, "Argument fetch-owner must be true or false")
	}
	page, err := c.objectsPage(ctx, &l, after)
	if err != nil {
		return nil, err
	}
	x := l.begin(c, "ListBucketResult", l.encode(l.prefix), &page)
	if hasToken {
		x.text("ContinuationToken", token)
	}
	if page.Truncated {
		x.text("NextContinuationToken", encodeToken(page.NextAfter))
	}
	if startAfter != "" || l.asSwift && hasStart {
		x.text("StartAfter", l.encode(startAfter))
	}
	x.int("KeyCount", int64(len(page.Entries)+len(page.Prefixes)))
	l.common(x, &page)
	if err := c.contents(ctx, x, &l, &page, fetchOwner); err != nil {
		return nil, err
	}
	l.prefixes(x, &page)
	return x.reply(c, "ListBucketResult"), nil
}

// contents writes the entries of a listing of objects.
func (c *call) contents(ctx context.Context, x *document, l *listing, page *backend.Page, withOwner bool) error {
	shown := c.newOwners()
	for i := range page.Entries {
		e := &page.Entries[i]
		x.b = l.appendKey(append(x.b, "<Contents><Key>"...), string(e.Name))
		var o owner
		if withOwner {
			var err error
			if o, err = shown.get(ctx, e.Owner); err != nil {
				return err
			}
		}
		if l.asSwift {
			x.b = append(x.b, "</Key>"...)
			x.swiftEntry(e, o)
		} else {
			x.b = appendEntry(append(x.b, "</Key>"...), e)
			if withOwner {
				x.owner("Owner", o)
			}
		}
		x.b = append(x.b, "</Contents>"...)
	}
	return nil
}

// appendKey appends a name as the listing shows it. What is percent-encoded needs no escapes.
func (l *listing) appendKey(b []byte, name string) []byte {
	if l.encoded {
		return append(b, l.encode(name)...)
	}
	return appendEscaped(b, name)
}

// appendEntry appends what a listing shows of a version besides its name, its id and its owner. It is the hot part of a page, so it works
// on the bytes themselves.
func appendEntry(b []byte, e *object.Summary) []byte {
	b = append(b, "<LastModified>"...)
	b = appendMillis(b, e.ID)
	b = append(b, "</LastModified><ETag>&quot;"...)
	b = append(b, e.ETag...) // hexadecimal digits, and perhaps "-N"
	b = append(b, "&quot;</ETag>"...)
	for i := range e.Checksums {
		b = append(b, "<ChecksumAlgorithm>"...)
		b = append(b, e.Checksums[i].Algorithm...)
		b = append(b, "</ChecksumAlgorithm>"...)
	}
	if len(e.Checksums) > 0 {
		b = append(b, "<ChecksumType>"...)
		b = append(b, checksumType(e.Checksums[0])...)
		b = append(b, "</ChecksumType>"...)
	}
	b = append(b, "<Size>"...)
	b = strconv.AppendInt(b, e.Size, 10)
	b = append(b, "</Size><StorageClass>"...)
	b = appendEscaped(b, classOf(e.StorageClass))
	return append(b, "</StorageClass>"...)
}

// appendMillis appends the time of a version as documents show it: 2006-01-02T15:04:05.000Z.
func appendMillis(b []byte, id object.VersionID) []byte {
	t := id.Time()
	year, month, day := t.Date()
	if year < 1000 || year > 9999 {
		return t.AppendFormat(b, documentTime)
	}
	hour, minute, second := t.Clock()
	b = strconv.AppendInt(b, int64(year), 10)
	for _, p := range [...]struct {
		before byte
		n      int
	}{{'-', int(month)}, {'-', day}, {'T', hour}, {':', minute}, {':', second}} {
		b = append(b, p.before, byte('0'+p.n/10), byte('0'+p.n%10))
	}
	ms := t.Nanosecond() / 1e6
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// listObjectVersions serves ListObjectVersions.
func listObjectVersions(ctx context.Context, c *call) (*reply, error) {
	l, err := c.readListing()
	if err != nil {
		return nil, err
	}
	if l.asSwift {
		_, l.blankDelimiter = c.query.lookup("delimiter")
	}
	marker, idMarker := c.query.get("key-marker"), c.query.get("version-id-marker")
	r := backend.ListRequest{
		Container: c.ref(), View: meta.View{Kind: meta.ViewAll}, Prefix: l.prefix, Delimiter: l.delimiter, After: marker, Limit: l.limit,
	}
	if r.AfterVersion, err = c.versionMarker(ctx, marker, idMarker); err != nil {
		return nil, err
	}
	page, err := c.door.b.List(ctx, c.caller, r)
	if err != nil {
		return nil, err
	}
	x := l.begin(c, "ListVersionsResult", l.encode(l.prefix), &page)
	x.text("KeyMarker", l.encode(marker))
	x.text("VersionIdMarker", idMarker)
	if page.Truncated {
		x.text("NextKeyMarker", l.encode(page.NextAfter))
		if page.NextVersion != 0 {
			x.text("NextVersionIdMarker", formatVersion(page.NextVersion))
		}
	}
	l.common(x, &page)
	shown := c.newOwners()
	for i := range page.Entries {
		e := &page.Entries[i]
		o, err := shown.get(ctx, e.Owner)
		if err != nil {
			return nil, err
		}
		x.version(&l, e, o)
	}
	l.prefixes(x, &page)
	return x.reply(c, "ListVersionsResult"), nil
}

// version writes an entry of a listing of versions.
func (x *document) version(l *listing, e *object.Summary, o owner) {
	root := "Version"
	if e.Kind == object.DeleteMarker {
		root = "DeleteMarker"
	}
	x.open(root)
	x.b = l.appendKey(append(x.b, "<Key>"...), string(e.Name))
	x.b = append(x.b, "</Key>"...)
	x.text("VersionId", versionName(e))
	x.bool("IsLatest", e.Latest)
	switch {
	case e.Kind == object.DeleteMarker:
		x.time("LastModified", e.Modified())
		x.owner("Owner", o)
	case l.asSwift:
		x.swiftEntry(e, o)
	default:
		x.b = appendEntry(x.b, e)
		x.owner("Owner", o)
	}
	x.close(root)
}

// versionMarker reads ?version-id-marker: the position inside the versions of the key. The null version is found by looking for it.
func (c *call) versionMarker(ctx context.Context, key, text string) (object.VersionID, error) {
	if text == "" {
		return 0, nil
	}
	which, err := parseVersion(text)
	if _, given := c.query.lookup("key-marker"); err != nil && given {
		return 0, badArgument("version-id-marker", text, "Invalid version id specified")
	}
	if key == "" {
		return 0, badArgument("version-id-marker", text, "A version-id marker cannot be specified without a key marker.")
	}
	if err != nil || which.By == meta.ByID {
		return which.ID, err
	}
	r := backend.ListRequest{Container: c.ref(), View: meta.View{Kind: meta.ViewAll}, Prefix: key, Limit: pageMax}
	for {
		page, err := c.door.b.List(ctx, c.caller, r)
		if err != nil {
			return 0, err
		}
		for i := range page.Entries {
			switch e := &page.Entries[i]; {
			case e.Name != naming.ObjectName(key):
				return 0, nil // there is none: go on after the key
			case e.Null:
				return e.ID, nil
			}
		}
		if !page.Truncated {
			return 0, nil
		}
		r.After, r.AfterVersion = page.NextAfter, page.NextVersion
	}
}
