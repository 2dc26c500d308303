package s3

import (
	"strings"
	"testing"
)

func corsCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetBucketCors": testBucketCORS, "PutBucketCors": testBucketCORS, "DeleteBucketCors": testBucketCORS,
		"OptionsBucket": testPreflight, "OptionsObject": testPreflight,
	}
}

const (
	corsTwo = "<CORSRule><ID>one &amp; only</ID><AllowedOrigin>http://*.example.org</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod>" +
		"<AllowedHeader>X-Amz-*</AllowedHeader><AllowedHeader>content-type</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>" +
		"<MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>" +
		"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
	corsVary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
)

func corsXML(rules string) []byte {
	return []byte("<CORSConfiguration>" + rules + "</CORSConfiguration>")
}

func testBucketCORS(_ *testing.T, w *world) {
	w.alice.do("GET", "/photos?cors", nil).want(404, "NoSuchCORSConfiguration")
	w.alice.do("PUT", "/photos?cors", corsXML(corsTwo)).want(200)
	w.alice.do("GET", "/photos?cors", nil).want(200).contains(corsTwo)
	for _, c := range []*client{w.bob, w.anon} {
		c.do("GET", "/photos?cors", nil).want(403, "AccessDenied")
		c.do("PUT", "/photos?cors", corsXML(corsTwo)).want(403, "AccessDenied")
		c.do("DELETE", "/photos?cors", nil).want(403, "AccessDenied")
	}
	rule := func(s string) []byte { return corsXML("<CORSRule>" + s + "</CORSRule>") }
	const origin, method = "<AllowedOrigin>*</AllowedOrigin>", "<AllowedMethod>GET</AllowedMethod>"
	for _, c := range []struct {
		body []byte
		code string
	}{
		{nil, "MissingRequestBodyError"},
		{[]byte("<CORSConfiguration>"), "MalformedXML"},
		{corsXML(""), "MalformedXML"},
		{rule(origin), "MalformedXML"},
		{rule(method), "MalformedXML"},
		{rule(method + "<AllowedOrigin></AllowedOrigin>"), "MalformedXML"},
		{rule(origin + method + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), "MalformedXML"},
		{rule(origin + method + "<ID>" + strings.Repeat("x", 256) + "</ID>"), "MalformedXML"},
		{corsXML(strings.Repeat("<CORSRule>"+origin+method+"</CORSRule>", 101)), "MalformedXML"},
		{rule(origin + "<AllowedMethod>PATCH</AllowedMethod>"), "InvalidRequest"},
		{rule("<AllowedOrigin>http://*.*</AllowedOrigin>" + method), "InvalidRequest"},
		{rule(origin + method + "<AllowedHeader>*-*</AllowedHeader>"), "InvalidRequest"},
		{rule(origin + method + "<ExposeHeader>x-*</ExposeHeader>"), "InvalidRequest"},
		{rule(origin + method + "<ExposeHeader>a\r\nb: c</ExposeHeader>"), "InvalidRequest"},
		{rule(origin + method + "<ExposeHeader>" + strings.Repeat("x", 65<<10) + "</ExposeHeader>"), "InvalidRequest"},
	} {
		w.alice.do("PUT", "/photos?cors", c.body).want(400, c.code)
	}
	w.alice.do("GET", "/photos?cors", nil).want(200).contains(corsTwo)
	w.alice.do("DELETE", "/photos?cors", nil).want(204)
	w.alice.do("GET", "/photos?cors", nil).want(404, "NoSuchCORSConfiguration")
	w.alice.do("DELETE", "/photos?cors", nil).want(204)
	w.alice.do("GET", "/nowhere?cors", nil).want(404, "NoSuchBucket")
}

