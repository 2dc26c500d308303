package s3

import (
	"context"
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/naming"
)

// AccessLog takes records of access to the buckets that want them kept. Its methods are safe for concurrent use and do not wait.
type AccessLog interface {
	// Wants reports whether access to the bucket is to be recorded, and the canonical id of its owner.
	Wants(ctx context.Context, bucket naming.BucketName) (owner string, ok bool)
	// Add takes a record: a line without its end.
	Add(ctx context.Context, bucket naming.BucketName, at time.Time, line string)
	// Changed says that the bucket's settings changed.
	Changed(bucket naming.BucketName)
}

// logged is what a record tells besides what the call and the answer show.
type logged struct {
	size   int64 // of the object; -1: it was about none, or it is not known
	batch  []batchEntry
	source *copySource
}

// batchEntry is one key of a DeleteObjects.
type batchEntry struct {
	key, version string
	status       int
	code         code
}

// copySource is the object that a copy read.
type copySource struct {
	bucket naming.BucketName
	name   naming.ObjectName
}

// record writes the call into the access log of its bucket, if the bucket has one.
func (c *call) record(ctx context.Context, ob *Observation) {
	log := c.door.o.AccessLog
	if log == nil || !naming.ValidBucket(string(c.bucket)) {
		return
	}
	operation := c.logOperation()
	if owner, ok := log.Wants(ctx, c.bucket); ok {
		line := &logLine{owner: owner, bucket: c.bucket, operation: operation, key: string(c.name), status: ob.Status, code: ob.Code, size: c.logged.size}
		line.version = c.loggedVersion()
		log.Add(ctx, c.bucket, c.started, c.logLine(line, ob))
		for _, e := range c.logged.batch {
			line.operation, line.key, line.version, line.status, line.code, line.size = "BATCH.DELETE.OBJECT", e.key, e.version, e.status, string(e.code), -1
			log.Add(ctx, c.bucket, c.started, c.logLine(line, ob))
		}
	}
	if s := c.logged.source; s != nil {
		if owner, ok := log.Wants(ctx, s.bucket); ok {
			line := &logLine{owner: owner, bucket: s.bucket, operation: operation + "_GET", key: string(s.name), status: ob.Status, code: ob.Code, size: -1}
			log.Add(ctx, s.bucket, c.started, c.logLine(line, ob))
		}
	}
}

// loggedVersion is the version that the answer named, or else the request.
func (c *call) loggedVersion() string {
	if v := c.out["X-Amz-Version-Id"]; len(v) > 0 {
		return v[0]
	}
	return c.query.get("versionId")
}

// logLine has what differs between the records of one call.
type logLine struct {
	owner, operation, key, version, code string
	bucket                               naming.BucketName
	status                               int
	size                                 int64
}

// logLine writes a record (S3 User Guide, "Amazon S3 server access log format").
func (c *call) logLine(l *logLine, ob *Observation) string {
	var b strings.Builder
	put := func(s string) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if s == "" {
			s = "-"
		}
		b.WriteString(s)
	}
	quoted := func(s string) {
		if s == "" {
			s = "-"
		}
		put(`"` + strings.ReplaceAll(s, `"`, "%22") + `"`)
	}
	number := func(n int64) {
		if n <= 0 {
			put("")
			return
		}
		put(strconv.FormatInt(n, 10))
	}
	put(l.owner)
	put(string(l.bucket))
	put(c.started.UTC().Format("[02/Jan/2006:15:04:05 +0000]"))
	put(wire.RemoteIP(c.r.RemoteAddr))
	put(c.caller.Canonical)
	put(c.id)
	put(l.operation)
	put(encodePath(l.key))
	quoted(requestLine(c.r))
	put(strconv.Itoa(l.status))
	put(l.code)
	number(ob.BytesOut)
	if l.size >= 0 {
		put(strconv.FormatInt(l.size, 10))
	} else {
		put("")
	}
	put(strconv.FormatInt(ob.Duration.Milliseconds(), 10))
	if c.w.begun {
		put(strconv.FormatInt(max(c.w.at.Sub(c.started).Milliseconds(), 0), 10))
	} else {
		put("")
	}
	quoted(c.r.Header.Get("Referer"))
	quoted(c.r.Header.Get("User-Agent"))
	put(l.version)
	put(c.door.hostID)
	version, kind := c.logAuth()
	put(version)
	cipher, protocol := "", ""
	if c.r.TLS != nil {
		cipher, protocol = tls.CipherSuiteName(c.r.TLS.CipherSuite), strings.ReplaceAll(tls.VersionName(c.r.TLS.Version), "TLS ", "TLSv")
	}
	put(cipher)
	put(kind)
	put(strings.ReplaceAll(c.r.Host, " ", "%20"))
	put(protocol)
	put("") // access points: there are none
	put("") // whether a list was needed: not told
	return b.String()
}

// logAuth is how the request was signed: version, and where the signature stood.
func (c *call) logAuth() (version, kind string) {
	if c.payload.auth == nil {
		return "", ""
	}
	switch c.payload.auth.Scheme {
	case sigv4.V4Header:
		return "SigV4", "AuthHeader"
	case sigv4.V4Query:
		return "SigV4", "QueryString"
	case sigv4.V2Header:
		return "SigV2", "AuthHeader"
	case sigv4.V2Query:
		return "SigV2", "QueryString"
	case sigv4.V4Form:
		return "SigV4", ""
	case sigv4.V2Form:
		return "SigV2", ""
	case sigv4.Anonymous:
	}
	return "", ""
}

// requestLine is the first line of the request, without signatures, tokens and keys.
func requestLine(r *http.Request) string {
	return cleanTarget(r) + " " + r.Proto
}

// logOperation is what the access log calls the operation: REST, method, resource.
func (c *call) logOperation() string {
	method := c.r.Method
	if c.row == nil {
		return "REST." + clip(method) + "." + strings.ToUpper(c.level.String())
	}
	switch c.row.op {
	case "CopyObject":
		return "REST.COPY.OBJECT"
	case "UploadPartCopy":
		return "REST.COPY.PART"
	case "UploadPart":
		return "REST.PUT.PART"
	case "PostObject":
		return "REST.POST.OBJECT"
	case "DeleteObjects":
		return "REST.POST.MULTI_OBJECT_DELETE"
	case "OptionsBucket", "OptionsObject":
		return "REST.OPTIONS.PREFLIGHT"
	case "ListObjectsV2":
		return "REST.GET.BUCKET"
	}
	return "REST." + method + "." + c.logResource()
}

// logResource is the sub-resource as the access log calls it.
func (c *call) logResource() string {
	marker, _, _ := strings.Cut(c.row.marker, "&")
	onObject := c.level == objectLevel
	switch marker {
	case "":
		return strings.ToUpper(c.row.level.String())
	case "uploadId":
		return "UPLOAD"
	case "versions":
		return "BUCKETVERSIONS"
	case "logging":
		return "LOGGING_STATUS"
	case "policy":
		return "BUCKETPOLICY"
	case "requestPayment":
		return "REQUEST_PAYMENT"
	case "object-lock":
		return "OBJECT_LOCK_CONFIGURATION"
	case "publicAccessBlock":
		return "PUBLIC_ACCESS_BLOCK"
	case "ownershipControls":
		return "OWNERSHIP_CONTROLS"
	case "policyStatus":
		return "BUCKETPOLICYSTATUS"
	case "tagging", "retention", "legal-hold":
		if onObject {
			return "OBJECT_" + strings.ReplaceAll(strings.ToUpper(marker), "-", "_")
		}
	}
	return strings.ReplaceAll(strings.ToUpper(marker), "-", "_")
}
