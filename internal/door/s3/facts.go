package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
)

// Fact implements policy.Facts: what the request itself says for the conditions of policies. What is said of the operation (source, version, tags, lock)
// the backend knows. Headers count as they were signed, in a presigned query and in the fields of a form too.
func (c *call) Fact(key string) ([]string, bool) {
	switch key {
	case "s3:prefix", "s3:delimiter", "s3:max-keys":
		v, ok := c.query.lookup(strings.TrimPrefix(key, "s3:"))
		return []string{v}, ok
	case "s3:authtype":
		return said(c.authType())
	case "s3:signatureversion":
		return said(c.signatureVersion())
	case "s3:signatureage":
		return c.signatureAge()
	case "s3:tlsversion":
		return c.tlsVersion()
	case "s3:locationconstraint":
		return said(c.location)
	case "s3:if-match", "s3:if-none-match", "s3:object-lock-legal-hold":
		name := strings.TrimPrefix(key, "s3:")
		if name == "object-lock-legal-hold" {
			name = "x-amz-" + name
		}
		return c.headerFact(name)
	case "s3:objectcreationoperation":
		return c.creates()
	}
	if name, ok := strings.CutPrefix(key, "s3:x-amz-"); ok {
		return c.headerFact("x-amz-" + name)
	}
	return wire.Fact(c.r, key)
}

// said is a fact that is absent when it is empty.
func said(value string) ([]string, bool) { return []string{value}, value != "" }

func (c *call) headerFact(name string) ([]string, bool) {
	values := c.header[http.CanonicalHeaderKey(name)]
	return values, len(values) > 0
}

// authType is how the request is signed, in the words of policies.
func (c *call) authType() string {
	switch {
	case !c.signed:
		return ""
	case c.presigned:
		return "REST-QUERY-STRING"
	case c.payload.auth.Scheme == sigv4.V4Form || c.payload.auth.Scheme == sigv4.V2Form:
		return "POST"
	}
	return "REST-HEADER"
}

func (c *call) signatureVersion() string {
	switch {
	case !c.signed:
		return ""
	case strings.HasPrefix(c.payload.auth.Scheme.String(), "v2"):
		return "AWS"
	}
	return "AWS4-HMAC-SHA256"
}

// signatureAge is how long ago the request was signed, in milliseconds. Presigned requests of Version 2 do not tell when that was.
func (c *call) signatureAge() ([]string, bool) {
	if !c.signed {
		return nil, false
	}
	stamp := c.query.get("X-Amz-Date")
	if stamp == "" {
		stamp = c.h("X-Amz-Date")
	}
	at, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		if at, err = http.ParseTime(c.h("Date")); err != nil {
			return nil, false
		}
	}
	return []string{strconv.FormatInt(c.started.Sub(at).Milliseconds(), 10)}, true
}

// tlsVersion is "1.2" or "1.3"; absent without TLS.
func (c *call) tlsVersion() ([]string, bool) {
	if c.r.TLS == nil {
		return nil, false
	}
	// The wire's numbers are 0x0301 for 1.0 and so on (RFC 8446 section 4.2.1).
	return []string{"1." + strconv.Itoa(int(c.r.TLS.Version&0xff)-1)}, true
}

// creates tells whether the operation makes an object, as against a part of an upload.
func (c *call) creates() ([]string, bool) {
	if c.row == nil {
		return nil, false
	}
	switch c.row.op {
	case "PutObject", "CopyObject", "CompleteMultipartUpload", "PostObject":
		return []string{"true"}, true
	case "CreateMultipartUpload", "UploadPart", "UploadPartCopy":
		return []string{"false"}, true
	}
	return nil, false
}
