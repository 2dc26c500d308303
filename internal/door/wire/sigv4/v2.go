package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // Version 2 is defined with it
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// isSubresource reports whether Version 2 signs a parameter ("Signing and authenticating REST requests", S3 API reference, and the
// sub-resources that came later, as the AWS command line signs them).
func isSubresource(name string) bool {
	switch name {
	case "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location", "logging", "metrics",
		"notification", "object-lock", "partNumber", "policy", "replication", "requestPayment", "response-cache-control",
		"response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
		"restore", "select", "select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website":
		return true
	}
	return false
}

func (v *Verifier) v2Header(ctx context.Context, r *Request, t *target, rest string, lookup Lookup) (*Auth, error) {
	key, sig, ok := cutLast(strings.TrimSpace(rest), ':')
	if !ok || key == "" || sig == "" {
		return nil, refuse("sigv4.Verify", InvalidArgument, "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
			Field{"ArgumentName", "Authorization"}, Field{"ArgumentValue", clip("AWS " + rest)})
	}
	at, err := requestTime(r)
	if err != nil {
		return nil, err
	}
	if err := checkSkew(at, v.clock.Now()); err != nil {
		return nil, err
	}
	if err := refuseToken(r, t); err != nil {
		return nil, err
	}
	date, _ := r.get("date")
	if _, amz := r.get("x-amz-date"); amz {
		date = ""
	}
	a := &Auth{Scheme: V2Header, AccessKey: key}
	if err := v.matchV2(ctx, r, t, a, date, sig, lookup); err != nil {
		return nil, err
	}
	payload, _ := r.get("x-amz-content-sha256")
	return a, a.readClaim(r, payload)
}

