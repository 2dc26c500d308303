package swift

import (
	"net"
	"strconv"

	"pithos/internal/door/wire"
)

// Fact implements policy.Facts: what the request itself says for the conditions of policies, under S3's names for it. What is said of the
// operation the backend knows; what only S3's requests can say is absent.
func (c *call) Fact(key string) ([]string, bool) {
	switch key {
	case "aws:sourceip":
		host, _, err := net.SplitHostPort(c.r.RemoteAddr)
		if err != nil {
			host = c.r.RemoteAddr
		}
		return []string{host}, host != ""
	case "aws:securetransport":
		return []string{strconv.FormatBool(wire.OriginOf(c.r).Scheme == "https")}, true
	case "aws:referer":
		return c.headerFact("Referer")
	case "aws:useragent":
		return c.headerFact("User-Agent")
	case "s3:prefix":
		return c.queryFact("prefix")
	case "s3:delimiter":
		return c.queryFact("delimiter")
	case "s3:max-keys":
		return c.queryFact("limit")
	}
	return nil, false
}

func (c *call) headerFact(name string) ([]string, bool) {
	v := c.r.Header.Get(name)
	return []string{v}, v != ""
}

func (c *call) queryFact(name string) ([]string, bool) {
	v, ok := c.query[name]
	return v, ok && len(v) > 0
}
