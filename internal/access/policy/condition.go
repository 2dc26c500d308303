package policy

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quantity says over which values of the request a condition goes.
type quantity uint8

const (
	single quantity = iota
	forAny          // ForAnyValue: one value of the request that meets the condition is enough
	forAll          // ForAllValues: all of them must, and none is enough
)

// family is how an operator compares.
type family uint8

const (
	stringEquals family = iota
	stringFold
	stringLike
	numeric
	date
	boolean
	binary
	address
	arn
	null
)

// operator is a condition operator, as "ForAnyValue:StringNotLikeIfExists".
type operator struct {
	raw      string
	family   family
	negated  bool
	order    string // of numeric and date: "=", "<", "<=", ">", ">="
	ifExists bool
	quantity quantity
}

// newOperator reads an operator. ok is false when there is no such one.
func newOperator(raw string) (o operator, ok bool) {
	o.raw = raw
	name := raw
	if rest, cut := strings.CutPrefix(name, "ForAnyValue:"); cut {
		o.quantity, name = forAny, rest
	} else if rest, cut := strings.CutPrefix(name, "ForAllValues:"); cut {
		o.quantity, name = forAll, rest
	}
	if name == "Null" {
		o.family = null
		return o, o.quantity == single
	}
	name, o.ifExists = strings.CutSuffix(name, "IfExists")
	switch name {
	case "StringEquals", "StringNotEquals":
		o.family, o.negated = stringEquals, name != "StringEquals"
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		o.family, o.negated = stringFold, name != "StringEqualsIgnoreCase"
	case "StringLike", "StringNotLike":
		o.family, o.negated = stringLike, name != "StringLike"
	case "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike":
		o.family, o.negated = arn, strings.HasPrefix(name, "ArnNot")
	case "IpAddress", "NotIpAddress":
		o.family, o.negated = address, name != "IpAddress"
	case "Bool":
		o.family = boolean
	case "BinaryEquals":
		o.family = binary
	default:
		var rest string
		if o.family, rest, ok = ordered(name); !ok {
			return o, false
		}
		return o, o.setOrder(rest)
	}
	return o, true
}

func ordered(name string) (family, string, bool) {
	if rest, ok := strings.CutPrefix(name, "Numeric"); ok {
		return numeric, rest, true
	}
	rest, ok := strings.CutPrefix(name, "Date")
	return date, rest, ok
}

func (o *operator) setOrder(name string) bool {
	switch name {
	case "Equals":
		o.order = "="
	case "NotEquals":
		o.order, o.negated = "=", true
	case "LessThan":
		o.order = "<"
	case "LessThanEquals":
		o.order = "<="
	case "GreaterThan":
		o.order = ">"
	case "GreaterThanEquals":
		o.order = ">="
	default:
		return false
	}
	return true
}

// value is one value of a condition, read as its operator needs it.
type value struct {
	text    text
	number  float64
	time    time.Time
	truth   bool
	bytes   []byte
	network netip.Prefix
}

// newValue reads a value. ok is false when the operator cannot compare with it.
func (o *operator) newValue(raw string, variables bool) (v value, ok bool) {
	switch o.family {
	case stringEquals, stringFold:
		v.text, ok = newText(raw, false, variables)
		return v, ok
	case stringLike, arn:
		v.text, ok = newText(raw, true, variables)
		return v, ok && (o.family != arn || raw == "*" || strings.HasPrefix(raw, "arn:"))
	}
	v.text.raw = raw
	switch o.family {
	case numeric:
		v.number, ok = parseNumber(raw)
	case date:
		v.time, ok = parseTime(raw)
	case boolean, null:
		v.truth, ok = parseTruth(raw)
	case binary:
		var err error
		v.bytes, err = base64.StdEncoding.DecodeString(raw)
		ok = err == nil
	case address:
		v.network, ok = parseNetwork(raw)
	case stringEquals, stringFold, stringLike, arn:
	}
	return v, ok
}

