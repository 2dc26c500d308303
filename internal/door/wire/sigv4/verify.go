package sigv4

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Names and limits of Signature Version 4.
const (
	Algorithm  = "AWS4-HMAC-SHA256"
	algorithmA = "AWS4-ECDSA-P256-SHA256" // Version 4A, which we refuse
	service    = "s3"
	terminal   = "aws4_request"
	stampForm  = "20060102T150405Z"

	SkewMax    = 15 * time.Minute   // between the client's clock and ours
	ExpiresMax = 7 * 24 * time.Hour // life of a presigned URL

	signedHeadersMax = 128
)

// Scheme is how a request was signed.
type Scheme uint8

// The schemes.
const (
	Anonymous Scheme = iota
	V4Header
	V4Query
	V2Header
	V2Query
	V4Form
	V2Form
)

var schemeNames = [...]string{"anonymous", "v4", "v4-presigned", "v2", "v2-presigned", "v4-form", "v2-form"}

func (s Scheme) String() string { return schemeNames[s] }

// Lookup finds the secret of an access key. Errors of the kinds NotFound, Unauthenticated and Denied mean that the key may not be
// used; the client then learns InvalidAccessKeyId. Other errors reach the caller of Verify as they are.
type Lookup func(ctx context.Context, accessKey string) (secret string, err error)

// Verifier checks signatures. It is safe for concurrent use and must not be copied.
type Verifier struct {
	clock clock.Clock
	scope scope
	log   *slog.Logger
	keys  keyCache
	bufs  sync.Pool // of *[]byte
}

// scope are the regions that requests may be signed for.
type scope struct {
	own  string
	also []string
}

func (s *scope) has(region string) bool { return region == s.own || slices.Contains(s.also, region) }

// New makes a verifier for a region. It takes what is signed for the regions in also too: clients that learn where a bucket is sign for that from then on. It keeps
// a bounded cache of signing keys.
func New(c clock.Clock, region string, log *slog.Logger, also ...string) *Verifier {
	v := &Verifier{clock: c, scope: scope{region, also}, log: log}
	v.bufs.New = func() any { b := make([]byte, 0, 2048); return &b }
	return v
}

// Auth is who signed a request, and what the body is.
type Auth struct {
	Scheme    Scheme
	AccessKey string // "" when anonymous

	// Payload is how the body comes; SHA256 is what it must hash to when Payload is Hashed (no body does when it is all zero).
	Payload Payload
	SHA256  [32]byte
	// DecodedLength is the declared size of a streamed body without its framing, -1 for the other modes.
	DecodedLength int64
	// Trailers are the names, in lower case, that x-amz-trailer declares, as often as it does; also where Payload has none (Payload.Trailing).
	Trailers []string

	chunkMin int64     // bytes of every chunk but the last
	claimed  string    // x-amz-content-sha256 as sent, when Payload is Hashed
	hoisted  []param   // x-amz-* parameters of a presigned URL
	chain    chunkSeed // for the signatures of chunks
}

// Hoisted gives a header that a presigned URL carries in its query instead, by name in lower case ("x-amz-checksum-crc32").
// Only Version 4 and 2 presigned URLs have any: an unsigned query has none.
func (a *Auth) Hoisted(lower string) (value string, present bool) {
	for i := range a.hoisted {
		if strings.EqualFold(a.hoisted[i].name, lower) {
			return a.hoisted[i].value, true
		}
	}
	return "", false
}

// EachHoisted calls fn for each parameter of a presigned URL that stands for a header, its name in lower case: x-amz-* and, in Version 2,
// content-type and content-md5.
func (a *Auth) EachHoisted(fn func(lower, value string)) {
	for i := range a.hoisted {
		fn(strings.ToLower(a.hoisted[i].name), a.hoisted[i].value)
	}
}

// Verify finds out who signed r. A request without any signature is Anonymous; one with a wrong, expired or malformed one is an error.
func (v *Verifier) Verify(ctx context.Context, r *Request, lookup Lookup) (*Auth, error) {
	const op = "sigv4.Verify"
	var few [16]param
	t, ok := parseTarget(r.Target, few[:])
	if !ok {
		return nil, refuse(op, InvalidURI, "Couldn't parse the specified URI.")
	}
	header, _ := r.get("authorization")
	header = strings.TrimSpace(header)
	signed := 0
	for _, has := range []bool{header != "", t.has.v4, t.has.v2} {
		if has {
			signed++
		}
	}
	if signed > 1 || len(r.values("authorization")) > 1 || t.count("X-Amz-Signature") > 1 || t.count("Signature") > 1 {
		return nil, refuse(op, InvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
			"Signature query string parameter or the Authorization header should be specified", Field{"ArgumentName", "Authorization"}, Field{"ArgumentValue", clip(header)})
	}
	switch {
	case t.has.v4:
		return v.v4Query(ctx, r, &t, lookup)
	case t.has.v2:
		return v.v2Query(ctx, r, &t, lookup)
	case header == "":
		a := &Auth{Scheme: Anonymous}
		mode, _ := r.get("x-amz-content-sha256")
		return a, a.readPayload(r, mode)
	}
	scheme, rest, _ := strings.Cut(header, " ")
	switch scheme {
	case Algorithm:
		return v.v4Header(ctx, r, &t, rest, lookup)
	case "AWS":
		return v.v2Header(ctx, r, &t, rest, lookup)
	case algorithmA:
		return nil, refuse(op, NotImplemented, "Signature Version 4A ("+algorithmA+") is not supported; sign with "+Algorithm)
	}
	return nil, refuse(op, InvalidArgument, "Unsupported Authorization Type", Field{"ArgumentName", "Authorization"}, Field{"ArgumentValue", clip(header)})
}

