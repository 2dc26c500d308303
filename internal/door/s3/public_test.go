package s3

import (
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/store/bucket"
)

func publicCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetPublicAccessBlock": testPublicAccessBlock, "PutPublicAccessBlock": testPublicAccessBlock, "DeletePublicAccessBlock": testPublicAccessBlock,
	}
}

func publicXML(elements string) []byte {
	return []byte("<PublicAccessBlockConfiguration>" + elements + "</PublicAccessBlockConfiguration>")
}

func testPublicAccessBlock(_ *testing.T, w *world) {
	const block, ignore = "<BlockPublicAcls>true</BlockPublicAcls>", "<IgnorePublicAcls>TRUE</IgnorePublicAcls>"
	w.alice.do("GET", "/photos?publicAccessBlock", nil).want(404, "NoSuchPublicAccessBlockConfiguration")
	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML("<BlockPublicAcls>perhaps</BlockPublicAcls>")).want(400, "MalformedXML")
	w.alice.do("PUT", "/photos?publicAccessBlock", nil).want(400, "MissingRequestBodyError")
	for _, c := range []*client{w.bob, w.anon} {
		c.do("GET", "/photos?publicAccessBlock", nil).want(403, "AccessDenied")
		c.do("PUT", "/photos?publicAccessBlock", publicXML(block)).want(403, "AccessDenied")
		c.do("DELETE", "/photos?publicAccessBlock", nil).want(403, "AccessDenied")
	}
	w.alice.do("PUT", "/photos?acl", nil, "x-amz-acl", "public-read").want(200)
	w.alice.do("PUT", "/photos/old", []byte("hello"), "x-amz-acl", "public-read").want(200)

	// Blocked: no new lists for the public, by whatever way; what stands still counts.
	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML(block)).want(200)
	w.alice.do("GET", "/photos?publicAccessBlock", nil).want(200).contains(block, "<IgnorePublicAcls>false</IgnorePublicAcls>",
		"<BlockPublicPolicy>false</BlockPublicPolicy>", "<RestrictPublicBuckets>false</RestrictPublicBuckets>")
	for _, canned := range []string{"public-read", "public-read-write", "authenticated-read"} {
		w.alice.do("PUT", "/photos/new", nil, "x-amz-acl", canned).want(403, "AccessDenied")
		w.alice.do("PUT", "/photos/copy", nil, "x-amz-copy-source", "photos/old", "x-amz-acl", canned).want(403, "AccessDenied")
		w.alice.do("POST", "/photos/new?uploads", nil, "x-amz-acl", canned).want(403, "AccessDenied")
	}
	w.alice.do("PUT", "/photos?acl", nil, "x-amz-acl", "public-read-write").want(403, "AccessDenied")
	w.alice.do("PUT", "/photos/private", nil).want(200)
	w.alice.do("PUT", "/photos/private?acl", nil, "x-amz-acl", "public-read").want(403, "AccessDenied")
	w.alice.do("PUT", "/photos/private", nil, "x-amz-grant-read", `uri="`+access.AllUsers+`"`).want(403, "AccessDenied")
	w.alice.do("PUT", "/photos/shared", nil, "x-amz-grant-read", "id=canonical-bob").want(200)
	w.alice.do("PUT", "/photos?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")).want(200)
	w.anon.do("GET", "/photos/old", nil).want(200)
	w.anon.do("GET", "/photos", nil).want(200)

	// Ignored: what stands does not count for the public, and goes on to count for those it names.
	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML(ignore)).want(200)
	for _, c := range []*client{w.anon, w.bob} {
		c.do("GET", "/photos/old", nil).want(403, "AccessDenied")
		c.do("GET", "/photos", nil).want(403, "AccessDenied")
	}
	w.bob.do("GET", "/photos/shared", nil).want(200)
	w.alice.do("GET", "/photos/old", nil).want(200)
	w.alice.do("PUT", "/photos/new", nil, "x-amz-acl", "public-read").want(200)
	w.anon.do("GET", "/photos/new", nil).want(403, "AccessDenied")

	w.alice.do("DELETE", "/photos?publicAccessBlock", nil).want(204)
	w.alice.do("GET", "/photos?publicAccessBlock", nil).want(404, "NoSuchPublicAccessBlockConfiguration")
	w.anon.do("GET", "/photos/old", nil).want(200)
	w.anon.do("GET", "/photos/new", nil).want(200)
}

// Swift's lists for everybody are policies to the public access block.
func TestPublicAccessBlockCoversReferrers(t *testing.T) {
	w := newWorld(t)
	readers := func(list string) error {
		_, err := w.b.Configure(t.Context(), w.alice.caller, backend.Ref{Bucket: "photos"}, access.PutContainer, func(_ bucket.Container, c *bucket.Config) error {
			c.Documents = map[string][]byte{backend.ReadersDocument: []byte(list)}
			return nil
		})
		return err
	}
	if err := readers(".r:*,.rlistings"); err != nil {
		t.Fatal(err)
	}
	w.alice.do("PUT", "/photos/a", nil).want(200)
	w.anon.do("GET", "/photos/a", nil).want(200)
	w.alice.do("PUT", "/photos?publicAccessBlock", publicXML("<RestrictPublicBuckets>true</RestrictPublicBuckets><BlockPublicPolicy>true</BlockPublicPolicy>")).want(200)
	w.anon.do("GET", "/photos/a", nil).want(403, "AccessDenied")
	w.anon.do("GET", "/photos", nil).want(403, "AccessDenied")
	if err := readers(".r:.example.org"); err == nil {
		t.Error("a list for referrers was set")
	}
	if err := readers("bob"); err != nil {
		t.Error(err)
	}
	w.bob.do("GET", "/photos/a", nil).want(200)
}
