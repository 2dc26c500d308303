package s3

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"pithos/internal/naming"
)

// Whatever the request target is, parsing it gives an S3 error or names that keep their rules; and a key that is encoded comes back.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"/", "/bucket", "/bucket/", "/bucket/key", "/bucket//a/../b?versionId=null", "http://host/bucket/key?x", "*", "/%", "/bucket/%zz", "/b%75cket/%ff",
		"/bucket/a%00", "/bucket?a=%", "/bucket?list-type=2&prefix=a+b%2B", "/bucket/k?partNumber=1&uploadId=x&x-id=UploadPart", "/bucket?" + strings.Repeat("a&", 70),
	} {
		f.Add(s, "host")
	}
	f.Add("/key", "bucket.s3.test:80")
	f.Add("/key", "..s3.test")
	d := New(nil, Options{Domains: []string{"s3.test"}})
	f.Fuzz(func(t *testing.T, target, host string) {
		c := &call{door: d, r: &http.Request{Method: http.MethodGet, RequestURI: target, Host: host}, header: http.Header{}}
		if err := d.parse(c); err != nil {
			if code := faultOf(err).code; code.status() != 400 {
				t.Fatalf("%q: %v has status %d", target, err, code.status())
			}
			return
		}
		if c.level >= bucketLevel && !naming.ValidBucket(string(c.bucket)) {
			t.Fatalf("%q: bucket %q", target, c.bucket)
		}
		if len(c.query) > queryMax {
			t.Fatalf("%d parameters", len(c.query))
		}
		if c.level == objectLevel {
			if _, err := naming.ParseObject(string(c.name)); err != nil {
				t.Fatal(err)
			}
			if back, err := unescapePath(encodePath(string(c.name))); err != nil || back != string(c.name) {
				t.Fatalf("%q became %q, %v", c.name, back, err)
			}
		}
		if row, err := d.table.find(c); err == nil {
			_ = row.allows(c)
		}
	})
}

// Whatever the document is, reading it gives a value or MalformedXML.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>null</VersionId><Size>1</Size></Object></Delete>`,
		string(completion("a", "b")), `<!DOCTYPE x [<!ENTITY a "b">]><Delete/>`, `<Delete>` + strings.Repeat("<a>", 20), `<?xml version="1.0" encoding="x"?><Delete/>`,
		`<Delete xmlns="urn:x" xmlns:y="z"><y:Object y:a="1"><Key>&#x0;</Key></y:Object></Delete>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, v := range []any{&deleteDocument{}, &completeDocument{}} {
			if err := decodeXML(raw, v); err != nil && faultOf(err).code != MalformedXML {
				t.Fatal(err)
			}
		}
	})
}

// Escaped text that XML can carry reads back as it was.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a<b>&\"'", "\t\r\n", "\x01\x7f", "\xff", "\uFFFE", "€𝄞"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := string(appendEscaped(nil, s))
		if strings.ContainsAny(out, "<>") || !utf8.ValidString(out) {
			t.Fatalf("%q became %q", s, out)
		}
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
			return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		}) {
			return
		}
		var back struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+out+"</a>"), &back); err != nil || back.Text != s {
			t.Fatalf("%q became %q and then %q, %v", s, out, back.Text, err)
		}
	})
}