// secret asks the look-up and turns "no such key" into S3's words.
func secret(ctx context.Context, lookup Lookup, accessKey string) (string, error) {
	const op = "sigv4.Verify"
	s, err := lookup(ctx, accessKey)
	switch {
	case err == nil:
		return s, nil
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Unauthenticated), errs.Is(err, errs.Denied):
		return "", refuse(op, InvalidAccessKeyID, "The AWS Access Key Id you provided does not exist in our records.", Field{"AWSAccessKeyId", clip(accessKey)})
	}
	return "", err
}

// refuseToken refuses temporary credentials: nobody here hands them out.
func refuseToken(r *Request, t *target) error {
	token, _ := r.get("x-amz-security-token")
	if token == "" {
		token, _ = t.get("X-Amz-Security-Token")
	}
	if token == "" {
		token, _ = t.get("x-amz-security-token")
	}
	if token == "" {
		return nil
	}
	return refuse("sigv4.Verify", InvalidToken, "The provided token is malformed or otherwise invalid.")
}

// requestTime finds when the client says that it signed: x-amz-date, or Date.
func requestTime(r *Request) (time.Time, error) {
	s, present := r.get("x-amz-date")
	if !present {
		s, _ = r.get("date")
	}
	if at, ok := parseDate(s); ok {
		return at, nil
	}
	return time.Time{}, refuse("sigv4.Verify", AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
}

// parseDate reads ISO 8601's basic form and the three forms of HTTP dates. Times before 1970 are refused.
func parseDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if at, ok := parseStamp(s); ok {
		return at, true
	}
	for _, form := range []string{time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.RFC3339} {
		if at, err := time.Parse(form, s); err == nil {
			return at.UTC(), at.Unix() >= 0
		}
	}
	return time.Time{}, false
}

// parseStamp reads YYYYMMDDTHHMMSSZ.
func parseStamp(s string) (time.Time, bool) {
	if len(s) != len(stampForm) {
		return time.Time{}, false
	}
	at, err := time.Parse(stampForm, s)
	return at, err == nil && at.Unix() >= 0
}

// checkSkew refuses a time too far from now.
func checkSkew(at, now time.Time) error {
	if d := now.Sub(at); d <= SkewMax && d >= -SkewMax {
		return nil
	}
	return refuse("sigv4.Verify", RequestTimeTooSkewed, "The difference between the request time and the current time is too large.",
		Field{"RequestTime", at.Format(stampForm)}, Field{"ServerTime", serverTime(now)},
		Field{"MaxAllowedSkewMilliseconds", strconv.FormatInt(SkewMax.Milliseconds(), 10)})
}

// serverTime writes a time as S3's errors do.
func serverTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }

// expired is the refusal of a presigned URL that is too old.
func expired(end, now time.Time, more ...Field) error {
	return refuse("sigv4.Verify", AccessDenied, "Request has expired",
		append(more, Field{"Expires", serverTime(end)}, Field{"ServerTime", serverTime(now)})...)
}

// mismatch is the refusal of a wrong signature.
func mismatch(accessKey, toSign, provided, canonical string) error {
	fields := []Field{{"AWSAccessKeyId", accessKey}, {"StringToSign", toSign}, {"SignatureProvided", clip(provided)}, {"StringToSignBytes", spelled(toSign)}}
	if canonical != "" {
		fields = append(fields, Field{"CanonicalRequest", canonical}, Field{"CanonicalRequestBytes", spelled(canonical)})
	}
	return refuse("sigv4.Verify", SignatureDoesNotMatch,
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.", fields...)
}

// spelled is a text byte by byte, in hexadecimal digits, as S3 shows it to tell what cannot be seen.
func spelled(s string) string {
	b := make([]byte, 0, 3*len(s))
	for i := range len(s) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = hex.AppendEncode(b, []byte{s[i]})
	}
	return string(b)
}

// clip bounds what of a refused value is shown.
func clip(s string) string {
	if len(s) > 256 {
		s = s[:256] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
