package s3

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func multipartCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"CreateMultipartUpload":   testCreateUpload,
		"UploadPart":              testUploadPart,
		"UploadPartCopy":          testUploadPartCopy,
		"CompleteMultipartUpload": testComplete,
		"AbortMultipartUpload":    testAbort,
		"ListParts":               testListParts,
		"ListMultipartUploads":    testListUploads,
	}
}

// begin opens an upload and gives the target of its requests.
func (w *world) begin(name string, headers ...string) string {
	w.t.Helper()
	id := w.alice.do("POST", "/photos/"+name+"?uploads", nil, headers...).want(200).element("UploadId")
	return "/photos/" + name + "?uploadId=" + id
}

func completion(tags ...string) []byte {
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for i, tag := range tags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, tag)
	}
	b.WriteString("</CompleteMultipartUpload>")
	return []byte(b.String())
}

func testCreateUpload(_ *testing.T, w *world) {
	w.alice.do("POST", "/photos/m?uploads", nil).want(200).contains("<Bucket>photos</Bucket>", "<Key>m</Key>", "<UploadId>")
	w.alice.do("POST", "/photos/m?uploads", nil, "x-amz-checksum-algorithm", "sha256").want(200).has("x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-type", "COMPOSITE")
	w.alice.do("POST", "/photos/m?uploads", nil, "x-amz-checksum-algorithm", "CRC64NVME").want(200).has("x-amz-checksum-type", "FULL_OBJECT")
	w.alice.do("POST", "/photos/m?uploads", nil, "x-amz-checksum-algorithm", "CRC64NVME", "x-amz-checksum-type", "COMPOSITE").want(400, "InvalidRequest")
	w.alice.do("POST", "/photos/m?uploads", nil, "x-amz-checksum-algorithm", "MD4").want(400, "InvalidRequest")
	w.bob.do("POST", "/photos/m?uploads", nil).want(403, "AccessDenied")
	w.alice.do("POST", "/nowhere/m?uploads", nil).want(404, "NoSuchBucket")
}

func testUploadPart(_ *testing.T, w *world) {
	u := w.begin("m")
	w.alice.do("PUT", u+"&partNumber=1", []byte("hello"), "x-amz-checksum-crc32", "NhCmhg==").want(200).has("ETag", helloTag, "x-amz-checksum-crc32", "NhCmhg==")
	w.alice.do("PUT", u+"&partNumber=1", []byte("hello"), "x-amz-checksum-crc32", "AAAAAA==").want(400, "BadDigest")
	w.alice.do("PUT", u+"&partNumber=0", []byte("hello")).want(400, "InvalidArgument")
	w.alice.do("PUT", u+"&partNumber=10001", []byte("hello")).want(400, "InvalidArgument")
	w.alice.do("PUT", "/photos/m?uploadId=nonsense&partNumber=1", []byte("hello")).want(404, "NoSuchUpload")
	w.bob.do("PUT", u+"&partNumber=1", []byte("hello")).want(403, "AccessDenied")
}

func testUploadPartCopy(t *testing.T, w *world) {
	t.Helper()
	source := bytes.Repeat([]byte("0123456789"), 300)
	w.alice.do("PUT", "/photos/source", source).want(200)
	u := w.begin("m")
	one := w.alice.do("PUT", u+"&partNumber=1", nil, "x-amz-copy-source", "photos/source", "x-amz-copy-source-range", "bytes=0-1499").want(200).element("ETag")
	two := w.alice.do("PUT", u+"&partNumber=2", nil, "x-amz-copy-source", "/photos/source").want(200).contains("<CopyPartResult", "<LastModified>").element("ETag")
	w.alice.do("PUT", u+"&partNumber=3", nil, "x-amz-copy-source", "photos/source", "x-amz-copy-source-range", "bytes=0-3000").want(416, "InvalidRange")
	for _, bad := range []string{"0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5", "bytes=-5", "bytes=5-4"} {
		w.alice.do("PUT", u+"&partNumber=3", nil, "x-amz-copy-source", "photos/source", "x-amz-copy-source-range", bad).want(400, "InvalidArgument")
	}
	w.alice.do("PUT", u+"&partNumber=3", nil, "x-amz-copy-source", "photos/none").want(404, "NoSuchKey")
	w.alice.do("POST", u, completion(one, two)).want(200)
	want := append(append([]byte{}, source[:1500]...), source...)
	if got := w.alice.do("GET", "/photos/m", nil).want(200); !bytes.Equal(got.body, want) {
		t.Errorf("assembled %d bytes, want %d", len(got.body), len(want))
	}
}

