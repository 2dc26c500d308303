package sigv4

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// TestFormExample checks the example of the S3 API reference, "Example: Browser-based upload using HTTP POST (using AWS Signature Version 4)".
func TestFormExample(t *testing.T) {
	const policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
	at := time.Date(2015, 12, 29, 12, 0, 0, 0, time.UTC)
	v := New(clock.NewManual(at), "us-east-1", slog.New(slog.DiscardHandler))
	f := &Form{
		Policy: policy, Algorithm: Algorithm, Credential: "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request", Date: "20151229T000000Z",
		Signature: "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
	}
	lookup := func(context.Context, string) (string, error) { return "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", nil }
	a, err := v.VerifyForm(t.Context(), f, lookup)
	if err != nil || a.Scheme != V4Form || a.AccessKey != "AKIAIOSFODNN7EXAMPLE" {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestFormRefusals(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	v := New(clock.NewManual(at), "us-east-1", slog.New(slog.DiscardHandler))
	s := &Signer{AccessKey: "AK", Secret: "secret", Region: "us-east-1"}
	lookup := func(_ context.Context, key string) (string, error) {
		if key != "AK" {
			return "", errs.E("test", errs.NotFound, errs.Key, key)
		}
		return "secret", nil
	}
	for name, tc := range map[string]struct {
		change func(*Form)
		want   Code
	}{
		"good":            {func(*Form) {}, ""},
		"good v2":         {func(f *Form) { *f = Form{Policy: f.Policy}; s.SignFormV2(f) }, ""},
		"other policy":    {func(f *Form) { f.Policy += "=" }, SignatureDoesNotMatch},
		"other policy v2": {func(f *Form) { *f = Form{Policy: f.Policy}; s.SignFormV2(f); f.Policy += "=" }, SignatureDoesNotMatch},
		"cut signature":   {func(f *Form) { f.Signature = f.Signature[2:] }, SignatureDoesNotMatch},
		"no signature":    {func(f *Form) { f.Signature = "" }, InvalidArgument},
		"no date":         {func(f *Form) { f.Date = "" }, InvalidArgument},
		"other day":       {func(f *Form) { f.Date = "20260503T000000Z" }, InvalidArgument},
		"to come":         {func(f *Form) { s.SignForm(f, at.Add(time.Hour)) }, AccessDenied},
		"other region":    {func(f *Form) { (&Signer{AccessKey: "AK", Secret: "secret", Region: "mars"}).SignForm(f, at) }, InvalidArgument},
		"unknown key":     {func(f *Form) { (&Signer{AccessKey: "BK", Secret: "secret", Region: "us-east-1"}).SignForm(f, at) }, InvalidAccessKeyID},
		"4A":              {func(f *Form) { f.Algorithm = algorithmA }, NotImplemented},
		"token":           {func(f *Form) { f.Token = "x" }, InvalidToken},
		"nothing":         {func(f *Form) { *f = Form{Policy: f.Policy} }, InvalidArgument},
		"v2 unsigned":     {func(f *Form) { *f = Form{Policy: f.Policy, AccessKey: "AK"} }, InvalidArgument},
	} {
		f := &Form{Policy: "cG9saWN5"}
		s.SignForm(f, at)
		tc.change(f)
		_, err := v.VerifyForm(t.Context(), f, lookup)
		var got *Error
		if errors.As(err, &got) != (tc.want != "") || got != nil && got.Code != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}
