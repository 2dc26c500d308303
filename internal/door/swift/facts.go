package swift

import "pithos/internal/door/wire"

// Fact implements policy.Facts: what the request itself says for the conditions of policies, under S3's names for it. What is said of the
// operation the backend knows; what only S3's requests can say is absent.
func (c *call) Fact(key string) ([]string, bool) {
	switch key {
	case "s3:prefix":
		return c.queryFact("prefix")
	case "s3:delimiter":
		return c.queryFact("delimiter")
	case "s3:max-keys":
		return c.queryFact("limit")
	}
	return wire.Fact(c.r, key)
}

func (c *call) queryFact(name string) ([]string, bool) {
	v, ok := c.query[name]
	return v, ok && len(v) > 0
}
