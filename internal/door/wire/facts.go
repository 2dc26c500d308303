package wire

import (
	"net"
	"net/http"
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

// ClientCertificate is the subject of the certificate by which a client showed itself, checked when the connection was made: "CN=backup,O=Example". It is
// empty without one. What a proxy tells of certificates counts for nothing.
func ClientCertificate(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.String()
}