func parseTruth(s string) (truth, ok bool) {
	switch lower(s) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// parseNumber reads a decimal number.
func parseNumber(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false // no hexadecimal, infinite or other forms that strconv knows
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// parseTime reads a date of ISO 8601 in the forms that the W3C's profile has, or seconds since 1970.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// parseNetwork reads a network in CIDR form, or one address.
func parseNetwork(s string) (netip.Prefix, bool) {
	if n, err := netip.ParsePrefix(s); err == nil {
		return unmapNetwork(n)
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// unmapNetwork gives a network of IPv4 in IPv6's form its own, as addresses of requests are.
func unmapNetwork(n netip.Prefix) (netip.Prefix, bool) {
	if !n.Addr().Is4In6() {
		return n.Masked(), true
	}
	if n.Bits() < 96 {
		return n, false
	}
	return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96).Masked(), true
}

// holds decides the condition. Source: IAM User Guide, "Condition operators" and "Set operators for multi-valued context keys":
// without a value in the request a condition does not hold, but a negated one, one that ends in IfExists and one over all values do.
func (c *condition) holds(q *Request, deny bool) bool {
	o := &c.operator
	facts, ok := q.fact(c.lower)
	if o.family == null {
		return slices.ContainsFunc(c.values, func(v value) bool { return v.truth == (len(facts) == 0) })
	}
	switch {
	case (!ok || len(facts) == 0) && o.ifExists:
		return true
	case !ok || len(facts) == 0:
		return o.quantity == forAll || o.negated && o.quantity == single
	}
	one := func(fact string) bool { return c.compare(q, fact, deny) }
	switch {
	case o.quantity == forAll, o.quantity == single && o.negated:
		return !slices.ContainsFunc(facts, func(fact string) bool { return !one(fact) })
	default:
		return slices.ContainsFunc(facts, one)
	}
}

// compare decides about one value of the request: it is one of the condition's, or for a negated operator none of them. A value of the condition
// whose variable has no value equals nothing; where that would make an Allow apply, it does not.
func (c *condition) compare(q *Request, fact string, deny bool) bool {
	o := &c.operator
	for i := range c.values {
		same, known := o.equals(q, &c.values[i], fact)
		if !known && o.negated && !deny {
			return false
		}
		if same {
			return !o.negated
		}
	}
	return o.negated
}

// equals compares with one value. known is false when a variable has no value.
func (o *operator) equals(q *Request, v *value, fact string) (same, known bool) {
	switch o.family {
	case stringEquals, stringLike:
		return v.text.match(q, fact)
	case stringFold:
		pattern, known := v.text.expand(q)
		return known && strings.EqualFold(string(pattern), fact), known
	case arn:
		pattern, known := v.text.expand(q)
		return known && globARN(pattern, fact), known
	case numeric:
		n, ok := parseNumber(fact)
		return ok && inOrder(o.order, compareFloat(n, v.number)), true
	case date:
		t, ok := parseTime(fact)
		return ok && inOrder(o.order, t.Compare(v.time)), true
	case boolean:
		truth, ok := parseTruth(fact)
		return ok && truth == v.truth, true
	case binary:
		raw, err := base64.StdEncoding.DecodeString(fact)
		return err == nil && bytes.Equal(raw, v.bytes), true
	case address:
		a, err := netip.ParseAddr(fact)
		return err == nil && v.network.Contains(a.Unmap().WithZone("")), true
	case null:
	}
	return false, true
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func inOrder(order string, c int) bool {
	switch order {
	case "=":
		return c == 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// globARN compares the six parts of an ARN one by one, so that a star does not reach into the next.
func globARN(pattern []rune, s string) bool {
	if len(pattern) == 1 && pattern[0] == star {
		return true
	}
	for range 5 {
		i := slices.Index(pattern, ':')
		head, tail, ok := strings.Cut(s, ":")
		if i < 0 || !ok || !glob(pattern[:i], head) {
			return false
		}
		pattern, s = pattern[i+1:], tail
	}
	return glob(pattern, s)
}
