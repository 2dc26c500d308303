package s3

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"

	"pithos/internal/seal"
)

func encryptionCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetBucketEncryption":    testBucketEncryption,
		"PutBucketEncryption":    testBucketEncryption,
		"DeleteBucketEncryption": testBucketEncryption,
	}
}

const encryptionXML = `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>%</Rule></ServerSideEncryptionConfiguration>`

func ruleXML(rule string) []byte { return []byte(strings.Replace(encryptionXML, "%", rule, 1)) }

const defaultAES = `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>`

func testBucketEncryption(_ *testing.T, w *world) {
	const at = "/photos?encryption"
	w.alice.do("GET", at, nil).want(404, "ServerSideEncryptionConfigurationNotFoundError")
	w.alice.do("PUT", at, ruleXML(defaultAES)).want(200)
	w.alice.do("GET", at, nil).want(200).contains("<SSEAlgorithm>AES256</SSEAlgorithm>", "<BucketKeyEnabled>false</BucketKeyEnabled>")
	w.alice.do("PUT", "/photos/o", []byte("hello")).want(200).has(sseHeader, "AES256")
	w.alice.do("GET", "/photos/o", nil).want(200).has(sseHeader, "AES256").contains("hello")
	kms := `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>one</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>`
	w.alice.do("PUT", at, ruleXML(kms+`<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>`)).want(200)
	w.alice.do("GET", at, nil).want(200).contains("<KMSMasterKeyID>one</KMSMasterKeyID>", "<BucketKeyEnabled>true</BucketKeyEnabled>", "<EncryptionType>SSE-C</EncryptionType>")
	w.alice.do("PUT", "/photos/o", []byte("hello")).want(200).has(sseHeader, "aws:kms", sseKeyIDHeader, "one", sseBucketKeyHeader, "true")
	w.alice.do("GET", "/photos/o", nil).want(200).has(sseHeader, "aws:kms").contains("hello")
	w.alice.do("PUT", "/photos/c", []byte("hello"), customerHeaders(sseCustomer, 1)...).want(403, "AccessDenied")
	for rule, code := range map[string]string{
		"": "MalformedXML",
		strings.Replace(defaultAES, "AES256", "AES128", 1):                                        "MalformedXML",
		strings.Replace(defaultAES, "AES256", "aws:kms:dsse", 1):                                  "NotImplemented",
		strings.Replace(defaultAES, "</SSEA", "</SSEA", 1) + "</Rule><Rule>" + defaultAES:         "MalformedXML",
		strings.Replace(kms, "aws:kms", "AES256", 1):                                              "InvalidArgument",
		defaultAES + "<BucketKeyEnabled>perhaps</BucketKeyEnabled>":                               "MalformedXML",
		"<BlockedEncryptionTypes><EncryptionType>ROT13</EncryptionType></BlockedEncryptionTypes>": "MalformedXML",
	} {
		if a := w.alice.do("PUT", at, ruleXML(rule)); a.status < 400 || a.code() != code {
			w.t.Errorf("%s: %d %s, want %s", rule, a.status, a.code(), code)
		}
	}
	w.bob.do("PUT", at, ruleXML(defaultAES)).want(403, "AccessDenied")
	w.bob.do("GET", at, nil).want(403, "AccessDenied")
	w.bob.do("DELETE", at, nil).want(403, "AccessDenied")
	w.alice.do("DELETE", at, nil).want(204)
	w.alice.do("GET", at, nil).want(404, "ServerSideEncryptionConfigurationNotFoundError")
	w.alice.do("PUT", "/photos/o", []byte("hello")).want(200).has(sseHeader, "")
}

// customerHeaders are the headers of a client's key.
func customerHeaders(prefix string, seed byte) []string {
	key := bytes.Repeat([]byte{seed}, seal.KeySize)
	return []string{
		prefix + sseAlgorithm, "AES256", prefix + sseKey, base64.StdEncoding.EncodeToString(key), prefix + sseKeyMD5, keyMD5(key),
	}
}

