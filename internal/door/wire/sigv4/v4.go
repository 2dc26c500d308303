package sigv4

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// credential is a parsed Credential: key/date/region/service/terminal.
type credential struct{ key, date, region, service, terminal, scope string }

// parseCredential reads a Credential. The access key may itself hold slashes.
func parseCredential(s string) (c credential, ok bool) {
	end := len(s)
	for i, part := range []*string{&c.terminal, &c.service, &c.region, &c.date} {
		at := strings.LastIndexByte(s[:end], '/')
		if at < 0 {
			return c, false
		}
		*part = s[at+1 : end]
		if end = at; i == 3 {
			c.scope = s[at+1:]
		}
	}
	c.key = s[:end]
	if c.key == "" || len(c.date) != 8 {
		return c, false
	}
	for i := range len(c.date) {
		if c.date[i] < '0' || c.date[i] > '9' {
			return c, false
		}
	}
	return c, true
}

// check compares the scope with what this service expects. fault builds the refusal.
func (c *credential) check(here *scope, at time.Time, fault func(what string, f ...Field) error) error {
	var day [8]byte
	switch {
	case c.terminal != terminal:
		return fault("incorrect terminal " + strconv.Quote(clip(c.terminal)) + ". This endpoint uses \"" + terminal + "\".")
	case c.service != service:
		return fault("incorrect service " + strconv.Quote(clip(c.service)) + ". This endpoint belongs to \"" + service + "\".")
	case !here.has(c.region):
		return fault("the region '"+clip(c.region)+"' is wrong; expecting '"+here.own+"'", Field{"Region", here.own})
	case string(at.AppendFormat(day[:0], "20060102")) != c.date:
		return fault("Invalid credential date \"" + c.date + "\". This date is not the same as X-Amz-Date: \"" + at.Format("20060102") + "\".")
	}
	return nil
}

// headerFault is the refusal of a malformed Authorization header.
func headerFault(what string, f ...Field) error {
	return refuse("sigv4.Verify", HeaderMalformed, "The authorization header is malformed; "+what, f...)
}

// queryFault is the refusal of malformed parameters of a presigned URL.
func queryFault(what string, f ...Field) error {
	return refuse("sigv4.Verify", QueryParameters, what, f...)
}

func credentialFault(what string, f ...Field) error {
	return queryFault("Error parsing the X-Amz-Credential parameter; "+what, f...)
}

const credentialForm = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."

// authorization is a parsed Authorization header.
type authorization struct{ credential, signedHeaders, signature string }

