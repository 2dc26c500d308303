package wire

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// Fact is what every request says for the conditions of policies, in any protocol: where it comes from, as a trusted proxy tells it, and how. ok is
// false for other keys, and for what the request does not say.
func Fact(r *http.Request, key string) (values []string, ok bool) {
	value := ""
	switch key {
	case "aws:sourceip":
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		value = host
	case "aws:securetransport":
		value = strconv.FormatBool(OriginOf(r).Scheme == "https")
	case "aws:referer":
		value = r.Header.Get("Referer")
	case "aws:useragent":
		value = r.Header.Get("User-Agent")
	case "pithos:clientcertificate":
		value = ClientCertificate(r)
	}
	return []string{value}, value != ""
}

// SwiftFact is what a request in Swift's or Pithos+'s words says for the conditions of policies, under S3's names for it. What is said of the operation the
// backend knows; what only S3's requests can say is absent.
func SwiftFact(r *http.Request, query url.Values, key string) ([]string, bool) {
	var name string
	switch key {
	case "s3:prefix":
		name = "prefix"
	case "s3:delimiter":
		name = "delimiter"
	case "s3:max-keys":
		name = "limit"
	default:
		return Fact(r, key)
	}
	v := query[name]
	return v, len(v) > 0
}

// ClientCertificate is the subject of the certificate by which a client showed itself, checked when the connection was made: "CN=backup,O=Example". It is
// empty without one. What a proxy tells of certificates counts for nothing.
func ClientCertificate(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.String()
}