func TestClientsKeys(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	one, two := customerHeaders(sseCustomer, 1), customerHeaders(sseCustomer, 2)
	w.alice.do("PUT", "/photos/c", []byte("hello"), one...).want(200).has(sseCustomer+sseAlgorithm, "AES256", sseCustomer+sseKeyMD5, one[5], sseHeader, "", "ETag", "*")
	get := w.alice.do("GET", "/photos/c", nil, one...).want(200).has(sseCustomer+sseKeyMD5, one[5]).contains("hello")
	if get.header.Get("Etag") == helloTag {
		t.Error("the ETag is the MD5")
	}
	w.alice.do("HEAD", "/photos/c", nil, one...).want(200).has(sseCustomer+sseAlgorithm, "AES256", "Content-Length", "5")
	w.alice.do("GET", "/photos/c", nil, append([]string{"Range", "bytes=1-2"}, one...)...).want(206).contains("el")
	w.alice.do("GET", "/photos/c?partNumber=1", nil, one...).want(206).contains("hello")
	for _, method := range []string{"GET", "HEAD"} {
		w.alice.do(method, "/photos/c", nil).want(400)
		w.alice.do(method, "/photos/c", nil, two...).want(400)
		w.alice.do(method, "/photos/c", nil, append([]string{sseHeader, "AES256"}, one...)...).want(400)
	}
	w.alice.do("GET", "/photos/c?attributes", nil, "x-amz-object-attributes", "ETag").want(400, "InvalidRequest")
	w.alice.do("GET", "/photos/c?attributes", nil, append([]string{"x-amz-object-attributes", "ObjectSize"}, one...)...).want(200).contains("<ObjectSize>5</ObjectSize>")
	w.alice.do("PUT", "/photos/p", []byte("hello")).want(200)
	w.alice.do("GET", "/photos/p", nil, one...).want(400, "InvalidRequest")

	without := func(i int) []string { return append(append([]string{}, one[:i]...), one[i+2:]...) }
	other := func(i int, v string) []string { h := append([]string{}, one...); h[i] = v; return h }
	for name, c := range map[string]struct {
		headers []string
		code    string
	}{
		"no algorithm":   {without(0), "InvalidArgument"},
		"no key":         {without(2), "InvalidArgument"},
		"no MD5":         {without(4), "InvalidArgument"},
		"algorithm":      {other(1, "AES128"), "InvalidEncryptionAlgorithmError"},
		"short key":      {other(3, "AAAA"), "InvalidArgument"},
		"no base64":      {other(3, "*"), "InvalidArgument"},
		"MD5":            {other(5, two[5]), "InvalidArgument"},
		"both":           {append([]string{sseHeader, "AES256"}, one...), "InvalidArgument"},
		"unknown method": {[]string{sseHeader, "aes:kms"}, "InvalidArgument"},
		"key id alone":   {[]string{sseKeyIDHeader, "one"}, "InvalidArgument"},
		"key id of AES":  {[]string{sseHeader, "AES256", sseKeyIDHeader, "one"}, "InvalidArgument"},
		"context":        {[]string{sseHeader, "aws:kms", sseKeyIDHeader, "one", sseContextHeader, "e30"}, "InvalidArgument"},
		"unknown key":    {[]string{sseHeader, "aws:kms", sseKeyIDHeader, "nobody"}, "KMS.NotFoundException"},
		"no key named":   {[]string{sseHeader, "aws:kms"}, "InvalidRequest"},
		"bucket key":     {[]string{sseHeader, "aws:kms", sseKeyIDHeader, "one", sseBucketKeyHeader, "yes"}, "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.alice.do("PUT", "/photos/bad", []byte("hello"), c.headers...).want(400, c.code)
			if strings.Contains(string(a.body), one[3]) {
				t.Errorf("the answer shows the key: %s", a.body)
			}
			w.bob.do("PUT", "/photos/bad", []byte("hello"), c.headers...).want(403, "AccessDenied")
		})
	}
	w.alice.do("PUT", "/photos/bad", nil, sseHeader, "aws:kms:dsse").want(501, "NotImplemented")
	w.alice.do("GET", "/photos/bad", nil).want(404, "NoSuchKey")
	if strings.Contains(log.String(), one[3]) {
		t.Error("the log shows a key")
	}
}

