package s3

import (
	"strconv"
	"strings"
	"testing"

	"pithos/internal/backend"
	"pithos/internal/store/bucket"
)

func taggingCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetObjectTagging": testGetObjectTagging, "PutObjectTagging": testPutObjectTagging, "DeleteObjectTagging": testDeleteObjectTagging,
		"GetBucketTagging": testBucketTagging, "PutBucketTagging": testBucketTagging, "DeleteBucketTagging": testBucketTagging,
	}
}

// tagsXML is a Tagging document: key, value, key, value.
func tagsXML(pairs ...string) []byte {
	var b strings.Builder
	b.WriteString("<Tagging><TagSet>")
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("<Tag><Key>" + pairs[i] + "</Key><Value>" + pairs[i+1] + "</Value></Tag>")
	}
	b.WriteString("</TagSet></Tagging>")
	return []byte(b.String())
}

const oneTag = "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"

func testGetObjectTagging(_ *testing.T, w *world) {
	w.alice.do("PUT", "/photos/a", []byte("hello"), "x-amz-tagging", "foo=bar&bar&sp%20ace=%C3%A4+%2B").want(200)
	w.alice.do("GET", "/photos/a?tagging", nil).want(200).contains(
		"<TagSet><Tag><Key>bar</Key><Value></Value></Tag><Tag><Key>foo</Key><Value>bar</Value></Tag><Tag><Key>sp ace</Key><Value>ä +</Value></Tag></TagSet>")
	w.alice.do("HEAD", "/photos/a", nil).want(200).has("x-amz-tagging-count", "3")
	w.alice.do("PUT", "/photos/b", nil).want(200)
	w.alice.do("GET", "/photos/b?tagging", nil).want(200).contains("<TagSet></TagSet>")
	w.alice.do("HEAD", "/photos/b", nil).want(200).has("x-amz-tagging-count", "")
	w.bob.do("GET", "/photos/a?tagging", nil).want(403, "AccessDenied")
	w.alice.do("GET", "/photos/none?tagging", nil).want(404, "NoSuchKey")
	for _, header := range []string{"a=b&a=c", "a=%zz", "a=b&", "=x", "aws:x=y", "a=!"} {
		w.alice.do("PUT", "/photos/c", nil, "x-amz-tagging", header).want(400)
	}
	w.alice.do("HEAD", "/photos/c", nil).want(404)
	// An upload begun with tags gives them to the object.
	id := w.alice.do("POST", "/photos/m?uploads", nil, "x-amz-tagging", "a=b").want(200).element("UploadId")
	etag := w.alice.do("PUT", "/photos/m?partNumber=1&uploadId="+id, []byte("part")).want(200).header.Get("Etag")
	w.alice.do("POST", "/photos/m?uploadId="+id,
		[]byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")).want(200)
	w.alice.do("GET", "/photos/m?tagging", nil).want(200).contains(oneTag)
	// A copy takes the source's tags along, or has the request's.
	w.alice.do("PUT", "/photos/copy", nil, "x-amz-copy-source", "photos/m", "x-amz-tagging", "not=used").want(200)
	w.alice.do("GET", "/photos/copy?tagging", nil).want(200).contains(oneTag)
	w.alice.do("PUT", "/photos/copy", nil, "x-amz-copy-source", "photos/m", "x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "c=d").want(200)
	w.alice.do("GET", "/photos/copy?tagging", nil).want(200).contains("<Key>c</Key><Value>d</Value>")
	w.alice.do("PUT", "/photos/m", nil, "x-amz-copy-source", "photos/m", "x-amz-tagging-directive", "REPLACE").want(200)
	w.alice.do("GET", "/photos/m?tagging", nil).want(200).contains("<TagSet></TagSet>")
	// Who may write but not tag cannot tag by the way.
	w.alice.do("PUT", "/photos?policy", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"CanonicalUser":"canonical-bob"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}]}`)).want(204)
	w.bob.do("PUT", "/photos/of-bob", nil, "x-amz-tagging", "a=b").want(403, "AccessDenied")
	w.bob.do("POST", "/photos/of-bob?uploads", nil, "x-amz-tagging", "a=b").want(403, "AccessDenied")
	w.bob.do("PUT", "/photos/of-bob", nil).want(200)
}

func testPutObjectTagging(_ *testing.T, w *world) {
	w.versioning(bucket.VersioningEnabled)
	old := w.alice.do("PUT", "/photos/a", []byte("one")).want(200).header.Get("X-Amz-Version-Id")
	newer := w.alice.do("PUT", "/photos/a", []byte("two")).want(200).header.Get("X-Amz-Version-Id")
	w.alice.do("PUT", "/photos/a?tagging&versionId="+old, tagsXML("a", "b")).want(200).has("x-amz-version-id", old)
	w.alice.do("GET", "/photos/a?tagging&versionId="+old, nil).want(200).contains(oneTag).has("x-amz-version-id", old)
	w.alice.do("GET", "/photos/a?tagging", nil).want(200).contains("<TagSet></TagSet>").has("x-amz-version-id", newer)
	w.alice.do("PUT", "/photos/a?tagging", tagsXML("z", "1", "b", "2")).want(200)
	w.alice.do("GET", "/photos/a?tagging", nil).want(200).contains("<Tag><Key>b</Key><Value>2</Value></Tag><Tag><Key>z</Key><Value>1</Value></Tag>")

	var ten, eleven []string
	for i := range 11 {
		if i < 10 {
			ten = append(ten, strconv.Itoa(i)+strings.Repeat("k", 127), strings.Repeat("v", 256))
		}
		eleven = append(eleven, strconv.Itoa(i), "")
	}
	w.alice.do("PUT", "/photos/a?tagging", tagsXML(ten...)).want(200)
	for name, body := range map[string][]byte{
		"eleven": tagsXML(eleven...), "a long key": tagsXML(strings.Repeat("k", 129), ""), "a long value": tagsXML("a", strings.Repeat("v", 257)),
		"no key": tagsXML("", "b"), "twice": tagsXML("a", "b", "a", "c"), "the system's": tagsXML("AWS:a", "b"), "a character": tagsXML("a", "{"),
	} {
		if a := w.alice.do("PUT", "/photos/a?tagging", body); a.status != 400 || a.code() != "InvalidTag" {
			w.t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, body := range []string{"<Tagging></Tagging>", "<Tagging><TagSet><Tag><Value>x</Value></Tag></TagSet></Tagging>", "<Other/>", "<Tagging>"} {
		w.alice.do("PUT", "/photos/a?tagging", []byte(body)).want(400, "MalformedXML")
	}
	w.alice.do("HEAD", "/photos/a", nil).want(200).has("x-amz-tagging-count", "10")
	w.bob.do("PUT", "/photos/a?tagging", tagsXML("a", "b")).want(403, "AccessDenied")
	w.alice.do("PUT", "/photos/none?tagging", tagsXML("a", "b")).want(404, "NoSuchKey")
	marker := w.alice.do("DELETE", "/photos/a", nil).want(204).header.Get("X-Amz-Version-Id")
	w.alice.do("PUT", "/photos/a?tagging&versionId="+marker, tagsXML("a", "b")).want(405, "MethodNotAllowed")
}

func testDeleteObjectTagging(_ *testing.T, w *world) {
	w.alice.do("PUT", "/photos/a", []byte("hello"), "x-amz-tagging", "a=b").want(200)
	w.bob.do("DELETE", "/photos/a?tagging", nil).want(403, "AccessDenied")
	w.alice.do("DELETE", "/photos/a?tagging", nil).want(204)
	w.alice.do("GET", "/photos/a?tagging", nil).want(200).contains("<TagSet></TagSet>")
	w.alice.do("GET", "/photos/a", nil).want(200).contains("hello")
}

func testBucketTagging(t *testing.T, w *world) {
	w.alice.do("GET", "/photos?tagging", nil).want(404, "NoSuchTagSet")
	w.alice.do("PUT", "/photos?tagging", tagsXML("a", "b")).want(204)
	w.alice.do("GET", "/photos?tagging", nil).want(200).contains(oneTag)
	w.bob.do("GET", "/photos?tagging", nil).want(403, "AccessDenied")
	w.bob.do("PUT", "/photos?tagging", tagsXML("a", "b")).want(403, "AccessDenied")
	w.bob.do("DELETE", "/photos?tagging", nil).want(403, "AccessDenied")
	var many []string
	for i := range 51 {
		many = append(many, strconv.Itoa(i), "x")
	}
	w.alice.do("PUT", "/photos?tagging", tagsXML(many...)).want(400, "InvalidTag")
	w.alice.do("PUT", "/photos?tagging", tagsXML(many[2:]...)).want(204)
	w.alice.do("DELETE", "/photos?tagging", nil).want(204)
	w.alice.do("DELETE", "/photos?tagging", nil).want(204)
	w.alice.do("GET", "/photos?tagging", nil).want(404, "NoSuchTagSet")
	w.alice.do("PUT", "/tagged-at-birth", []byte("<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>")).want(200)
	w.alice.do("GET", "/tagged-at-birth?tagging", nil).want(200).contains(oneTag)
	c, err := w.b.Container(t.Context(), w.alice.caller, backend.Ref{Bucket: "tagged-at-birth"}, "s3:GetBucketLocation")
	if err != nil || c.Region != "us-east-1" {
		t.Errorf("region %q, %v", c.Region, err)
	}
}
