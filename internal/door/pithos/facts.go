package pithos

import "pithos/internal/door/wire"

// Fact implements policy.Facts.
func (c *call) Fact(key string) ([]string, bool) { return wire.SwiftFact(c.r, c.query, key) }