func TestClientsKeysNeedTLS(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.KeysOverHTTP = false })
	w.alice.do("PUT", "/photos/c", []byte("hello"), customerHeaders(sseCustomer, 1)...).want(400, "InvalidRequest")
	w.alice.do("GET", "/photos/c", nil).want(404, "NoSuchKey")
}

func TestEncryptedUploadsAndCopies(t *testing.T) {
	w := newWorld(t)
	one, two := customerHeaders(sseCustomer, 1), customerHeaders(sseCustomer, 2)
	source := customerHeaders(sseSourceCustomer, 1)
	part := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	u := w.begin("m", one...)
	w.alice.do("PUT", u+"&partNumber=1", part).want(400, "InvalidRequest")
	w.alice.do("PUT", u+"&partNumber=1", part, two...).want(400, "InvalidRequest")
	first := w.alice.do("PUT", u+"&partNumber=1", part, one...).want(200).has(sseCustomer+sseKeyMD5, one[5]).header.Get("Etag")
	w.alice.do("PUT", "/photos/p", part).want(200)
	second := w.alice.do("PUT", u+"&partNumber=2", nil, append([]string{"x-amz-copy-source", "/photos/p"}, one...)...).want(200).element("ETag")
	w.alice.do("POST", u, completion(first, second), one...).want(200)
	whole := append(append([]byte{}, part...), part...)
	if got := w.alice.do("GET", "/photos/m", nil, one...).want(200); !bytes.Equal(got.body, whole) {
		t.Error("other bytes are read")
	}
	if got := w.alice.do("GET", "/photos/m?partNumber=2", nil, one...).want(206); !bytes.Equal(got.body, part) {
		t.Error("another part is read")
	}
	w.alice.do("PUT", "/photos/copy", nil, "x-amz-copy-source", "/photos/m").want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/copy", nil, append([]string{"x-amz-copy-source", "/photos/m", sseHeader, "aws:kms", sseKeyIDHeader, "two"}, source...)...).
		want(200).has(sseHeader, "aws:kms", sseKeyIDHeader, "two")
	if got := w.alice.do("GET", "/photos/copy", nil).want(200); !bytes.Equal(got.body, whole) {
		t.Error("other bytes are copied")
	}
	// In place: to another key of the client, and to none.
	w.alice.do("PUT", "/photos/m", nil, append(append([]string{"x-amz-copy-source", "/photos/m"}, source...), two...)...).want(200).has(sseCustomer+sseKeyMD5, two[5])
	w.alice.do("GET", "/photos/m", nil, one...).want(400, "InvalidRequest")
	w.alice.do("GET", "/photos/m", nil, two...).want(200)
	w.alice.do("PUT", "/photos/m", nil, append([]string{"x-amz-copy-source", "/photos/m", "x-amz-metadata-directive", "REPLACE"}, customerHeaders(sseSourceCustomer, 2)...)...).want(200)
	if got := w.alice.do("GET", "/photos/m", nil).want(200).has(sseCustomer+sseAlgorithm, ""); !bytes.Equal(got.body, whole) {
		t.Error("other bytes are decrypted")
	}
	kms := w.begin("k", sseHeader, "aws:kms", sseKeyIDHeader, "one", sseContextHeader, base64.StdEncoding.EncodeToString([]byte(`{"b":"2","a":"1"}`)))
	tag := w.alice.do("PUT", kms+"&partNumber=1", part).want(200).has(sseHeader, "aws:kms").header.Get("Etag")
	w.alice.do("POST", kms, completion(tag)).want(200).has(sseHeader, "aws:kms", sseKeyIDHeader, "one")
	w.alice.do("HEAD", "/photos/k", nil).want(200).has(sseHeader, "aws:kms", sseKeyIDHeader, "one")
}
