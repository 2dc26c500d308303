package policy

import (
	"net/netip"
	"strings"
)

// Public reports whether a bucket policy lets in people whom it does not name. It does when a statement allows something to everybody without a
// condition that holds them to fixed values (S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of public").
// What Deny statements take away again does not count.
func (p *Policy) Public() bool { return p != nil && p.public }

func (s *statement) public() bool {
	if s.deny || s.principals == nil {
		return false
	}
	everyone := false
	for i := range s.principals.list {
		everyone = everyone || s.principals.list[i].everyone
	}
	if !everyone {
		return false
	}
	for i := range s.conditions {
		if s.conditions[i].binds() {
			return false
		}
	}
	return true
}

// binding are the keys that say who asks or where from; a condition on another leaves a policy public.
const binding = " aws:principalaccount aws:principalarn aws:principalorgid aws:principalorgpaths aws:sourcearn aws:sourceaccount aws:sourceowner aws:sourceorgid" +
	" aws:sourcevpc aws:sourcevpce aws:sourceip aws:userid s3:dataaccesspointaccount s3:dataaccesspointarn" +
	" s3:x-amz-server-side-encryption-aws-kms-key-id "

// binds tells whether the condition holds everybody to fixed values.
func (c *condition) binds() bool {
	o := &c.operator
	if o.negated || o.ifExists || o.quantity == forAll || !strings.Contains(binding, " "+c.lower+" ") {
		return false
	}
	for i := range c.values {
		v := &c.values[i]
		switch o.family {
		case address:
			if broad(v.network) {
				return false
			}
		case stringEquals, stringFold, stringLike, arn:
			if v.text.wild() || c.lower == "aws:userid" && v.text.raw == "anonymous" {
				return false
			}
		case numeric, date, boolean, binary, null:
			return false
		}
	}
	return true
}

// broad tells whether a network is so large that it stands for everybody: over a /8 of IPv4 or a /32 of IPv6, as AWS draws the line. Networks
// of unique local addresses are not.
func broad(n netip.Prefix) bool {
	if n.Addr().Is4() {
		return n.Bits() < 8
	}
	local := n.Bits() >= 7 && n.Addr().As16()[0]&0xfe == 0xfc // fc00::/7
	return n.Bits() < 32 && !local
}