// parseAuthorization reads what follows the algorithm's name.
func parseAuthorization(s string) (a authorization, err error) {
	for s != "" {
		var one string
		one, s, _ = strings.Cut(s, ",")
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		var to *string
		switch name {
		case "Credential":
			to = &a.credential
		case "SignedHeaders":
			to = &a.signedHeaders
		case "Signature":
			to = &a.signature
		case "":
			continue
		default:
			return a, headerFault("unexpected component " + strconv.Quote(clip(name)) + ".")
		}
		if *to != "" {
			return a, headerFault("the component " + name + " is there twice.")
		}
		*to = value
	}
	if a.credential == "" || a.signedHeaders == "" || a.signature == "" {
		return a, headerFault("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	return a, nil
}

func (v *Verifier) v4Header(ctx context.Context, r *Request, t *target, rest string, lookup Lookup) (*Auth, error) {
	z, err := parseAuthorization(rest)
	if err != nil {
		return nil, err
	}
	c, ok := parseCredential(z.credential)
	if !ok {
		return nil, headerFault(credentialForm)
	}
	at, err := requestTime(r)
	if err != nil {
		return nil, err
	}
	if err := c.check(&v.scope, at, headerFault); err != nil {
		return nil, err
	}
	if err := checkSkew(at, v.clock.Now()); err != nil {
		return nil, err
	}
	payload, present := r.get("x-amz-content-sha256")
	if !present {
		return nil, refuse("sigv4.Verify", InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
	}
	if err := checkSigned(r, z.signedHeaders); err != nil {
		return nil, err
	}
	if err := refuseToken(r, t); err != nil {
		return nil, err
	}
	s := signature{cred: c, at: at, signed: z.signedHeaders, payload: payload, provided: z.signature}
	a := &Auth{Scheme: V4Header}
	if err := v.match(ctx, r, t, &s, lookup, a); err != nil {
		return nil, err
	}
	return a, a.readPayload(r, payload)
}

const queryNeeds = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."

func (v *Verifier) v4Query(ctx context.Context, r *Request, t *target, lookup Lookup) (*Auth, error) {
	var algorithm, cred, stamp, signed, sig, life string
	for _, need := range []struct {
		to   *string
		name string
	}{
		{&algorithm, "X-Amz-Algorithm"},
		{&cred, "X-Amz-Credential"},
		{&stamp, "X-Amz-Date"},
		{&signed, "X-Amz-SignedHeaders"},
		{&sig, "X-Amz-Signature"},
		{&life, "X-Amz-Expires"},
	} {
		var present bool
		if *need.to, present = t.get(need.name); !present || t.count(need.name) > 1 {
			return nil, queryFault(queryNeeds)
		}
	}
	if algorithm == algorithmA {
		return nil, refuse("sigv4.Verify", NotImplemented, "Signature Version 4A ("+algorithmA+") is not supported; sign with "+Algorithm)
	}
	if algorithm != Algorithm {
		return nil, queryFault("X-Amz-Algorithm only supports \"" + Algorithm + "\"")
	}
	c, ok := parseCredential(cred)
	if !ok {
		return nil, credentialFault(credentialForm)
	}
	at, ok := parseStamp(stamp)
	if !ok {
		return nil, queryFault("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	if err := c.check(&v.scope, at, credentialFault); err != nil {
		return nil, err
	}
	if r.StrictLife && strings.HasPrefix(life, "-") {
		return nil, queryFault("X-Amz-Expires must be non-negative")
	}
	if err := checkLife(at, life, v.clock.Now()); err != nil {
		return nil, err
	}
	if err := checkSigned(r, signed); err != nil {
		return nil, err
	}
	if err := refuseToken(r, t); err != nil {
		return nil, err
	}
	a := &Auth{Scheme: V4Query, hoisted: hoist(t)}
	payload, mode, err := presignedPayload(r, a)
	if err != nil {
		return nil, err
	}
	s := signature{cred: c, at: at, signed: signed, payload: payload, provided: sig, skip: "X-Amz-Signature"}
	if err := v.match(ctx, r, t, &s, lookup, a); err != nil {
		return nil, err
	}
	return a, a.readClaim(r, mode)
}

// checkLife checks X-Amz-Expires. A URL whose life is zero or negative has expired, whenever it was made.
func checkLife(at time.Time, life string, now time.Time) error {
	seconds, err := strconv.ParseInt(life, 10, 64)
	if err != nil {
		return queryFault("X-Amz-Expires should be a number")
	}
	if seconds > int64(ExpiresMax/time.Second) {
		return queryFault("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	if at.After(now.Add(SkewMax)) {
		return refuse("sigv4.Verify", AccessDenied, "Request is not yet valid", Field{"X-Amz-Date", at.Format(stampForm)}, Field{"ServerTime", serverTime(now)})
	}
	end := at.Add(time.Duration(max(seconds, 0)) * time.Second)
	if seconds <= 0 || now.After(end) {
		return expired(end, now, Field{"X-Amz-Expires", life})
	}
	return nil
}

// hoist collects the parameters of a presigned URL that stand for headers.
func hoist(t *target) (found []param) {
	for _, p := range t.params {
		if !isAmz(p.name) {
			continue
		}
		switch p.name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Expires", "X-Amz-Security-Token":
			continue
		}
		found = append(found, p)
	}
	return found
}

// presignedPayload finds the payload line of a presigned URL's canonical request, and the payload mode that it means.
func presignedPayload(r *Request, a *Auth) (line, mode string, err error) {
	header, inHeader := r.get("x-amz-content-sha256")
	query, inQuery := a.Hoisted("x-amz-content-sha256")
	switch {
	case inHeader && inQuery && header != query:
		return "", "", refuse("sigv4.Verify", InvalidArgument, "x-amz-content-sha256 differs in header and query", Field{"ArgumentName", "x-amz-content-sha256"})
	case inHeader:
		return header, header, nil
	case inQuery:
		return query, query, nil
	}
	return unsignedPayload, "", nil
}

// checkSigned checks the list of signed headers: host and every x-amz-* header of the request must be in it.
func checkSigned(r *Request, signed string) error {
	if strings.Count(signed, ";") >= signedHeadersMax {
		return refuse("sigv4.Verify", InvalidArgument, "too many signed headers")
	}
	var missing []string
	if !listHas(signed, "host") {
		missing = append(missing, "host")
	}
	for k := range r.Header {
		if isAmz(k) && !listHas(signed, k) {
			missing = append(missing, strings.ToLower(k))
		}
	}
	if missing == nil {
		return nil
	}
	return refuse("sigv4.Verify", AccessDenied, "There were headers present in the request which were not signed",
		Field{"HeadersNotSigned", clip(strings.Join(missing, ", "))})
}

// listHas reports whether a list joined by ";" has a name, in any case.
func listHas(list, name string) bool {
	for list != "" {
		var one string
		if one, list, _ = strings.Cut(list, ";"); len(one) == len(name) && strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

// signature is a Version 4 signature and what it claims to cover.
type signature struct {
	cred                  credential
	at                    time.Time
	signed, payload, skip string
	provided              string
}

// match compares the signature with the one we compute. On success it fills in what a knows of the signer.
func (v *Verifier) match(ctx context.Context, r *Request, t *target, s *signature, lookup Lookup, a *Auth) error {
	key, err := secret(ctx, lookup, s.cred.key)
	if err != nil {
		return err
	}
	signing := v.keys.get(keyID{key, s.cred.date, s.cred.region})
	var stampBuf [len(stampForm)]byte
	stamp := string(s.at.AppendFormat(stampBuf[:0], stampForm))
	var provided [32]byte
	wellFormed := len(s.provided) == 64
	if wellFormed {
		_, err := hex.Decode(provided[:], []byte(s.provided))
		wellFormed = err == nil
	}
	buf := v.bufs.Get().(*[]byte)
	defer v.bufs.Put(buf)
	var few [6]form
	for _, f := range forms(r, t, few[:0]) {
		b := appendCanonical((*buf)[:0], r, t, f, s.signed, s.payload, s.skip)
		cut := len(b)
		b = appendStringToSign(b, stamp, s.cred.scope, b[:cut])
		*buf = b
		var sum [32]byte
		signing.sum(&sum, b[cut:])
		if wellFormed && subtle.ConstantTimeCompare(sum[:], provided[:]) == 1 {
			a.AccessKey = s.cred.key
			a.chain = chunkSeed{key: signing, stamp: stamp, scope: s.cred.scope, seed: provided}
			if s.payload == streamSigned || s.payload == streamSignedTrailer {
				a.chain.canonical = redact(b[:cut])
			}
			return nil
		}
	}
	b := appendCanonical(nil, r, t, form{host: r.Host}, s.signed, s.payload, s.skip)
	canonical, toSign := redact(b), string(appendStringToSign(nil, stamp, s.cred.scope, b))
	v.log.LogAttrs(ctx, slog.LevelDebug, "signature does not match",
		slog.String("access_key", clip(s.cred.key)), slog.String("canonical_request", canonical), slog.String("string_to_sign", toSign))
	return mismatch(clip(s.cred.key), toSign, s.provided, canonical)
}
