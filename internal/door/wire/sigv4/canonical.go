package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// form is one way to read a request into a canonical request. Proxies rewrite some headers, and clients disagree on
// what is the path; the forms after the first are tried when the signature does not match. All bind the whole request.
type form struct {
	rawPath bool   // the path as sent instead of decoded and encoded again
	host    string // the Host header to assume
	prefix  string // of the path
}

// forms lists the forms worth trying, the regular one first.
func forms(r *Request, t *target, buf []form) []form {
	buf = append(buf[:0], form{host: r.Host})
	rawDiffers := !isEncodingOf(t.raw, t.path)
	if rawDiffers {
		buf = append(buf, form{rawPath: true, host: r.Host})
	}
	// A client may leave the default port out of what it signs though it, or a proxy, sends it.
	for _, port := range []string{":80", ":443"} {
		if h, ok := strings.CutSuffix(r.Host, port); ok {
			buf = append(buf, form{host: h})
			if rawDiffers {
				buf = append(buf, form{rawPath: true, host: h})
			}
		}
	}
	for _, p := range r.Places {
		if p.Host == r.Host && p.Prefix == "" {
			continue
		}
		buf = append(buf, form{host: p.Host, prefix: p.Prefix})
		if rawDiffers {
			buf = append(buf, form{rawPath: true, host: p.Host, prefix: p.Prefix})
		}
	}
	return buf
}

// isEncodingOf reports whether raw is what appendEncoded makes of path.
func isEncodingOf(raw, path string) bool {
	var scratch [256]byte
	return string(appendEncoded(scratch[:0], path, true)) == raw
}

// appendCanonical appends the canonical request. signed is the list of signed headers as the client sent it; payload is
// the last line. Parameters named skip are left out.
func appendCanonical(b []byte, r *Request, t *target, f form, signed, payload, skip string) []byte {
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendEncoded(b, f.prefix, true)
	if f.rawPath {
		b = append(b, t.raw...)
	} else {
		b = appendEncoded(b, t.path, true)
	}
	b = append(b, '\n')
	b = appendQuery(b, t.params, skip)
	b = append(b, '\n')
	for rest := signed; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, ";")
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, f, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, signed...)
	b = append(b, '\n')
	return append(b, payload...)
}

// appendQuery appends the canonical query: sorted by encoded name, then encoded value.
func appendQuery(b []byte, params []param, skip string) []byte {
	type span struct{ from, equals, to int }
	var few [24]span
	spans := few[:0]
	var scratch [512]byte
	enc := scratch[:0]
	for i := range params {
		if skip != "" && params[i].name == skip {
			continue
		}
		s := span{from: len(enc)}
		enc = appendEncoded(enc, params[i].name, false)
		s.equals = len(enc)
		enc = appendEncoded(enc, params[i].value, false)
		s.to = len(enc)
		spans = append(spans, s)
	}
	if len(spans) > 1 {
		slices.SortStableFunc(spans, func(x, y span) int {
			if c := bytes.Compare(enc[x.from:x.equals], enc[y.from:y.equals]); c != 0 {
				return c
			}
			return bytes.Compare(enc[x.equals:x.to], enc[y.equals:y.to])
		})
	}
	for i, s := range spans {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, enc[s.from:s.equals]...)
		b = append(b, '=')
		b = append(b, enc[s.equals:s.to]...)
	}
	return b
}

// appendHeader appends the canonical value of a signed header.
func appendHeader(b []byte, r *Request, f form, name string) []byte {
	if name == "host" {
		return append(b, f.host...)
	}
	values := r.values(name)
	if values == nil {
		// Headers that the HTTP library or a proxy takes away.
		switch name {
		case "content-length":
			if r.ContentLength >= 0 {
				return strconv.AppendInt(b, r.ContentLength, 10)
			}
		case "transfer-encoding":
			return append(b, strings.Join(r.TransferEncoding, ",")...)
		case "expect":
			return append(b, "100-continue"...)
		case "te":
			return append(b, "trailers"...)
		}
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, v)
	}
	return b
}

// appendTrimmed appends a header value without space around it and with each run of spaces inside made one.
func appendTrimmed(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	space := false
	for i := 0; i < len(v); i++ {
		if v[i] == ' ' {
			if !space {
				b = append(b, ' ')
			}
			space = true
			continue
		}
		space = false
		b = append(b, v[i])
	}
	return b
}

// appendStringToSign appends the string that is signed for a canonical request.
func appendStringToSign(b []byte, stamp, scope string, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(b, Algorithm...)
	b = append(b, '\n')
	b = append(b, stamp...)
	b = append(b, '\n')
	b = append(b, scope...)
	b = append(b, '\n')
	return hex.AppendEncode(b, sum[:])
}

// secretHeaders are the signed headers whose values are secrets; a log or an answer shows the canonical request without them.
var secretHeaders = []string{
	"authorization:", "cookie:", "x-amz-security-token:",
	"x-amz-server-side-encryption-customer-key:", "x-amz-copy-source-server-side-encryption-customer-key:",
}

// redact hides the values of secret headers in a canonical request.
func redact(canonical []byte) string {
	lines := strings.Split(string(canonical), "\n")
	for i, l := range lines {
		for _, h := range secretHeaders {
			if strings.HasPrefix(l, h) {
				lines[i] = h + "(hidden)"
			}
		}
	}
	return strings.Join(lines, "\n")
}