func testComplete(t *testing.T, w *world) {
	t.Helper()
	first, last := bytes.Repeat([]byte("x"), 2000), []byte("tail")
	u := w.begin("m", "x-amz-meta-color", "blue", "Content-Type", "text/bla")
	one := w.alice.do("PUT", u+"&partNumber=1", first).want(200).header.Get("ETag")
	two := w.alice.do("PUT", u+"&partNumber=2", last).want(200).header.Get("ETag")

	w.alice.do("POST", u, nil).want(400, "MalformedXML")
	w.alice.do("POST", u, []byte("<CompleteMultipartUpload></CompleteMultipartUpload>")).want(400, "MalformedXML")
	w.alice.do("POST", u, completion(two, one)).want(400, "InvalidPart")
	w.alice.do("POST", u, completion(one, two, two)).want(400, "InvalidPart")
	w.alice.do("POST", u, []byte("<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>"+two+"</ETag></Part><Part><PartNumber>1</PartNumber><ETag>"+one+"</ETag></Part></CompleteMultipartUpload>")).
		want(400, "InvalidPartOrder")
	w.alice.do("POST", u, completion(one, two), "x-amz-mp-object-size", "7").want(400)
	w.alice.do("POST", u, completion(one, two), "If-Match", "*").want(404, "NoSuchKey")
	w.alice.do("GET", "/photos/m", nil).want(404, "NoSuchKey")

	done := w.alice.do("POST", u, completion(one, strings.Trim(two, `"`)), "If-None-Match", "*", "x-amz-mp-object-size", "2004").want(200).
		contains("<Location>http://", "/photos/m</Location>", "<Bucket>photos</Bucket>", "<Key>m</Key>")
	etag := done.element("ETag")
	if !strings.HasSuffix(etag, `-2"`) {
		t.Errorf("ETag %s", etag)
	}
	// Repeating it gives the same answer.
	if again := w.alice.do("POST", u, completion(one, two)).want(200).element("ETag"); again != etag {
		t.Errorf("repeated: %s, want %s", again, etag)
	}
	got := w.alice.do("GET", "/photos/m", nil).want(200).has("ETag", etag, "x-amz-meta-color", "blue", "Content-Type", "text/bla", "x-amz-mp-parts-count", "")
	if !bytes.Equal(got.body, append(first, last...)) {
		t.Errorf("assembled %d bytes", len(got.body))
	}
	w.alice.do("GET", "/photos/m?partNumber=2", nil).want(206).has("x-amz-mp-parts-count", "2", "Content-Range", "bytes 2000-2003/2004").contains("tail")
	w.alice.do("HEAD", "/photos/m?partNumber=1", nil).want(206).has("x-amz-mp-parts-count", "2", "Content-Length", "2000")
	w.alice.do("GET", "/photos/m?partNumber=3", nil).want(400, "InvalidPart")
	w.alice.do("GET", "/photos/m?attributes", nil, "x-amz-object-attributes", "ObjectParts", "x-amz-max-parts", "1").want(200).
		contains("<PartsCount>2</PartsCount>", "<NextPartNumberMarker>1</NextPartNumberMarker>", "<IsTruncated>true</IsTruncated>", "<Part><PartNumber>1</PartNumber><Size>2000</Size></Part>")

	w.alice.do("POST", "/photos/m?uploadId=nonsense", completion(one)).want(404, "NoSuchUpload")
	again := w.begin("again")
	last1 := w.alice.do("PUT", again+"&partNumber=1", last).want(200).header.Get("ETag")
	w.alice.do("POST", again, []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>old</ETag></Part>"+
		"<Part><PartNumber>1</PartNumber><ETag>"+last1+"</ETag></Part></CompleteMultipartUpload>")).want(200)
	small := w.begin("small")
	s1 := w.alice.do("PUT", small+"&partNumber=1", []byte("a")).want(200).header.Get("ETag")
	s2 := w.alice.do("PUT", small+"&partNumber=2", []byte("b")).want(200).header.Get("ETag")
	w.alice.do("POST", small, completion(s1, s2)).want(400, "EntityTooSmall")
	testCompleteChecksums(w)
}

