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
	}
	return []string{value}, value != ""
}