func testPreflight(_ *testing.T, w *world) {
	ask := func(path, origin, method, headers string) *answer {
		h := []string{"Origin", origin, "Access-Control-Request-Method", method}
		if headers != "" {
			h = append(h, "Access-Control-Request-Headers", headers)
		}
		return w.anon.do("OPTIONS", path, nil, h...)
	}
	ask("/photos", "http://a.example.org", "GET", "").want(403, "AccessForbidden").has("Vary", "")
	ask("/nowhere", "http://a.example.org", "GET", "").want(403, "AccessForbidden")
	w.alice.do("PUT", "/photos?cors", corsXML(corsTwo)).want(200)
	for _, path := range []string{"/photos", "/photos/some/key"} {
		w.anon.do("OPTIONS", path, nil).want(400, "BadRequest")
		w.anon.do("OPTIONS", path, nil, "Origin", "http://a.example.org").want(400, "BadRequest")
		ask(path, "http://a.example.org", "PUT", "X-AMZ-Meta-A, Content-Type").want(200).
			has("Access-Control-Allow-Origin", "http://a.example.org", "Access-Control-Allow-Methods", "PUT, GET", "Access-Control-Max-Age", "3000",
				"Access-Control-Allow-Headers", "x-amz-meta-a, content-type", "Access-Control-Allow-Credentials", "true", "Vary", corsVary)
		ask(path, "http://other.org", "GET", "").want(200).
			has("Access-Control-Allow-Origin", "*", "Access-Control-Allow-Credentials", "", "Access-Control-Max-Age", "", "Access-Control-Allow-Headers", "")
		for _, no := range [][3]string{
			{"http://other.org", "PUT", ""},
			{"http://example.org", "PUT", ""}, // "*." demands the dot
			{"http://a.example.org", "DELETE", ""},
			{"http://a.example.org", "PUT", "content-type, authorization"},
			{"http://other.org", "GET", "x-amz-meta-a"},
		} {
			ask(path, no[0], no[1], no[2]).want(403, "AccessForbidden").has("Access-Control-Allow-Origin", "", "Vary", corsVary)
		}
	}
}

// A script must be able to read what it was answered, success or not.
func TestEveryAnswerCarriesCORS(t *testing.T) {
	w := newWorld(t)
	w.alice.do("PUT", "/photos?cors", corsXML(corsTwo)).want(200)
	const origin = "http://a.example.org"
	allowed := []string{"Access-Control-Allow-Origin", origin, "Access-Control-Expose-Headers", "ETag, x-amz-request-id", "Vary", corsVary}
	w.alice.do("PUT", "/photos/a", []byte("hello"), "Origin", origin).want(200).has(allowed...)
	w.alice.do("GET", "/photos/a", nil, "Origin", origin).want(200).has(allowed...)
	w.alice.do("GET", "/photos/a", nil, "Origin", origin, "If-None-Match", "*").want(304).has(allowed...)
	w.alice.do("GET", "/photos/none", nil, "Origin", origin).want(404, "NoSuchKey").has(allowed...)
	w.anon.do("GET", "/photos/a", nil, "Origin", origin).want(403, "AccessDenied").has(allowed...)
	w.alice.do("GET", "/photos?nonsense", nil, "Origin", origin).want(501, "NotImplemented").has(allowed...)
	w.anon.do("GET", "/photos/a", nil, "Origin", origin, "Authorization", "nonsense").want(400).has(allowed...)
	w.alice.do("DELETE", "/photos/a", nil, "Origin", origin).want(204).has("Access-Control-Allow-Origin", "", "Vary", corsVary)
	w.alice.do("GET", "/photos", nil).want(200).has("Access-Control-Allow-Origin", "", "Vary", "")
	w.alice.do("GET", "/", nil, "Origin", origin).want(200).has("Access-Control-Allow-Origin", "", "Vary", "")
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"*", "x", true},
		{"a*b", "ab", true},
		{"a*b", "a1b", true},
		{"a*a", "a", false},
		{"a*b", "0ab", false},
		{"*b", "ab", true},
		{"a*", "ab", true},
		{"ab", "ab", true},
		{"ab", "Ab", false},
		{"", "", true},
		{"", "a", false},
	} {
		if got := fitsWildcard(c.pattern, c.s); got != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.s, got)
		}
	}
}