// testCompleteChecksums uses values that ceph/s3-tests gives for 1,024 bytes of 'A'.
func testCompleteChecksums(w *world) {
	const part, whole = "arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=", "Ok6Cs5b96ux6+MWQkJO7UBT5sKPBeXBLwvj/hK89smg=-1"
	u := w.begin("sum", "x-amz-checksum-algorithm", "SHA256")
	tag := w.alice.do("PUT", u+"&partNumber=1", bytes.Repeat([]byte("A"), 1024), "x-amz-checksum-sha256", part).want(200).has("x-amz-checksum-sha256", part).header.Get("ETag")
	list := "<CompleteMultipartUpload><Part><ETag>" + tag + "</ETag><ChecksumSHA256>" + part + "</ChecksumSHA256><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"
	w.alice.do("POST", u, []byte(list), "x-amz-checksum-sha256", "bad").want(400, "BadDigest")
	w.alice.do("POST", u, []byte(list), "x-amz-checksum-sha256", whole).want(200).
		contains("<ChecksumSHA256>"+whole+"</ChecksumSHA256>", "<ChecksumType>COMPOSITE</ChecksumType>")
	w.alice.do("HEAD", "/photos/sum", nil, "x-amz-checksum-mode", "ENABLED").want(200).has("x-amz-checksum-sha256", whole, "x-amz-checksum-type", "COMPOSITE")
	w.alice.do("GET", "/photos/sum?partNumber=1", nil, "x-amz-checksum-mode", "ENABLED").want(206).has("x-amz-checksum-sha256", part)
}

func testAbort(_ *testing.T, w *world) {
	u := w.begin("m")
	w.alice.do("PUT", u+"&partNumber=1", []byte("hello")).want(200)
	w.bob.do("DELETE", u, nil).want(403, "AccessDenied")
	w.alice.do("DELETE", u, nil).want(204)
	w.alice.do("DELETE", u, nil).want(404, "NoSuchUpload")
	w.alice.do("PUT", u+"&partNumber=1", []byte("hello")).want(404, "NoSuchUpload")
}

func testListParts(_ *testing.T, w *world) {
	u := w.begin("m%20x")
	for i := 1; i <= 3; i++ {
		w.alice.do("PUT", fmt.Sprintf("%s&partNumber=%d", u, 2*i), []byte("hello")).want(200)
	}
	w.alice.do("GET", u+"&max-parts=2", nil).want(200).contains("<IsTruncated>true</IsTruncated>", "<NextPartNumberMarker>4</NextPartNumberMarker>",
		"<MaxParts>2</MaxParts>", "<PartNumber>2</PartNumber>", "<Size>5</Size>", "<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>",
		"<Initiator><ID>canonical-alice</ID><DisplayName>ALICE</DisplayName></Initiator>", "<Owner><ID>canonical-alice</ID>", "<Key>m x</Key>")
	w.alice.do("GET", u+"&part-number-marker=4&encoding-type=url", nil).want(200).contains("<IsTruncated>false</IsTruncated>", "<PartNumber>6</PartNumber>", "<Key>m%20x</Key>")
	w.alice.do("GET", u+"&max-parts=-1", nil).want(400, "InvalidArgument")
	w.bob.do("GET", u, nil).want(403, "AccessDenied")
	w.alice.do("GET", "/photos/m?uploadId=nonsense", nil).want(404, "NoSuchUpload")
}

func testListUploads(_ *testing.T, w *world) {
	w.begin("a")
	w.begin("dir/b")
	w.begin("dir/c")
	w.alice.do("GET", "/photos?uploads", nil).want(200).contains("<Key>a</Key>", "<Key>dir/b</Key>", "<Key>dir/c</Key>", "<IsTruncated>false</IsTruncated>",
		"<Initiator><ID>canonical-alice</ID>", "<StorageClass>STANDARD</StorageClass>")
	w.alice.do("GET", "/photos?uploads&delimiter=/", nil).want(200).contains("<CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>")
	first := w.alice.do("GET", "/photos?uploads&max-uploads=1", nil).want(200).contains("<IsTruncated>true</IsTruncated>", "<NextKeyMarker>a</NextKeyMarker>")
	w.alice.do("GET", "/photos?uploads&key-marker=a&upload-id-marker="+first.element("NextUploadIdMarker"), nil).want(200).contains("<Key>dir/b</Key>")
	w.bob.do("GET", "/photos?uploads", nil).want(403, "AccessDenied")
}