func (v *Verifier) v2Query(ctx context.Context, r *Request, t *target, lookup Lookup) (*Auth, error) {
	key, hasKey := t.get("AWSAccessKeyId")
	sig, hasSig := t.get("Signature")
	expires, hasExpires := t.get("Expires")
	if !hasKey || !hasSig || !hasExpires || key == "" || sig == "" {
		return nil, refuse("sigv4.Verify", AccessDenied, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
	}
	epoch, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || r.StrictLife && epoch > maxEpoch {
		return nil, refuse("sigv4.Verify", AccessDenied, "Invalid date (should be seconds since epoch): "+clip(expires))
	}
	if now := v.clock.Now(); epoch < now.Unix() {
		return nil, expired(time.Unix(max(epoch, 0), 0), now)
	}
	if err := refuseToken(r, t); err != nil {
		return nil, err
	}
	a := &Auth{Scheme: V2Query, AccessKey: key, hoisted: hoist(t)}
	for _, p := range t.params {
		if isPlainHoisted(p.name) {
			a.hoisted = append(a.hoisted, p)
		}
	}
	if err := v.matchV2(ctx, r, t, a, expires, sig, lookup); err != nil {
		return nil, err
	}
	payload, present := r.get("x-amz-content-sha256")
	if !present {
		payload, _ = a.Hoisted("x-amz-content-sha256")
	}
	return a, a.readClaim(r, payload)
}

// matchV2 compares a Version 2 signature with the one we compute.
func (v *Verifier) matchV2(ctx context.Context, r *Request, t *target, a *Auth, date, sig string, lookup Lookup) error {
	key, err := secret(ctx, lookup, a.AccessKey)
	if err != nil {
		return err
	}
	toSign := stringToSignV2(r, t, a.hoisted, a.Scheme == V2Query, date)
	provided, err := base64.StdEncoding.DecodeString(sig)
	if sum := sumV2(key, toSign); err == nil && subtle.ConstantTimeCompare(sum, provided) == 1 {
		return nil
	}
	for _, raw := range pathsV2(r, t) {
		other := *t
		other.raw = raw
		sum := sumV2(key, stringToSignV2(r, &other, a.hoisted, a.Scheme == V2Query, date))
		if err == nil && subtle.ConstantTimeCompare(sum, provided) == 1 {
			return nil
		}
	}
	shown := redact([]byte(toSign))
	v.log.LogAttrs(ctx, slog.LevelDebug, "signature does not match",
		slog.String("access_key", clip(a.AccessKey)), slog.String("string_to_sign", shown))
	return mismatch(clip(a.AccessKey), shown, sig, "")
}

// pathsV2 are further paths that a client may have signed: AWS's SDKs send "/bucket" and sign "/bucket/"; a proxy may have cut off a prefix.
func pathsV2(r *Request, t *target) (paths []string) {
	slashed := strings.LastIndexByte(t.raw, '/') == 0 && len(t.raw) > 1 && r.Bucket == ""
	if slashed {
		paths = append(paths, t.raw+"/")
	}
	for _, p := range r.Places {
		if p.Prefix == "" {
			continue
		}
		paths = append(paths, p.Prefix+t.raw)
		if slashed {
			paths = append(paths, p.Prefix+t.raw+"/")
		}
	}
	return paths
}

func sumV2(secret, toSign string) []byte {
	m := hmac.New(sha1.New, []byte(secret))
	_, _ = m.Write([]byte(toSign))
	return m.Sum(nil)
}

// stringToSignV2 builds what Version 2 signs: method, Content-MD5, Content-Type, date, x-amz-* headers, resource. In a presigned URL,
// parameters may stand for headers.
func stringToSignV2(r *Request, t *target, hoisted []param, query bool, date string) string {
	plain := func(name string) string {
		if s, ok := r.get(name); ok || !query {
			return strings.TrimSpace(s)
		}
		for _, p := range t.params {
			if strings.EqualFold(p.name, name) {
				return p.value
			}
		}
		return ""
	}
	var b strings.Builder
	for _, s := range []string{r.Method, plain("content-md5"), plain("content-type"), date} {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	amz := make([]param, 0, 8)
	for k, values := range r.Header {
		if isAmz(k) {
			trimmed := make([]string, len(values))
			for i, s := range values {
				trimmed[i] = strings.TrimSpace(s)
			}
			amz = append(amz, param{strings.ToLower(k), strings.Join(trimmed, ",")})
		}
	}
	for _, p := range hoisted {
		lower := strings.ToLower(p.name)
		if isAmz(lower) && !slices.ContainsFunc(amz, func(q param) bool { return q.name == lower }) {
			amz = append(amz, param{lower, p.value})
		}
	}
	slices.SortFunc(amz, func(x, y param) int { return strings.Compare(x.name, y.name) })
	for _, p := range amz {
		b.WriteString(p.name)
		b.WriteByte(':')
		b.WriteString(p.value)
		b.WriteByte('\n')
	}
	writeResource(&b, r, t)
	return b.String()
}

// isPlainHoisted reports whether a parameter of a Version 2 presigned URL stands for one of the two other headers that are signed:
// that is how botocore presigns a PUT with a content type.
func isPlainHoisted(name string) bool {
	return strings.EqualFold(name, "content-type") || strings.EqualFold(name, "content-md5")
}

// writeResource writes the canonical resource of Version 2: the bucket of a virtual host, the path as sent, the sub-resources.
func writeResource(b *strings.Builder, r *Request, t *target) {
	if r.Bucket != "" {
		b.WriteString("/" + r.Bucket)
	}
	b.WriteString(t.raw)
	var subs []param
	for _, p := range t.params {
		if isSubresource(p.name) {
			subs = append(subs, p)
		}
	}
	slices.SortStableFunc(subs, func(x, y param) int { return strings.Compare(x.name, y.name) })
	for i, p := range subs {
		if i == 0 {
			b.WriteByte('?')
		} else {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		// "?acl" and "?acl=" are signed alike: clients leave the sign out when there is no value.
		if p.value != "" {
			b.WriteString("=" + p.value)
		}
	}
}

// cutLast splits s at the last sep.
func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// maxEpoch is the last second that a strict reader of Version 2 takes for an expiry.
const maxEpoch = 1<<31 - 1
