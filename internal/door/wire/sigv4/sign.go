package sigv4

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signer signs requests as a client does. It is safe for concurrent use and must not be copied. Thin clients and tests use it; it
// shares the canonical form with Verifier, so what proves that form are AWS's published examples.
type Signer struct {
	AccessKey string
	Secret    string
	Region    string

	keys keyCache
}

// SignV4 signs r by header: it sets X-Amz-Date, X-Amz-Content-Sha256 (to payload: a hash or the name of a mode) and Authorization in
// r.Header. Every header already there is signed, apart from those that proxies touch.
func (s *Signer) SignV4(r *Request, payload string, at time.Time) *Auth {
	at = at.UTC()
	r.Header["X-Amz-Date"] = []string{at.Format(stampForm)}
	r.Header["X-Amz-Content-Sha256"] = []string{payload}
	delete(r.Header, "Authorization")
	signed := signedNames(r)
	t, _ := parseTarget(r.Target, nil)
	sig, a := s.sum(r, &t, signed, payload, at)
	r.Header["Authorization"] = []string{Algorithm + " Credential=" + s.AccessKey + "/" + a.chain.scope + ", SignedHeaders=" + signed + ", Signature=" + sig}
	return a
}

// PresignV4 adds to r.Target the parameters that make it a presigned URL for life. The headers in r.Header are signed.
func (s *Signer) PresignV4(r *Request, at time.Time, life time.Duration) {
	at = at.UTC()
	signed := signedNames(r)
	t, _ := parseTarget(r.Target, nil)
	payload, _, err := presignedPayload(r, &Auth{hoisted: hoist(&t)})
	if err != nil {
		payload = unsignedPayload // no server accepts two hashes
	}
	sep := "?"
	if strings.Contains(r.Target, "?") {
		sep = "&"
	}
	q := []byte(r.Target + sep + "X-Amz-Algorithm=" + Algorithm + "&X-Amz-Credential=")
	q = appendEncoded(q, s.AccessKey+"/"+s.scope(at), false)
	q = append(q, "&X-Amz-Date="+at.Format(stampForm)+"&X-Amz-Expires="+strconv.FormatInt(int64(life/time.Second), 10)+"&X-Amz-SignedHeaders="...)
	r.Target = string(appendEncoded(q, signed, false))
	t, _ = parseTarget(r.Target, nil)
	sig, _ := s.sum(r, &t, signed, payload, at)
	r.Target += "&X-Amz-Signature=" + sig
}

// SignV2 signs r by header with Version 2. It sets Date unless there is one, and Authorization.
func (s *Signer) SignV2(r *Request, at time.Time) {
	if _, ok := r.get("date"); !ok {
		r.Header["Date"] = []string{at.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	}
	date, _ := r.get("date")
	if _, ok := r.get("x-amz-date"); ok {
		date = ""
	}
	t, _ := parseTarget(r.Target, nil)
	sum := sumV2(s.Secret, stringToSignV2(r, &t, nil, false, date))
	r.Header["Authorization"] = []string{"AWS " + s.AccessKey + ":" + base64.StdEncoding.EncodeToString(sum)}
}

// PresignV2 adds to r.Target the parameters that make it a Version 2 presigned URL until end.
func (s *Signer) PresignV2(r *Request, end time.Time) {
	expires := strconv.FormatInt(end.Unix(), 10)
	t, _ := parseTarget(r.Target, nil)
	sum := sumV2(s.Secret, stringToSignV2(r, &t, hoist(&t), true, expires))
	sep := "?"
	if strings.Contains(r.Target, "?") {
		sep = "&"
	}
	q := appendEncoded([]byte(r.Target+sep+"AWSAccessKeyId="), s.AccessKey, false)
	q = append(q, "&Expires="+expires+"&Signature="...)
	r.Target = string(appendEncoded(q, base64.StdEncoding.EncodeToString(sum), false))
}

func (s *Signer) scope(at time.Time) string {
	return at.Format("20060102") + "/" + s.Region + "/" + service + "/" + terminal
}

// sum computes a signature; the Auth is what the chunks' signatures go on from.
func (s *Signer) sum(r *Request, t *target, signed, payload string, at time.Time) (string, *Auth) {
	a := &Auth{AccessKey: s.AccessKey, chain: chunkSeed{
		key: s.keys.get(keyID{s.Secret, at.Format("20060102"), s.Region}), stamp: at.Format(stampForm), scope: s.scope(at),
	}}
	b := appendCanonical(nil, r, t, form{host: r.Host}, signed, payload, "X-Amz-Signature")
	cut := len(b)
	b = appendStringToSign(b, a.chain.stamp, a.chain.scope, b[:cut])
	a.chain.key.sum(&a.chain.seed, b[cut:])
	return hex.EncodeToString(a.chain.seed[:]), a
}

// signedNames lists the headers to sign: host and all others but those that proxies touch.
func signedNames(r *Request) string {
	names := []string{"host"}
	for k := range r.Header {
		switch k = strings.ToLower(k); k {
		case "authorization", "connection", "expect", "te", "trailer", "transfer-encoding", "user-agent", "accept-encoding", "host":
		default:
			names = append(names, k)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}
