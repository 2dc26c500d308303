package sigv4

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"time"
)

// Form is what a browser's upload form says of its signature: fields of Version 4 or of Version 2. What is signed is the policy, as the
// base64 text that was sent (S3 API reference, "Authenticating requests in browser-based uploads using POST").
type Form struct {
	Policy string

	// Version 4: x-amz-algorithm, x-amz-credential, x-amz-date, x-amz-signature.
	Algorithm, Credential, Date, Signature string

	// Version 2: AWSAccessKeyId, signature.
	AccessKey, SignatureV2 string

	Token string // x-amz-security-token
}

// VerifyForm finds out who signed a form's policy. How long the signature holds, the policy says and the caller checks.
//
// Errors: AccessDenied, InvalidAccessKeyId, InvalidArgument (a field is missing or malformed), InvalidToken, NotImplemented (Version 4A),
// SignatureDoesNotMatch; and those of the look-up.
func (v *Verifier) VerifyForm(ctx context.Context, f *Form, lookup Lookup) (*Auth, error) {
	if f.Token != "" {
		return nil, refuse("sigv4.VerifyForm", InvalidToken, "The provided token is malformed or otherwise invalid.")
	}
	if f.Algorithm != "" || f.Credential != "" || f.Signature != "" {
		return v.formV4(ctx, f, lookup)
	}
	switch {
	case f.AccessKey == "":
		return nil, missingField("AWSAccessKeyId")
	case f.SignatureV2 == "":
		return nil, missingField("signature")
	}
	key, err := secret(ctx, lookup, f.AccessKey)
	if err != nil {
		return nil, err
	}
	provided, err := base64.StdEncoding.DecodeString(f.SignatureV2)
	if err != nil || subtle.ConstantTimeCompare(sumV2(key, f.Policy), provided) != 1 {
		return nil, v.formMismatch(ctx, f.AccessKey, f.Policy, f.SignatureV2)
	}
	return &Auth{Scheme: V2Form, AccessKey: f.AccessKey, DecodedLength: -1}, nil
}

func (v *Verifier) formV4(ctx context.Context, f *Form, lookup Lookup) (*Auth, error) {
	const op = "sigv4.VerifyForm"
	switch {
	case f.Algorithm == "":
		return nil, missingField("X-Amz-Algorithm")
	case f.Credential == "":
		return nil, missingField("X-Amz-Credential")
	case f.Signature == "":
		return nil, missingField("X-Amz-Signature")
	case f.Date == "":
		return nil, missingField("X-Amz-Date")
	case f.Algorithm == algorithmA:
		return nil, refuse(op, NotImplemented, "Signature Version 4A ("+algorithmA+") is not supported; sign with "+Algorithm)
	case f.Algorithm != Algorithm:
		return nil, badField("X-Amz-Algorithm", f.Algorithm, "X-Amz-Algorithm only supports \""+Algorithm+"\"")
	}
	c, ok := parseCredential(f.Credential)
	if !ok {
		return nil, badField("X-Amz-Credential", f.Credential, credentialForm)
	}
	at, ok := parseStamp(f.Date)
	if !ok {
		return nil, badField("X-Amz-Date", f.Date, "X-Amz-Date must be formatted via ISO8601 Long format.")
	}
	fault := func(what string, _ ...Field) error { return badField("X-Amz-Credential", f.Credential, what) }
	if err := c.check(&v.scope, at, fault); err != nil {
		return nil, err
	}
	if now := v.clock.Now(); at.After(now.Add(SkewMax)) {
		return nil, refuse(op, AccessDenied, "Request is not yet valid", Field{"X-Amz-Date", at.Format(stampForm)}, Field{"ServerTime", serverTime(now)})
	}
	key, err := secret(ctx, lookup, c.key)
	if err != nil {
		return nil, err
	}
	var sum [32]byte
	v.keys.get(keyID{key, c.date, c.region}).sum(&sum, []byte(f.Policy))
	provided, err := hex.DecodeString(f.Signature)
	if err != nil || subtle.ConstantTimeCompare(sum[:], provided) != 1 {
		return nil, v.formMismatch(ctx, c.key, f.Policy, f.Signature)
	}
	return &Auth{Scheme: V4Form, AccessKey: c.key, DecodedLength: -1}, nil
}

func (v *Verifier) formMismatch(ctx context.Context, accessKey, policy, provided string) error {
	v.log.LogAttrs(ctx, slog.LevelDebug, "signature does not match", slog.String("access_key", clip(accessKey)), slog.String("string_to_sign", clip(policy)))
	return mismatch(clip(accessKey), clip(policy), provided, "")
}

func missingField(name string) error {
	return badField(name, "", "Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.")
}

func badField(name, value, msg string) error {
	return refuse("sigv4.VerifyForm", InvalidArgument, msg, Field{"ArgumentName", name}, Field{"ArgumentValue", clip(value)})
}

// SignForm fills in the fields of Version 4 over f.Policy. A policy must name x-amz-credential, x-amz-algorithm and x-amz-date, so
// Credential gives them beforehand.
func (s *Signer) SignForm(f *Form, at time.Time) {
	at = at.UTC()
	f.Algorithm, f.Credential, f.Date = Algorithm, s.Credential(at), at.Format(stampForm)
	var sum [32]byte
	s.keys.get(keyID{s.Secret, at.Format("20060102"), s.Region}).sum(&sum, []byte(f.Policy))
	f.Signature = hex.EncodeToString(sum[:])
}

// SignFormV2 fills in the fields of Version 2 over f.Policy.
func (s *Signer) SignFormV2(f *Form) {
	f.AccessKey, f.SignatureV2 = s.AccessKey, base64.StdEncoding.EncodeToString(sumV2(s.Secret, f.Policy))
}

// Credential is the credential of a signature made at a time.
func (s *Signer) Credential(at time.Time) string { return s.AccessKey + "/" + s.scope(at.UTC()) }
